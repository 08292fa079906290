/* A ROUTER and a DEALER in one loop: messages one by one and in bursts, connections coming and going. */
#include "bus/loop/socket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define DEADLINE_US (20 * US_PER_S) /* for events that are certain to come */

typedef struct Side {
  Socket *socket;
  unsigned messages;
  unsigned rounds; /* in which a message came */
  unsigned ups, downs;
  uint32_t peer;
  int fd;
  bool echo;
} Side;

static Loop *loop;
static Side router, dealer;
static unsigned wanted;

static void on_ready(void *userdata) {
  Side *side = userdata;
  SocketMessage message;
  SocketEvent event;
  unsigned before = side->messages;

  while (socket_next_event(side->socket, &event) == 0) {
    side->ups += event.type == SOCKET_UP;
    side->downs += event.type == SOCKET_DOWN;
  }
  while (socket_receive(side->socket, &message) == 0) {
    side->messages++;
    side->peer = message.peer;
    side->fd = message.fd;
    if (side->echo)
      assert_int_equal(socket_send(side->socket, message.peer, message.header, BYTES_NONE, NULL), 0);
    socket_message_done(&message);
  }
  side->rounds += side->messages > before;
}

static void open_side(Side *side, SocketType type) {
  SocketHandler handler = {.on_ready = on_ready, .userdata = side};

  *side = (Side){.echo = false};
  assert_int_equal(socket_new(loop, type, 1000, &handler, &side->socket), 0);
}

static bool is_connected(void *userdata _unused_) {
  return router.ups == 1 && dealer.ups == 1;
}

static bool has_arrived(void *userdata _unused_) {
  return router.messages >= wanted;
}

static bool is_answered(void *userdata _unused_) {
  return dealer.messages >= wanted;
}

static bool is_down(void *side) {
  return ((Side *)side)->downs == 1;
}

static void run_until(bool (*done)(void *), void *userdata) {
  assert_int_equal(loop_run_until(loop, done, userdata, clock_monotonic_us() + DEADLINE_US), 0);
}

static int connect_both(void **state _unused_) {
  char endpoint[256];

  assert_int_equal(loop_new(&loop), 0);
  open_side(&router, SOCKET_ROUTER);
  open_side(&dealer, SOCKET_DEALER);
  assert_int_equal(socket_bind(router.socket, "tcp://127.0.0.1:*"), 0);
  assert_int_equal(socket_connect(dealer.socket, socket_endpoint(router.socket, endpoint, sizeof endpoint)), 0);
  run_until(is_connected, NULL);
  return 0;
}

static int close_both(void **state _unused_) {
  socket_destroy(&dealer.socket);
  socket_destroy(&router.socket);
  loop_destroy(&loop);
  socket_library_stop();
  return 0;
}

static void send_messages(unsigned count) {
  wanted += count;
  for (unsigned i = 0; i < count; i++)
    assert_int_equal(socket_send(dealer.socket, 0, (Bytes){(const uint8_t *)"x", 1}, BYTES_NONE, NULL), 0);
}

/* After a row of lone messages one receive is left out; a burst that comes then must be seen as one all the same. */
static void lone_messages_and_bursts_arrive_whole(void **state _unused_) {
  wanted = 0;
  for (unsigned round = 0; round < 5; round++) {
    for (unsigned i = 0; i < 20; i++) {
      send_messages(1);
      run_until(has_arrived, NULL);
    }
    for (unsigned i = 0; i < 3; i++) {
      send_messages(200);
      run_until(has_arrived, NULL);
    }
  }
  assert_int_equal(router.messages, wanted);
}

static void an_answer_goes_to_who_asked(void **state _unused_) {
  wanted = 0;
  router.echo = true;
  for (unsigned i = 1; i <= 20; i++) {
    send_messages(1);
    run_until(has_arrived, NULL);
  }
  run_until(is_answered, NULL);
  assert_int_not_equal(router.peer, 0);
  assert_int_equal(socket_send(router.socket, router.peer + 1, (Bytes){(const uint8_t *)"x", 1}, BYTES_NONE, NULL),
                   -EHOSTUNREACH);
}

static void a_hang_up_is_seen_on_both_sides(void **state _unused_) {
  wanted = 0;
  send_messages(1);
  run_until(has_arrived, NULL);
  socket_hang_up(router.socket, router.fd);
  run_until(is_down, &dealer);
  run_until(is_down, &router);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(lone_messages_and_bursts_arrive_whole, connect_both, close_both),
      cmocka_unit_test_setup_teardown(an_answer_goes_to_who_asked, connect_both, close_both),
      cmocka_unit_test_setup_teardown(a_hang_up_is_seen_on_both_sides, connect_both, close_both),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
