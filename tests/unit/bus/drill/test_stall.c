/* Times in which all cores stood still, from those of each. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/drill/stall.h"

enum { STOPPED_US = 30000, ROUNDS = 100 };

static void what_all_have_in_common(void **state _unused_) {
  static const Stall first[] = {{10, 20}, {30, 50}, {60, 61}, {70, 90}};
  static const Stall second[] = {{5, 9}, {15, 32}, {40, 45}, {46, 80}, {90, 99}};
  static const Stall both[] = {{15, 20}, {30, 32}, {40, 45}, {46, 50}, {60, 61}, {70, 80}};
  Stall got[STALLS_MAX];

  assert_int_equal(stall_common(first, ELEMENTS(first), second, ELEMENTS(second), got), ELEMENTS(both));
  assert_memory_equal(got, both, sizeof both);
  assert_int_equal(stall_common(second, ELEMENTS(second), first, ELEMENTS(first), got), ELEMENTS(both));
  assert_memory_equal(got, both, sizeof both);
  memcpy(got, first, sizeof first);
  assert_int_equal(stall_common(got, ELEMENTS(first), second, ELEMENTS(second), got), ELEMENTS(both));
  assert_memory_equal(got, both, sizeof both);
  assert_int_equal(stall_common(first, ELEMENTS(first), NULL, 0, got), 0);
}

static void how_much_lies_between(void **state _unused_) {
  static const Stall stalls[] = {{10, 20}, {30, 50}};

  assert_int_equal(stall_within(stalls, ELEMENTS(stalls), 0, 100), 30);
  assert_int_equal(stall_within(stalls, ELEMENTS(stalls), 15, 40), 15);
  assert_int_equal(stall_within(stalls, ELEMENTS(stalls), 20, 30), 0);
  assert_int_equal(stall_within(stalls, ELEMENTS(stalls), 60, 70), 0);
  assert_int_equal(stall_within(stalls, 0, 0, 100), 0);
}

/* Whether there was one is the machine's affair; that they are in order and lie in the past is not. */
static void a_watch_begins_and_ends(void **state _unused_) {
  uint64_t began_us = clock_monotonic_us();
  StallWatch *watch = NULL;
  Stall stalls[STALLS_MAX];
  uint32_t count;
  int r = stall_watch_new(&watch);

  if (r == -EPERM)
    skip();
  assert_int_equal(r, 0);
  count = stall_watch_seen(watch, stalls);
  for (uint32_t i = 0; i < count; i++) {
    assert_true(stalls[i].from_us >= (i ? stalls[i - 1].to_us : began_us));
    assert_true(stalls[i].from_us < stalls[i].to_us && stalls[i].to_us <= clock_monotonic_us());
  }
  stall_watch_destroy(&watch);
  assert_null(watch);
  stall_watch_destroy(&watch);
}

/* Stops until it has seen that it was: a witness may not have begun the first time, or not run again. */
static void be_stopped(void) {
  uint64_t began_us = clock_monotonic_us();
  StallWatch *watch = NULL;
  Stall stalls[STALLS_MAX];
  uint32_t count;

  if (stall_watch_new(&watch) < 0)
    _exit(EXIT_FAILURE);
  do {
    raise(SIGSTOP);
    count = stall_watch_seen(watch, stalls);
  } while (stall_within(stalls, count, began_us, clock_monotonic_us()) < STOPPED_US / 2);
  _exit(EXIT_SUCCESS);
}

/* To a process that is stopped the machine stands still. */
static void all_witnesses_of_a_stopped_process_are_late(void **state _unused_) {
  StallWatch *watch = NULL;
  int status = 0;
  pid_t pid;

  if (stall_watch_new(&watch) == -EPERM)
    skip();
  stall_watch_destroy(&watch);
  pid = fork();
  if (pid == 0)
    be_stopped();
  for (int i = 0; i < ROUNDS && waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status); i++) {
    uint64_t until_us = clock_monotonic_us() + STOPPED_US;

    while (clock_monotonic_us() < until_us)
      continue;
    kill(pid, SIGCONT);
  }
  if (WIFSTOPPED(status)) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
  }
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), EXIT_SUCCESS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_all_have_in_common),
      cmocka_unit_test(how_much_lies_between),
      cmocka_unit_test(all_witnesses_of_a_stopped_process_are_late),
      cmocka_unit_test(a_watch_begins_and_ends),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
