/* ZeroMQ sockets in the loop: no message is slept on, whatever swallows the edge of ZMQ_FD, and no flood starves others. */
#include "bus/loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <zmq.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define DEADLINE_US (20 * US_PER_S) /* for events that are certain to come */

static uint64_t soon(void) {
  return clock_monotonic_us() + DEADLINE_US;
}

static Loop *new_loop(void) {
  Loop *loop = NULL;

  assert_int_equal(loop_new(&loop), 0);
  return loop;
}

#define FLOOD 50000

static unsigned timer_count;

typedef struct Flood {
  void *context;
  void *in;
  void *out;
  char *endpoint;
  unsigned received;
  unsigned bound; /* messages per call */
  unsigned greatest_batch;
  bool over;
  Loop *loop;
} Flood;

static void on_flood(void *userdata) {
  Flood *flood = userdata;
  char data[64];
  unsigned n = 0;

  while (n < flood->bound && zmq_recv(flood->in, data, sizeof data, ZMQ_DONTWAIT) >= 0)
    n++;
  flood->received += n;
  if (n > flood->greatest_batch)
    flood->greatest_batch = n;
}

static bool flood_over(void *userdata) {
  return ((Flood *)userdata)->received == FLOOD;
}

static void *flood_run(void *userdata) {
  Flood *flood = userdata;
  int high_water = 0;
  void *out = zmq_socket(flood->context, ZMQ_DEALER);

  zmq_setsockopt(out, ZMQ_SNDHWM, &high_water, sizeof high_water);
  if (zmq_connect(out, flood->endpoint) < 0)
    abort();
  for (unsigned i = 0; i < FLOOD; i++)
    if (zmq_send(out, "x", 1, 0) < 0)
      abort();
  zmq_close(out);
  return NULL;
}

static void on_timer_count(void *userdata, uint64_t now_us) {
  timer_count++;
  loop_timer_set(*(LoopTimer **)userdata, now_us + 200);
}

/* Each message that the flooder sends may wake the loop or not; none may be left in the socket while the loop sleeps. */
static void flood_is_received_whole(unsigned bound, const char *endpoint) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  LoopSocket *watch = NULL;
  LoopTimer *timer = NULL;
  Flood flood = {.bound = bound};
  int high_water = 0;
  char bound_to[128];
  size_t size = sizeof bound_to;
  pthread_t thread;

  flood.context = zmq_ctx_new();
  flood.in = zmq_socket(flood.context, ZMQ_DEALER);
  zmq_setsockopt(flood.in, ZMQ_RCVHWM, &high_water, sizeof high_water);
  assert_int_equal(zmq_bind(flood.in, endpoint), 0);
  assert_int_equal(zmq_getsockopt(flood.in, ZMQ_LAST_ENDPOINT, bound_to, &size), 0);
  flood.endpoint = bound_to;
  assert_int_equal(loop_watch_socket(loop, flood.in, on_flood, &flood, &watch), 0);
  timer_count = 0;
  assert_int_equal(loop_timer_new(loop, on_timer_count, (void *)&timer, &timer), 0);
  loop_timer_set(timer, 0);
  assert_int_equal(pthread_create(&thread, NULL, flood_run, &flood), 0);
  assert_int_equal(loop_run_until(loop, flood_over, &flood, soon() + DEADLINE_US), 0);
  pthread_join(thread, NULL);
  assert_true(flood.greatest_batch <= bound);
  assert_true(timer_count > 3);
  loop_timer_destroy(&timer);
  loop_socket_destroy(&watch);
  zmq_close(flood.in);
  zmq_ctx_term(flood.context);
}

static void a_flood_is_received_whole(void **state _unused_) {
  flood_is_received_whole(1, "inproc://flood");
  flood_is_received_whole(100, "tcp://127.0.0.1:*");
}

/* A round trip whose sends swallow edges: the answering side sends from a turn-end hook, after it has received. */
static Flood echo;

static void on_echo_request(void *userdata _unused_) {
  char data[64];

  while (zmq_recv(echo.in, data, sizeof data, ZMQ_DONTWAIT) >= 0)
    echo.bound++;
}

/* Looks at ZMQ_EVENTS first, as a send does now and then: what has come since the last receive is then known to libzmq
   and no more to epoll. */
static void hook_answer(void *userdata _unused_) {
  int events;
  size_t size = sizeof events;

  zmq_getsockopt(echo.in, ZMQ_EVENTS, &events, &size);
  for (; echo.bound > 0; echo.bound--)
    if (zmq_send(echo.in, "y", 1, ZMQ_DONTWAIT) < 0)
      abort();
}

static bool echo_over(void *userdata _unused_) {
  return echo.over;
}

static void on_echo_over(void *userdata _unused_) {
  echo.over = true;
}

/* Keeps up to 10 requests in flight, at changing pace. */
static void *echo_client_run(void *userdata _unused_) {
  char data[64];
  unsigned in_flight = 0;

  for (unsigned i = 0; i < 20000; i++) {
    if (zmq_send(echo.out, "x", 1, 0) < 0)
      abort();
    in_flight++;
    while (in_flight > i % 10)
      if (zmq_recv(echo.out, data, sizeof data, 0) >= 0)
        in_flight--;
      else
        return NULL; /* a time-out: the loop slept on a message */
  }
  loop_post(echo.loop, on_echo_over, NULL);
  return NULL;
}

static void no_message_is_slept_on_when_hooks_send(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  LoopSocket *watch = NULL;
  pthread_t thread;
  int timeout_ms = 10000;

  echo = (Flood){.context = zmq_ctx_new(), .loop = loop};
  echo.in = zmq_socket(echo.context, ZMQ_DEALER);
  echo.out = zmq_socket(echo.context, ZMQ_DEALER);
  zmq_setsockopt(echo.out, ZMQ_RCVTIMEO, &timeout_ms, sizeof timeout_ms);
  assert_int_equal(zmq_bind(echo.in, "inproc://echo"), 0);
  assert_int_equal(zmq_connect(echo.out, "inproc://echo"), 0);
  assert_int_equal(loop_watch_socket(loop, echo.in, on_echo_request, NULL, &watch), 0);
  assert_int_equal(loop_on_turn_end(loop, hook_answer, NULL), 0);
  assert_int_equal(pthread_create(&thread, NULL, echo_client_run, NULL), 0);
  /* The deadline is looked at without a timer of ours, so nothing but a message wakes the loop. */
  assert_int_equal(loop_run_until(loop, echo_over, NULL, soon()), 0);
  pthread_join(thread, NULL);
  loop_socket_destroy(&watch);
  zmq_close(echo.in);
  zmq_close(echo.out);
  zmq_ctx_term(echo.context);
}

static void what_came_before_the_watch_or_in_a_pause_is_found(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  LoopSocket *watch = NULL;
  Flood flood = {.bound = 10, .context = zmq_ctx_new()};
  char data[8];

  flood.in = zmq_socket(flood.context, ZMQ_PAIR);
  flood.out = zmq_socket(flood.context, ZMQ_PAIR);
  assert_int_equal(zmq_bind(flood.in, "inproc://pause"), 0);
  assert_int_equal(zmq_connect(flood.out, "inproc://pause"), 0);
  for (int i = 0; i < 3; i++)
    zmq_send(flood.out, "x", 1, 0);
  assert_int_equal(zmq_recv(flood.in, data, sizeof data, 0), 1); /* takes the edge */
  assert_int_equal(loop_watch_socket(loop, flood.in, on_flood, &flood, &watch), 0);
  assert_int_equal(loop_turn(loop, soon()), 0);
  assert_int_equal(flood.received, 2);
  loop_socket_pause(watch, true);
  zmq_send(flood.out, "x", 1, 0);
  for (int i = 0; i < 3; i++)
    assert_int_equal(loop_turn(loop, 0), 0);
  assert_int_equal(flood.received, 2);
  loop_socket_pause(watch, false);
  assert_int_equal(loop_turn(loop, soon()), 0);
  assert_int_equal(flood.received, 3);
  loop_socket_destroy(&watch);
  zmq_close(flood.in);
  zmq_close(flood.out);
  zmq_ctx_term(flood.context);
}

static void watch_socket_wants_a_socket(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = new_loop();
  LoopSocket *watch = (LoopSocket *)(uintptr_t)1;
  void *context = zmq_ctx_new();
  char no_socket[1024] = {0};

  assert_int_equal(loop_watch_socket(loop, no_socket, on_flood, NULL, &watch), -ENOTSOCK);
  assert_ptr_equal(watch, (void *)(uintptr_t)1);
  zmq_ctx_term(context);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_flood_is_received_whole),
      cmocka_unit_test(no_message_is_slept_on_when_hooks_send),
      cmocka_unit_test(what_came_before_the_watch_or_in_a_pause_is_found),
      cmocka_unit_test(watch_socket_wants_a_socket),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
