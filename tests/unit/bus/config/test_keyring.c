/* keys.yaml: what is read, what is refused at which place, what is written and read again; the brokers' keys behind their endpoints. */
#include "bus/config/keyring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/bus/config/files.h"

#define A "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"
#define B "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"

static const char *path_of(const char *name) {
  static char path[4096];

  snprintf(path, sizeof path, "%s/%s", files_folder(), name);
  return path;
}

static void what_it_says(void **state _unused_) {
  _cleanup_(keyring_destroy) Keyring *keyring = NULL;
  _cleanup_(buffer_done) Buffer errors = {0};
  const KeyringKey *key;

  files_write("keys.yaml",
              "keys:\n- {name: broker.mainpc, public: \"" A "\", role: broker}\n"
              "- name: echo.mainpc\n  public: \"" B "\"\n  call: [\"*\"]\n  serve: [echo, echo.say]\n  revoked: true\n",
              0644);
  assert_int_equal(keyring_load(path_of("keys.yaml"), &keyring, &errors), 0);
  assert_int_equal(keyring->keys_count, 2);
  assert_false(keyring_find(keyring, "broker.mainpc")->revoked);
  key = keyring_find(keyring, "echo.mainpc");
  assert_string_equal(key->public, B);
  assert_string_equal(key->role, "client");
  assert_true(key->revoked);
  assert_int_equal(key->serve_count, 2);
  assert_string_equal(key->serve[1], "echo.say");
  assert_int_equal(key->publish_count, 0);
  assert_null(keyring_find(keyring, "echo"));
}

static void refuse(const char *text, const char *expected) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Keyring *keyring = NULL;
  char line[8192];

  files_write("keys.yaml", text, 0644);
  assert_int_equal(keyring_load(path_of("keys.yaml"), &keyring, &errors), CONFIG_E_INVALID);
  assert_null(keyring);
  buffer_append(&errors, "", 1);
  snprintf(line, sizeof line, "%s:%s\n", path_of("keys.yaml"), expected);
  assert_string_equal((const char *)errors.data, line);
}

static void what_is_refused(void **state _unused_) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Keyring *keyring = NULL;

  refuse("keys: [{name: a, public: short}]\n",
         "1:26: keys[0].public: is 'short', must be 40 characters, as `pons keys add` prints them");
  refuse("keys:\n- {name: a, public: \"" A "\", secret: x}\n",
         "2:65: keys[0]: unknown key 'secret'; the keys here are: name, public, role, revoked, call, serve, publish, "
         "subscribe");
  refuse("keys:\n- {name: a, public: \"" A "\"}\n- {name: b, public: \"" A "\"}\n",
         "3:21: keys[1].public: stands here a second time; keys[0] has it already");
  refuse("keys:\n- {name: a, public: \"" A "\"}\n- {name: a, public: \"" B "\"}\n",
         "3:10: keys[1].name: stands here a second time; keys[0] has it already");
  refuse("keys: [{name: a, public: \"" A "\", call: [\"a b\"]}]\n",
         "1:77: keys[0].call[0]: is 'a b', must be \"*\", SERVICE, SERVICE.METHOD or a pattern of topics");
  assert_int_equal(keyring_load(path_of("nowhere.yaml"), &keyring, &errors), -ENOENT);
  assert_null(keyring);
}

static void what_is_written_is_read_again(void **state _unused_) {
  _cleanup_(keyring_destroy) Keyring *keyring = keyring_new();
  _cleanup_(keyring_destroy) Keyring *again = NULL;
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(buffer_done) Buffer errors = {0};
  KeyringKey *key = keyring_add(keyring, "echo.mainpc", A, "client");

  keyring_allow(&key->serve, &key->serve_count, TEXT("echo"));
  keyring_allow(&key->subscribe, &key->subscribe_count, TEXT(">"));
  keyring_add(keyring, "gone", "0000000000000000000000000000000000000000", "client");
  keyring_add(keyring, "witness", B, "witness")->revoked = true;
  keyring_remove(keyring, keyring_find(keyring, "gone"));
  keyring_print(keyring, &text);
  buffer_append(&text, "", 1);
  files_write("keys.yaml", (const char *)text.data, 0644);
  assert_int_equal(keyring_load(path_of("keys.yaml"), &again, &errors), 0);
  assert_int_equal(again->keys_count, 2);
  assert_string_equal(keyring_find(again, "echo.mainpc")->serve[0], "echo");
  assert_string_equal(keyring_find(again, "echo.mainpc")->subscribe[0], ">");
  assert_string_equal(keyring_find(again, "witness")->role, "witness");
  assert_true(keyring_find(again, "witness")->revoked);
}

static void brokers_have_their_keys_behind_them(void **state _unused_) {
  _cleanup_(config_destroy) Config *config =
      files_load("site: mainpc\nkeys: {dir: .}\nbroker: {listen: [\"tcp://10.0.0.1:7100\"]}\n"
                 "other_broker: {endpoints: [\"tcp://10.0.0.2:7100\"], name: pc2, preferred: true}\n");
  _cleanup_(config_destroy) Config *clear = files_load("");
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(buffer_done) Buffer errors = {0};

  files_write("keys.yaml",
              "keys:\n- {name: broker.mainpc, public: \"" A "\", role: broker}\n"
              "- {name: broker.pc2, public: \"" B "\", role: broker}\n",
              0644);
  assert_true(keyring_is_wanted(config));
  assert_false(keyring_is_wanted(clear));
  assert_int_equal(config_brokers(config, &text, &errors), 0);
  buffer_append(&text, "", 1);
  assert_string_equal((const char *)text.data, "tcp://10.0.0.2:7100|" B ";tcp://10.0.0.1:7100|" A);
  files_write("keys.yaml", "keys:\n- {name: broker.pc2, public: \"" B "\", role: broker}\n", 0644);
  assert_int_equal(config_brokers(config, &text, &errors), CONFIG_E_INVALID);
  assert_non_null(memmem(errors.data, errors.size, "has no key broker.mainpc", 24));
}

static void names_and_paths(void **state _unused_) {
  _cleanup_(config_destroy) Config *config = files_load("keys: {dir: secret}\n");
  char name[KEYRING_NAME_SIZE];
  char path[CONFIG_PATH_SIZE];

  assert_string_equal(keyring_broker_name("mainpc", name), "broker.mainpc");
  assert_string_equal(keyring_client_name("echo", "pc2", name), "echo.pc2");
  assert_string_equal(keyring_path(config, path), path_of("secret/keys.yaml"));
  assert_string_equal(keyring_secret_path(config, "echo.pc2", path), path_of("secret/echo.pc2.key"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(what_it_says, files_clean),
      cmocka_unit_test_setup(what_is_refused, files_clean),
      cmocka_unit_test_setup(what_is_written_is_read_again, files_clean),
      cmocka_unit_test_setup(brokers_have_their_keys_behind_them, files_clean),
      cmocka_unit_test_setup(names_and_paths, files_clean),
  };

  return cmocka_run_group_tests(tests, files_set_up, files_tear_down);
}
