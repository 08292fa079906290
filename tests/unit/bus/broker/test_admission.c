/* keys.yaml as a table: who is admitted where, as whom; what is not good enough to be one; what a reload changes. */
#include "bus/broker/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <unistd.h>

#include "bus/config/keyring.h"

typedef struct World {
  char folder[64];
  Config config;
  Keyring *keyring;
  Admission *admission;
  PublicKey client, revoked, broker;
} World;

static PublicKey add(World *world, const char *name, const char *role, bool with_file) {
  _cleanup_(key_unref) KeyPair *key = NULL;
  char text[KEY_TEXT_SIZE];
  char path[CONFIG_PATH_SIZE];

  key_new(&key);
  keyring_add(world->keyring, name, public_key_print(key_public(key), text), role);
  if (with_file)
    assert_int_equal(key_write(key, keyring_secret_path(&world->config, name, path)), 0);
  return key_public(key);
}

static void save(const World *world) {
  _cleanup_(buffer_done) Buffer text = {0};
  char path[CONFIG_PATH_SIZE];
  FILE *file = fopen(keyring_path(&world->config, path), "we");

  assert_non_null(file);
  keyring_print(world->keyring, &text);
  assert_int_equal(fwrite(text.data, 1, text.size, file), text.size);
  fclose(file);
}

static int set_up(void **state) {
  World *world = calloc(1, sizeof *world);
  KeyringKey *key;

  snprintf(world->folder, sizeof world->folder, "/tmp/pons-admission-XXXXXX");
  assert_non_null(mkdtemp(world->folder));
  world->config.keys.dir = world->folder;
  world->keyring = keyring_new();
  world->broker = add(world, "broker.a", "broker", true);
  world->client = add(world, "echo.a", "client", false);
  key = keyring_find(world->keyring, "echo.a");
  keyring_allow(&key->call, &key->call_count, TEXT("pons"));
  world->revoked = add(world, "old.a", "client", false);
  keyring_find(world->keyring, "old.a")->revoked = true;
  save(world);
  *state = world;
  return 0;
}

static int tear_down(void **state) {
  World *world = *state;
  char path[CONFIG_PATH_SIZE];

  admission_destroy(&world->admission);
  keyring_destroy(&world->keyring);
  unlink(keyring_path(&world->config, path));
  unlink(keyring_secret_path(&world->config, "broker.a", path));
  rmdir(world->folder);
  free(world);
  return 0;
}

static void begin(World *world) {
  _cleanup_(buffer_done) Buffer errors = {0};

  assert_int_equal(admission_new(&world->admission, &world->config, "broker.a", &errors), 0);
  assert_int_equal(errors.size, 0);
}

static bool is_admitted(SocketGate gate, PublicKey key) {
  return gate.admit(gate.userdata, key);
}

static void each_door_has_its_keys(void **state) {
  World *world = *state;
  PublicKey foreign = {{1}};
  PublicKey found;

  begin(world);
  assert_true(is_admitted(admission_bus_gate(world->admission), world->client));
  assert_false(is_admitted(admission_bus_gate(world->admission), world->broker));
  assert_false(is_admitted(admission_bus_gate(world->admission), world->revoked));
  assert_false(is_admitted(admission_bus_gate(world->admission), foreign));
  assert_true(is_admitted(admission_peer_gate(world->admission), world->broker));
  assert_false(is_admitted(admission_peer_gate(world->admission), world->client));
  assert_int_equal(admission_find(world->admission, "broker.a", &found), 0);
  assert_true(public_key_equal(found, world->broker));
  assert_true(public_key_equal(key_public(admission_key(world->admission)), world->broker));
  assert_int_equal(admission_find(world->admission, "old.a", &found), ADMISSION_E_KEYS);
  assert_int_equal(admission_find(world->admission, "nobody", &found), ADMISSION_E_KEYS);
}

static void who_is_admitted_has_a_name_and_rights(void **state) {
  World *world = *state;
  CoreIdentity identity = {NULL, 0, NULL};

  begin(world);
  assert_int_equal(admission_identify(world->admission, world->revoked, &identity), ADMISSION_E_KEYS);
  assert_null(identity.key);
  assert_int_equal(admission_identify(world->admission, world->client, &identity), 0);
  assert_string_equal(identity.key, "echo.a");
  assert_int_not_equal(identity.fingerprint, 0);
  assert_true(rights_cover(identity.rights, RIGHTS_CALL, TEXT("pons"), TEXT("info")));
  assert_false(rights_cover(identity.rights, RIGHTS_CALL, TEXT("echo"), TEXT("say")));
}

/* Who has a key, and nothing else to do, must not keep the broker busy with handshakes. */
static void a_key_that_connects_too_often_is_refused(void **state) {
  World *world = *state;
  SocketGate gate;
  int n = 0;

  begin(world);
  gate = admission_bus_gate(world->admission);
  while (n < 100000 && gate.begin(gate.userdata, world->client))
    n++;
  assert_true(n >= 4096 && n < 100000);
  assert_true(gate.begin(gate.userdata, world->broker)); /* another key is not the poorer for it */
  assert_true(is_admitted(gate, world->client));         /* and what is connected stays */
}

static void a_reload_is_all_or_nothing(void **state) {
  World *world = *state;
  _cleanup_(buffer_done) Buffer errors = {0};
  CoreIdentity identity;
  KeyringKey *key;

  begin(world);
  assert_int_equal(admission_identify(world->admission, world->client, &identity), 0);
  key = keyring_find(world->keyring, "echo.a");
  keyring_allow(&key->serve, &key->serve_count, TEXT("a*b.c"));
  save(world);
  assert_int_equal(admission_reload(world->admission, &errors), ADMISSION_E_KEYS);
  assert_non_null(memmem(errors.data, errors.size, "'a*b.c', which is no pattern", 28));
  assert_true(is_admitted(admission_bus_gate(world->admission), world->client));
  key->revoked = true;
  free(key->serve[--key->serve_count]);
  save(world);
  assert_int_equal(admission_reload(world->admission, &errors), 0);
  assert_false(is_admitted(admission_bus_gate(world->admission), world->client));
  assert_string_equal(identity.key, "echo.a"); /* what was given out is good until it is forgotten */
  admission_forget_old(world->admission);
}

static void refuse(World *world, const char *name, const char *words) {
  _cleanup_(buffer_done) Buffer errors = {0};

  assert_int_equal(admission_new(&world->admission, &world->config, name, &errors), ADMISSION_E_KEYS);
  assert_null(world->admission);
  if (!memmem(errors.data, errors.size, words, strlen(words)))
    fail_msg("%.*s", (int)errors.size, (const char *)errors.data);
}

static void what_a_broker_does_not_begin_with(void **state) {
  World *world = *state;
  char path[CONFIG_PATH_SIZE];

  refuse(world, "broker.b", "broker.b.key: can't be used: No such file");
  free(keyring_find(world->keyring, "broker.a")->name);
  world->keyring->keys[0].name = strdup("broker.c");
  save(world);
  refuse(world, "broker.a", "is not the key that keys.yaml has as broker.a");
  unlink(keyring_path(&world->config, path));
  refuse(world, "broker.a", "keys.yaml: there are no keys yet");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(each_door_has_its_keys, set_up, tear_down),
      cmocka_unit_test_setup_teardown(who_is_admitted_has_a_name_and_rights, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_key_that_connects_too_often_is_refused, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_reload_is_all_or_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_a_broker_does_not_begin_with, set_up, tear_down),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
