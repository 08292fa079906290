/* Tokens: compared by epoch, then counter; a resource lets no lower one in. */
#include "bus/wire/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants the above first */
#include <cmocka.h>

static void tokens_are_ordered(void **state _unused_) {
  assert_true(token_compare((LeaseToken){2, 9}, (LeaseToken){3, 1}) < 0);
  assert_true(token_compare((LeaseToken){3, 2}, (LeaseToken){3, 1}) > 0);
  assert_int_equal(token_compare((LeaseToken){3, 2}, (LeaseToken){3, 2}), 0);
}

static void a_resource_refuses_lower_ones(void **state _unused_) {
  LeaseToken highest = {0, 0};

  assert_false(token_admit(&highest, (LeaseToken){0, 0})); /* nobody's */
  assert_true(token_admit(&highest, (LeaseToken){4, 2}));
  assert_true(token_admit(&highest, (LeaseToken){4, 2})); /* the same holder again */
  assert_false(token_admit(&highest, (LeaseToken){4, 1}));
  assert_false(token_admit(&highest, (LeaseToken){3, 9}));
  assert_true(highest.epoch == 4 && highest.counter == 2);
  assert_true(token_admit(&highest, (LeaseToken){5, 1}));
  assert_false(token_admit(&highest, (LeaseToken){4, 2})); /* who was frozen in the middle of a write */
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(tokens_are_ordered),
                                     cmocka_unit_test(a_resource_refuses_lower_ones)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
