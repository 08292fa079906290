/* Signals and children arrive on the loop; limits of the process. */
#include "bus/loop/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "bus/loop/limits-setup.h"

#define DEADLINE_US (20 * US_PER_S) /* for events that are certain to come */

static uint64_t soon(void) {
  return clock_monotonic_us() + DEADLINE_US;
}

static bool is_set(void *flag) {
  return *(bool *)flag;
}

static Loop *new_loop(void) {
  Loop *loop = NULL;

  assert_int_equal(loop_new(&loop), 0);
  return loop;
}

static int signals_seen;

static void on_signal(void *userdata, int signo) {
  signals_seen = signo;
  *(bool *)userdata = true;
}

static void a_signal_arrives_on_the_loop(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  bool done = false, other = false;

  assert_int_equal(loop_on_signal(loop, SIGWINCH, on_signal, &done), -EBUSY);
  assert_int_equal(loop_on_signal(loop, 0, on_signal, &done), -EINVAL);
  assert_int_equal(loop_on_signal(loop, SIGUSR1, on_signal, &other), 0);
  assert_int_equal(loop_on_signal(loop, SIGUSR1, on_signal, &done), 0);
  kill(getpid(), SIGUSR1);
  assert_int_equal(loop_run_until(loop, is_set, &done, soon()), 0);
  assert_int_equal(signals_seen, SIGUSR1);
  assert_false(other);
  assert_int_equal(loop_on_signal(loop, SIGUSR1, NULL, NULL), 0);
}

typedef struct Exits {
  unsigned count;
  int statuses[2];
  pid_t pids[2];
} Exits;

static void on_exit_of(void *userdata, pid_t pid, int status) {
  Exits *exits = userdata;

  exits->pids[exits->count] = pid;
  exits->statuses[exits->count++] = status;
}

static bool both_ended(void *userdata) {
  return ((Exits *)userdata)->count == 2;
}

static pid_t start_child(int exit_code) {
  pid_t pid = fork();

  if (pid == 0) {
    if (exit_code < 0)
      for (;;)
        pause();
    _exit(exit_code);
  }
  assert_true(pid > 0);
  return pid;
}

static void children_are_told_and_reaped(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  Exits exits = {0};
  pid_t first = start_child(3), second = start_child(-1);

  assert_int_equal(loop_watch_child(loop, first, on_exit_of, &exits), 0);
  assert_int_equal(loop_watch_child(loop, second, on_exit_of, &exits), 0);
  assert_int_equal(loop_watch_child(loop, second, on_exit_of, &exits), -EBUSY);
  kill(second, SIGKILL);
  assert_int_equal(loop_run_until(loop, both_ended, &exits, soon()), 0);
  for (int i = 0; i < 2; i++)
    if (exits.pids[i] == first)
      assert_true(WIFEXITED(exits.statuses[i]) && WEXITSTATUS(exits.statuses[i]) == 3);
    else
      assert_true(exits.pids[i] == second && WIFSIGNALED(exits.statuses[i]) && WTERMSIG(exits.statuses[i]) == SIGKILL);
  assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
  assert_int_equal(errno, ECHILD);
}

static void a_child_can_be_forgotten(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  Exits exits = {0};
  pid_t pid = start_child(0);
  int status;

  assert_int_equal(loop_watch_child(loop, pid, on_exit_of, &exits), 0);
  loop_unwatch_child(loop, pid);
  loop_unwatch_child(loop, pid);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(loop_turn(loop, 0), 0);
  assert_int_equal(exits.count, 0);
  assert_int_equal(loop_watch_child(loop, pid, on_exit_of, &exits), -ESRCH);
}

static void nofile_is_raised_to_the_hard_limit(void **state _unused_) {
  struct rlimit before, after;
  uint64_t limit = 0;

  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  before.rlim_cur = 100;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  assert_int_equal(loop_raise_nofile(&limit), 0);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &after), 0);
  assert_int_equal(after.rlim_cur, before.rlim_max);
  assert_int_equal(limit, before.rlim_max);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_signal_arrives_on_the_loop),
      cmocka_unit_test(children_are_told_and_reaped),
      cmocka_unit_test(a_child_can_be_forgotten),
      cmocka_unit_test(nofile_is_raised_to_the_hard_limit),
  };

  loop_block_signals();
  return cmocka_run_group_tests(tests, NULL, NULL);
}
