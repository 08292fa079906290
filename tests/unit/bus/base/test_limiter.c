/* Tokens per name: so many at once, then one by one; a table of fixed size forgets who needs it least. */
#include "bus/base/limiter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

static void a_name_has_its_tokens_and_gets_them_back(void **state _unused_) {
  _cleanup_(limiter_destroy) Limiter *limiter = limiter_new(3, 10);

  for (int i = 0; i < 3; i++)
    assert_true(limiter_take(limiter, 7, 1000));
  assert_false(limiter_may(limiter, 7, 1009));
  assert_false(limiter_take(limiter, 7, 1009));
  assert_true(limiter_may(limiter, 8, 1009));
  assert_true(limiter_take(limiter, 7, 1010));
  assert_false(limiter_take(limiter, 7, 1010));
  for (int i = 0; i < 3; i++)
    assert_true(limiter_take(limiter, 7, 2000));
  assert_false(limiter_take(limiter, 7, 2000));
}

static void names_that_are_many_do_not_free_who_lacks_most(void **state _unused_) {
  _cleanup_(limiter_destroy) Limiter *limiter = limiter_new(3, 1000000);

  for (int i = 0; i < 3; i++)
    assert_true(limiter_take(limiter, 7, 1000));
  for (uint64_t name = 100; name < 100 + 64 * LIMITER_NAMES; name++)
    assert_true(limiter_take(limiter, name, 1000));
  assert_false(limiter_may(limiter, 7, 1000));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_name_has_its_tokens_and_gets_them_back),
      cmocka_unit_test(names_that_are_many_do_not_free_who_lacks_most),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
