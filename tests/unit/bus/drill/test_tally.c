/* How often work was done, from what instances count before, meanwhile and after. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/drill/tally.h"

static void test_between(void **state _unused_) {
  static const Tally before = {{{"echo:1", 10, 2}, {"echo:2", 4, 1}, {"echo:3", 7, 1}}, 3, 0};
  static const Tally after = {
      {{"echo:1", 32, 2}, {"echo:2", 5, 1}, {"echo:4", 6, 1}}, 3, 0}; /* 20, 0, and 5 of one that is new */
  static const LoadInstance meanwhile[] = {{"echo:1", 30}, {"echo:3", 9}, {"echo:4", 5}, {"echo:5", 3}};

  /* echo:3 left after it had done 2 more, echo:5 came and left and did 3 */
  assert_int_equal(tally_between(&before, &after, meanwhile, ELEMENTS(meanwhile)), 20 + 0 + 5 + 2 + 3);
  assert_int_equal(tally_between(&before, &after, NULL, 0), 25);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_between)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
