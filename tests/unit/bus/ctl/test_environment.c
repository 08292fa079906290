/* What a child may inherit, and that nothing else comes along. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/ctl/environment.h"

static void test_set_and_replace(void **state _unused_) {
  _cleanup_(environment_done) Environment environment = {0};

  assert_null(environment_find(&environment, "A"));
  for (int i = 0; i < 100; i++) {
    char name[] = {(char)('A' + i % 26), (char)('A' + i / 26), '\0'};

    environment_set(&environment, name, "1");
  }
  environment_set(&environment, "AA", "2=3");
  assert_int_equal(environment.count, 100);
  assert_null(environment.variables[100]);
  assert_string_equal(environment_find(&environment, "AA"), "2=3");
  assert_string_equal(environment_find(&environment, "BA"), "1");
  assert_null(environment_find(&environment, "A"));
}

static void test_only_what_is_listed_is_inherited(void **state _unused_) {
  char variables[][32] = {"PATH=/bin",    "OPENAI_API_KEY=sk-secret", "PONS_SITE=here", "LC_ALL=C.UTF-8",
                          "PATHOLOGY=no", "NOTIFY_SOCKET=/other",     "malformed"};
  char *from[ELEMENTS(variables) + 1] = {0};
  _cleanup_(environment_done) Environment environment = {0};

  for (size_t i = 0; i < ELEMENTS(variables); i++)
    from[i] = variables[i];
  environment_inherit(&environment, from);
  assert_int_equal(environment.count, 3);
  assert_string_equal(environment_find(&environment, "PATH"), "/bin");
  assert_string_equal(environment_find(&environment, "PONS_SITE"), "here");
  assert_string_equal(environment_find(&environment, "LC_ALL"), "C.UTF-8");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_set_and_replace),
      cmocka_unit_test(test_only_what_is_listed_is_inherited),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
