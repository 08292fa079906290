/* The loop: order, timers, descriptors, hooks, posted calls. */
#include "bus/loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define DEADLINE_US (20 * US_PER_S) /* for events that are certain to come */

static uint64_t soon(void) {
  return clock_monotonic_us() + DEADLINE_US;
}

static bool is_set(void *flag) {
  return *(bool *)flag;
}

static bool never(void *userdata _unused_) {
  return false;
}

static Loop *new_loop(void) {
  Loop *loop = NULL;

  assert_int_equal(loop_new(&loop), 0);
  return loop;
}

/* --- running --- */

static void on_timer_stop(void *userdata, uint64_t now_us _unused_) {
  loop_stop(userdata, 7);
}

static void run_returns_the_code_of_stop(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  _cleanup_(loop_timer_destroy) LoopTimer *timer = NULL;

  assert_int_equal(loop_timer_new(loop, on_timer_stop, loop, &timer), 0);
  loop_timer_set(timer, 0);
  assert_int_equal(loop_run(loop), 7);
  loop_timer_set(timer, loop_now_us(loop) + 1);
  assert_int_equal(loop_run(loop), 7);
}

static void run_until_ends_by_deadline_and_by_stop(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  uint64_t start_us = clock_monotonic_us();

  assert_int_equal(loop_run_until(loop, never, NULL, start_us + 20 * US_PER_MS), -ETIMEDOUT);
  assert_true(clock_monotonic_us() >= start_us + 20 * US_PER_MS);
  loop_stop(loop, 1);
  assert_int_equal(loop_run_until(loop, never, NULL, TIME_NEVER), -ECANCELED);
}

static int nested_results[3];

static void on_timer_nest(void *userdata, uint64_t now_us _unused_) {
  Loop *loop = userdata;

  nested_results[0] = loop_run(loop);
  nested_results[1] = loop_run_until(loop, never, NULL, 0);
  nested_results[2] = loop_turn(loop, 0);
  loop_stop(loop, 0);
}

static void a_loop_inside_its_own_callback_is_refused(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  _cleanup_(loop_timer_destroy) LoopTimer *timer = NULL;

  assert_int_equal(loop_timer_new(loop, on_timer_nest, loop, &timer), 0);
  loop_timer_set(timer, 0);
  assert_int_equal(loop_run(loop), 0);
  for (size_t i = 0; i < ELEMENTS(nested_results); i++)
    assert_int_equal(nested_results[i], -EBUSY);
}

/* --- timers --- */

static char order[16];

static void on_timer_note(void *userdata, uint64_t now_us _unused_) {
  strncat(order, userdata, 1);
}

static void timers_fire_in_order_and_once(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  LoopTimer *timers[4];
  uint64_t now_us = clock_monotonic_us();

  order[0] = '\0';
  for (size_t i = 0; i < ELEMENTS(timers); i++)
    assert_int_equal(loop_timer_new(loop, on_timer_note, (void *)(uintptr_t) & "abcd"[i], &timers[i]), 0);
  loop_timer_set(timers[0], now_us + 3000);
  loop_timer_set(timers[1], now_us + 1000);
  loop_timer_set(timers[2], now_us + 2000);
  loop_timer_set(timers[3], now_us + 1500);
  loop_timer_set(timers[1], now_us + 4000); /* later than it was */
  loop_timer_set(timers[3], TIME_NEVER);
  assert_int_equal(loop_run_until(loop, never, NULL, now_us + 10 * US_PER_MS), -ETIMEDOUT);
  assert_string_equal(order, "cab");
  for (size_t i = 0; i < ELEMENTS(timers); i++)
    loop_timer_destroy(&timers[i]);
  assert_null(timers[0]);
}

static LoopTimer *busy_timer;
static unsigned busy_count;

static void on_timer_again(void *userdata _unused_, uint64_t now_us _unused_) {
  busy_count++;
  loop_timer_set(busy_timer, 0);
}

static void on_ready_once(void *userdata, int fd _unused_, uint32_t revents _unused_) {
  *(bool *)userdata = true;
}

static void a_timer_that_is_always_due_starves_nobody(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  _cleanup_(loop_fd_destroy) LoopFd *watch = NULL;
  bool done = false;
  int ends[2];

  assert_int_equal(pipe(ends), 0);
  assert_int_equal(write(ends[1], "x", 1), 1);
  busy_count = 0;
  assert_int_equal(loop_timer_new(loop, on_timer_again, NULL, &busy_timer), 0);
  loop_timer_set(busy_timer, 0);
  assert_int_equal(loop_watch_fd(loop, ends[0], EPOLLIN, on_ready_once, &done, &watch), 0);
  assert_int_equal(loop_run_until(loop, is_set, &done, soon()), 0);
  assert_int_equal(busy_count, 1); /* once in that one turn */
  loop_timer_destroy(&busy_timer);
  close(ends[0]);
  close(ends[1]);
}

/* --- descriptors and hooks --- */

typedef struct Pair {
  LoopFd *first;
  LoopFd *second;
  unsigned calls;
} Pair;

static void on_ready_destroy_both(void *userdata, int fd _unused_, uint32_t revents _unused_) {
  Pair *pair = userdata;

  pair->calls++;
  loop_fd_destroy(&pair->first);
  loop_fd_destroy(&pair->second);
}

static void a_destroyed_watch_is_not_called_in_the_same_turn(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  Pair pair = {0};
  int a[2], b[2];

  assert_int_equal(pipe(a), 0);
  assert_int_equal(pipe(b), 0);
  assert_int_equal(write(a[1], "x", 1), 1);
  assert_int_equal(write(b[1], "x", 1), 1);
  assert_int_equal(loop_watch_fd(loop, a[0], EPOLLIN, on_ready_destroy_both, &pair, &pair.first), 0);
  assert_int_equal(loop_watch_fd(loop, b[0], EPOLLIN, on_ready_destroy_both, &pair, &pair.second), 0);
  assert_int_equal(loop_turn(loop, 0), 0);
  assert_int_equal(loop_turn(loop, 0), 0);
  assert_int_equal(pair.calls, 1);
  for (int i = 0; i < 2; i++) {
    close(a[i]);
    close(b[i]);
  }
}

static void watch_fd_names_what_is_wrong(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  _cleanup_(loop_fd_destroy) LoopFd *watch = NULL;
  LoopFd *other = (LoopFd *)(uintptr_t)1;
  int ends[2];

  assert_int_equal(pipe(ends), 0);
  assert_int_equal(loop_watch_fd(loop, ends[0], EPOLLIN, on_ready_once, NULL, &watch), 0);
  assert_int_equal(loop_watch_fd(loop, ends[0], EPOLLIN, on_ready_once, NULL, &other), -EEXIST);
  assert_int_equal(loop_watch_fd(loop, -1, EPOLLIN, on_ready_once, NULL, &other), -EBADF);
  assert_ptr_equal(other, (void *)(uintptr_t)1);
  close(ends[0]);
  close(ends[1]);
}

static void events_can_be_changed(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  _cleanup_(loop_fd_destroy) LoopFd *watch = NULL;
  bool done = false;
  int ends[2];

  assert_int_equal(pipe(ends), 0);
  assert_int_equal(loop_watch_fd(loop, ends[1], 0, on_ready_once, &done, &watch), 0);
  assert_int_equal(loop_turn(loop, 0), 0);
  assert_false(done);
  assert_int_equal(loop_fd_set_events(watch, EPOLLOUT), 0);
  assert_int_equal(loop_turn(loop, 0), 0);
  assert_true(done);
  close(ends[0]);
  close(ends[1]);
}

static Loop *hook_loop;
static unsigned hook_calls[3];

static void hook_count(void *userdata) {
  ++*(unsigned *)userdata;
}

static void hook_leaves_with_the_next(void *userdata) {
  ++*(unsigned *)userdata;
  loop_remove_turn_end(hook_loop, hook_leaves_with_the_next, userdata);
  loop_remove_turn_end(hook_loop, hook_count, &hook_calls[1]);
}

static void hooks_run_once_per_turn_and_can_leave(void **state _unused_) {
  hook_loop = new_loop();
  memset(hook_calls, 0, sizeof hook_calls);
  assert_int_equal(loop_on_turn_end(hook_loop, hook_leaves_with_the_next, &hook_calls[0]), 0);
  assert_int_equal(loop_on_turn_end(hook_loop, hook_count, &hook_calls[1]), 0);
  assert_int_equal(loop_on_turn_end(hook_loop, hook_count, &hook_calls[2]), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(loop_turn(hook_loop, 0), 0);
  assert_int_equal(hook_calls[0], 1);
  assert_int_equal(hook_calls[1], 0);
  assert_int_equal(hook_calls[2], 3);
  loop_destroy(&hook_loop);
}

/* --- posted calls --- */

#define POSTERS 4
#define POSTS_EACH 20000

typedef struct Poster {
  Loop *loop;
  unsigned posted;
  unsigned seen;
  bool wrong_order;
} Poster;

typedef struct PostedCall {
  Poster *poster;
  unsigned number;
} PostedCall;

static unsigned posters_done;

static void on_posted(void *userdata) {
  PostedCall *call = userdata;

  if (call->number != call->poster->seen++)
    call->poster->wrong_order = true;
  if (call->poster->seen == POSTS_EACH)
    posters_done++;
  free(call);
}

static void *poster_run(void *userdata) {
  Poster *poster = userdata;

  for (unsigned i = 0; i < POSTS_EACH; i++) {
    PostedCall *call = malloc(sizeof *call);

    *call = (PostedCall){poster, i};
    if (loop_post(poster->loop, on_posted, call) < 0)
      abort();
  }
  return NULL;
}

static bool all_posted(void *userdata _unused_) {
  return posters_done == POSTERS;
}

static void posts_arrive_in_order_from_many_threads(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  Poster posters[POSTERS] = {0};
  pthread_t threads[POSTERS];

  posters_done = 0;
  for (size_t i = 0; i < POSTERS; i++) {
    posters[i].loop = loop;
    assert_int_equal(pthread_create(&threads[i], NULL, poster_run, &posters[i]), 0);
  }
  assert_int_equal(loop_run_until(loop, all_posted, NULL, soon() + DEADLINE_US), 0);
  for (size_t i = 0; i < POSTERS; i++) {
    pthread_join(threads[i], NULL);
    assert_false(posters[i].wrong_order);
  }
}

static void on_post_again(void *userdata) {
  ++busy_count;
  loop_post(userdata, on_post_again, userdata);
}

static void a_call_that_posts_itself_waits_for_the_next_turn(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();

  busy_count = 0;
  assert_int_equal(loop_post(loop, on_post_again, loop), 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(loop_turn(loop, 0), 0);
  assert_int_equal(busy_count, 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(run_returns_the_code_of_stop),
      cmocka_unit_test(run_until_ends_by_deadline_and_by_stop),
      cmocka_unit_test(a_loop_inside_its_own_callback_is_refused),
      cmocka_unit_test(timers_fire_in_order_and_once),
      cmocka_unit_test(a_timer_that_is_always_due_starves_nobody),
      cmocka_unit_test(a_destroyed_watch_is_not_called_in_the_same_turn),
      cmocka_unit_test(watch_fd_names_what_is_wrong),
      cmocka_unit_test(events_can_be_changed),
      cmocka_unit_test(hooks_run_once_per_turn_and_can_leave),
      cmocka_unit_test(posts_arrive_in_order_from_many_threads),
      cmocka_unit_test(a_call_that_posts_itself_waits_for_the_next_turn),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
