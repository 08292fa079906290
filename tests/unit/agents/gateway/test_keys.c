/* Keys: each is found by its whole self and by nothing else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "agents/gateway/keys.h"

static void keys_are_found(void **state) {
  ConfigKey rows[] = {{.name = "one", .secret = {.env = "TEST_KEY_ONE"}},
                      {.name = "two", .secret = {.env = "TEST_KEY_TWO"}}};
  ConfigGateway gateway = {.keys = rows, .keys_count = 2};
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(keys_done) Keys keys = {NULL, 0};

  (void)state;
  setenv("TEST_KEY_ONE", "k-aaaa", 1);
  setenv("TEST_KEY_TWO", "k-bbbbbbbb", 1);
  assert_int_equal(keys_load(&gateway, &keys, &errors), 0);
  assert_string_equal(keys_find(&keys, "Bearer k-aaaa"), "one");
  assert_string_equal(keys_find(&keys, "bearer k-bbbbbbbb"), "two");
  for (size_t i = 0; i < 8; i++)
    assert_null(keys_find(&keys, (const char *[]){NULL, "", "Bearer ", "k-aaaa", "Bearer k-aaa", "Bearer k-aaaaa",
                                                  "Bearer K-aaaa", "Basic k-aaaa"}[i]));
}

static void a_key_that_is_not_there(void **state) {
  ConfigKey rows[] = {{.name = "one", .secret = {.env = "TEST_KEY_NOT_SET"}}};
  ConfigGateway gateway = {.keys = rows, .keys_count = 1};
  _cleanup_(buffer_done) Buffer errors = {0};
  Keys keys = {NULL, 7};

  (void)state;
  unsetenv("TEST_KEY_NOT_SET");
  assert_int_equal(keys_load(&gateway, &keys, &errors), CONFIG_E_SECRET);
  assert_int_equal(keys.count, 0);
  buffer_append(&errors, "", 1);
  assert_non_null(strstr((char *)errors.data, "TEST_KEY_NOT_SET"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(keys_are_found), cmocka_unit_test(a_key_that_is_not_there)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
