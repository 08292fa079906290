/* Names are resolved beside the loop, and whoever does not want to know any more is not told. */
#include "bus/loop/resolve.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define DEADLINE_US (20 * US_PER_S)

typedef struct Waiter {
  Resolve *resolve;
  unsigned answers;
  int error;
  int family;
} Waiter;

static void on_done(void *userdata, int error, const struct sockaddr *address, socklen_t size _unused_) {
  Waiter *waiter = userdata;

  waiter->answers++;
  waiter->error = error;
  waiter->family = address->sa_family;
  resolve_destroy(&waiter->resolve);
}

static bool is_answered(void *userdata) {
  return ((Waiter *)userdata)->answers > 0;
}

static void a_name_of_this_machine_is_found(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Waiter waiter = {.answers = 0};

  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(resolve_new(loop, "localhost", on_done, &waiter, &waiter.resolve), 0);
  assert_int_equal(loop_run_until(loop, is_answered, &waiter, clock_monotonic_us() + DEADLINE_US), 0);
  assert_int_equal(waiter.error, 0);
  assert_true(waiter.family == AF_INET || waiter.family == AF_INET6);
}

static void a_name_that_nobody_knows_is_an_error(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Waiter waiter = {.answers = 0};

  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(resolve_new(loop, "no.such.host.invalid", on_done, &waiter, &waiter.resolve), 0);
  assert_int_equal(loop_run_until(loop, is_answered, &waiter, clock_monotonic_us() + DEADLINE_US), 0);
  assert_true(waiter.error < 0);
}

static void who_has_gone_is_not_told(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Waiter gone = {.answers = 0};
  Waiter waiter = {.answers = 0};

  assert_int_equal(loop_new(&loop), 0);
  assert_int_equal(resolve_new(loop, "localhost", on_done, &gone, &gone.resolve), 0);
  resolve_destroy(&gone.resolve);
  assert_null(gone.resolve);
  assert_int_equal(resolve_new(loop, "localhost", on_done, &waiter, &waiter.resolve), 0);
  assert_int_equal(loop_run_until(loop, is_answered, &waiter, clock_monotonic_us() + DEADLINE_US), 0);
  assert_int_equal(gone.answers, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_name_of_this_machine_is_found),
      cmocka_unit_test(a_name_that_nobody_knows_is_an_error),
      cmocka_unit_test(who_has_gone_is_not_told),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
