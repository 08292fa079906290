/* The folder of keys: made, added to, revoked in, read back; what can't be said is said. */
#include "bus/ctl/keyfolder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <sys/stat.h>
#include <unistd.h>

#define FOREIGN "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"

static char top[64];
static char dir[80];
static Config config;

static int set_up(void **state _unused_) {
  snprintf(top, sizeof top, "/tmp/pons-keyfolder-XXXXXX");
  assert_non_null(mkdtemp(top));
  snprintf(dir, sizeof dir, "%s/keys", top);
  config.keys.dir = dir;
  return 0;
}

static int tear_down(void **state _unused_) {
  static const char *const files[] = {"keys.yaml", "keys.yaml.new", "echo.a.key", "model_manager_suite.a.key"};
  char path[128];

  for (size_t i = 0; i < ELEMENTS(files); i++) {
    snprintf(path, sizeof path, "%s/%s", dir, files[i]);
    unlink(path);
  }
  rmdir(dir);
  return rmdir(top);
}

static void what_is_added_is_there(void **state _unused_) {
  _cleanup_(keyfolder_done) KeyFolder folder = {0};
  _cleanup_(keyfolder_done) KeyFolder again = {0};
  _cleanup_(buffer_done) Buffer errors = {0};
  KeyringKey *key = NULL;
  struct stat status;

  assert_int_equal(keyfolder_open(&folder, &config, true, &errors), 0);
  assert_int_equal(stat(dir, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0700);
  assert_int_equal(keyfolder_add(&folder, "model_manager_suite.a", NULL, "client", &key, &errors), 0);
  keyfolder_allow_agent(key);
  assert_int_equal(key->serve_count, 2);
  assert_string_equal(key->serve[0], "model_manager_suite");
  assert_string_equal(key->serve[1], "ModelManagerSuite");
  assert_true(keyfolder_has_secret(&folder, "model_manager_suite.a"));
  assert_int_equal(keyfolder_add(&folder, "echo.a", FOREIGN, "client", &key, &errors), 0);
  assert_false(keyfolder_has_secret(&folder, "echo.a"));
  assert_int_equal(keyfolder_add(&folder, "echo.a", NULL, "client", &key, &errors), KEYFOLDER_E_THERE);
  assert_int_equal(keyfolder_save(&folder, &errors), 0);
  assert_int_equal(keyfolder_open(&again, &config, false, &errors), 0);
  assert_string_equal(keyring_find(again.keyring, "echo.a")->public, FOREIGN);
  assert_int_equal(keyring_find(again.keyring, "model_manager_suite.a")->serve_count, 2);
}

static void a_revoked_key_stays_by_its_name_until_it_is_replaced(void **state _unused_) {
  _cleanup_(keyfolder_done) KeyFolder folder = {0};
  _cleanup_(buffer_done) Buffer errors = {0};
  KeyringKey *key = NULL;
  char first[64];

  assert_int_equal(keyfolder_open(&folder, &config, true, &errors), 0);
  assert_int_equal(keyfolder_add(&folder, "echo.a", NULL, "client", &key, &errors), 0);
  snprintf(first, sizeof first, "%s", key->public);
  assert_int_equal(keyfolder_revoke(&folder, "echo.a", &errors), 0);
  assert_true(keyring_find(folder.keyring, "echo.a")->revoked);
  assert_false(keyfolder_has_secret(&folder, "echo.a"));
  assert_int_equal(keyfolder_revoke(&folder, "nobody", &errors), KEYFOLDER_E_NONE);
  assert_int_equal(keyfolder_add(&folder, "echo.a", NULL, "client", &key, &errors), 0);
  assert_string_not_equal(key->public, first);
  assert_int_equal(folder.keyring->keys_count, 1);
}

static void what_is_not_there_or_no_good(void **state _unused_) {
  _cleanup_(keyfolder_done) KeyFolder folder = {0};
  _cleanup_(keyfolder_done) KeyFolder bad = {0};
  _cleanup_(buffer_done) Buffer errors = {0};
  KeyringKey *key = NULL;
  char path[CONFIG_PATH_SIZE];
  FILE *file;

  assert_int_equal(keyfolder_open(&folder, &config, false, &errors), KEYFOLDER_E_NONE);
  keyfolder_done(&folder);
  assert_int_equal(keyfolder_open(&folder, &config, true, &errors), 0);
  file = fopen(keyring_secret_path(&config, "echo.a", path), "we");
  assert_non_null(file);
  fclose(file);
  assert_int_equal(keyfolder_add(&folder, "echo.a", NULL, "client", &key, &errors), KEYFOLDER_E_INVALID);
  assert_null(key);
  file = fopen(keyring_path(&config, path), "we");
  assert_non_null(file);
  fputs("keys: x\n", file);
  fclose(file);
  assert_int_equal(keyfolder_open(&bad, &config, false, &errors), KEYFOLDER_E_INVALID);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_is_added_is_there, set_up, tear_down),
      cmocka_unit_test_setup_teardown(a_revoked_key_stays_by_its_name_until_it_is_replaced, set_up, tear_down),
      cmocka_unit_test_setup_teardown(what_is_not_there_or_no_good, set_up, tear_down),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
