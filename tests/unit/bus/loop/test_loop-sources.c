/* Tasks of the loop: run after the descriptors, once per mark, never slept on, and none starves others. */
#include "bus/loop/loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define DEADLINE_US (20 * US_PER_S) /* for events that are certain to come */

typedef struct Work {
  Loop *loop;
  LoopTask *task;
  LoopTask **victim; /* destroyed by the next run */
  unsigned runs;
  unsigned pieces; /* that are left to do */
} Work;

static uint64_t soon(void) {
  return clock_monotonic_us() + DEADLINE_US;
}

static void work(void *userdata) {
  Work *w = userdata;

  w->runs++;
  if (w->victim)
    loop_task_destroy(w->victim);
  if (w->pieces > 0 && --w->pieces > 0)
    loop_task_mark(w->task);
}

static Work *new_work(Loop *loop, Work *w) {
  *w = (Work){.loop = loop};
  assert_int_equal(loop_task_new(loop, work, w, &w->task), 0);
  return w;
}

static void a_mark_is_one_run_and_no_sleep(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Work w;

  assert_int_equal(loop_new(&loop), 0);
  new_work(loop, &w);
  assert_int_equal(loop_turn(loop, 0), 0);
  assert_int_equal(w.runs, 0);
  loop_task_mark(w.task);
  loop_task_mark(w.task);
  assert_int_equal(loop_turn(loop, TIME_NEVER), 0); /* would sleep for ever, were the task not due */
  assert_int_equal(w.runs, 1);
  assert_int_equal(loop_turn(loop, 0), 0);
  assert_int_equal(w.runs, 1);
  loop_task_destroy(&w.task);
}

static void on_event(void *userdata, int fd, uint32_t revents _unused_) {
  eventfd_t value;

  eventfd_read(fd, &value);
  loop_task_mark(((Work *)userdata)->task);
}

static void what_a_descriptor_marks_runs_in_the_same_turn(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  LoopFd *watch = NULL;
  int fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
  Work w;

  assert_int_equal(loop_new(&loop), 0);
  new_work(loop, &w);
  assert_int_equal(loop_watch_fd(loop, fd, EPOLLIN, on_event, &w, &watch), 0);
  assert_int_equal(loop_turn(loop, soon()), 0);
  assert_int_equal(w.runs, 1);
  loop_fd_destroy(&watch);
  close(fd);
  loop_task_destroy(&w.task);
}

static unsigned timer_runs;

static void on_timer(void *userdata, uint64_t now_us) {
  timer_runs++;
  loop_timer_set(*(LoopTimer **)userdata, now_us);
}

/* A piece of it is done per turn, and timers come in between. */
static void long_work_starves_nobody(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  LoopTimer *timer = NULL;
  Work w;
  Work other;

  assert_int_equal(loop_new(&loop), 0);
  new_work(loop, &w)->pieces = 10;
  new_work(loop, &other)->pieces = 10;
  timer_runs = 0;
  assert_int_equal(loop_timer_new(loop, on_timer, (void *)&timer, &timer), 0);
  loop_timer_set(timer, 0);
  loop_task_mark(w.task);
  loop_task_mark(other.task);
  for (unsigned turn = 1; turn <= 10; turn++) {
    assert_int_equal(loop_turn(loop, 0), 0);
    assert_int_equal(w.runs, turn);
    assert_int_equal(other.runs, turn);
    assert_int_equal(timer_runs, turn);
  }
  loop_timer_destroy(&timer);
  loop_task_destroy(&w.task);
  loop_task_destroy(&other.task);
}

static void a_task_may_destroy_itself_and_the_next(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  Work first;
  Work second;
  Work third;

  assert_int_equal(loop_new(&loop), 0);
  new_work(loop, &first)->victim = &second.task;
  new_work(loop, &second);
  new_work(loop, &third)->victim = &third.task;
  loop_task_mark(first.task);
  loop_task_mark(second.task);
  loop_task_mark(third.task);
  assert_int_equal(loop_turn(loop, soon()), 0);
  assert_int_equal(first.runs, 1);
  assert_int_equal(second.runs, 0);
  assert_int_equal(third.runs, 1);
  assert_null(second.task);
  assert_null(third.task);
  assert_int_equal(loop_turn(loop, 0), 0);
  loop_task_destroy(&first.task);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_mark_is_one_run_and_no_sleep),
      cmocka_unit_test(what_a_descriptor_marks_runs_in_the_same_turn),
      cmocka_unit_test(long_work_starves_nobody),
      cmocka_unit_test(a_task_may_destroy_itself_and_the_next),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
