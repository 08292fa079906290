/* The way out to a peer that does not read: real sockets, a full queue, a bounded backlog. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/broker/peer.h"

enum { WAIT_US = 10000000, BODY_BYTES = 65536 };

/* A ROUTER, a DEALER connected to it, and a peer for it. */
typedef struct Fixture {
  char folder[64];
  Loop *loop;
  Socket *router;
  Socket *dealer;
  Peer *peer;
  bool up;
  bool greeted;
  uint32_t received;
  uint32_t frames; /* ZeroMQ messages, a PACK being one */
} Fixture;

static void on_router(void *userdata) {
  Fixture *f = userdata;
  SocketEvent event;
  SocketMessage message;

  while (socket_next_event(f->router, &event) == 0)
    continue;
  while (socket_receive(f->router, &message) == 0) {
    if (!f->peer)
      f->peer = peer_new(message.peer);
    f->greeted = true;
    socket_message_done(&message);
  }
}

static void on_dealer(void *userdata) {
  Fixture *f = userdata;
  SocketEvent event;

  while (socket_next_event(f->dealer, &event) == 0)
    f->up = event.type == SOCKET_UP;
  if (!f->up)
    socket_receive(f->dealer,
                   &(SocketMessage){.peer = 0}); /* the handshake is read too; then nothing, until drain_dealer */
}

static bool is_up(void *userdata) {
  return ((Fixture *)userdata)->up;
}

static bool is_greeted(void *userdata) {
  return ((Fixture *)userdata)->greeted;
}

static int start(void **state) {
  Fixture *f = calloc(1, sizeof *f);
  SocketHandler router = {on_router, f};
  SocketHandler dealer = {on_dealer, f};
  char endpoint[96];

  snprintf(f->folder, sizeof f->folder, "/tmp/pons-test-XXXXXX");
  assert_non_null(mkdtemp(f->folder));
  snprintf(endpoint, sizeof endpoint, "ipc://%s/bus", f->folder);
  assert_int_equal(loop_new(&f->loop), 0);
  assert_int_equal(socket_new(f->loop, SOCKET_ROUTER, 4, &router, &f->router), 0);
  assert_int_equal(socket_bind(f->router, endpoint), 0);
  assert_int_equal(socket_new(f->loop, SOCKET_DEALER, 4, &dealer, &f->dealer), 0);
  assert_int_equal(socket_connect(f->dealer, endpoint), 0);
  assert_int_equal(loop_run_until(f->loop, is_up, f, clock_monotonic_us() + WAIT_US), 0);
  assert_int_equal(socket_send(f->dealer, 0, (Bytes){(const uint8_t *)"\x90", 1}, BYTES_NONE, NULL), 0);
  assert_int_equal(loop_run_until(f->loop, is_greeted, f, clock_monotonic_us() + WAIT_US), 0);
  *state = f;
  return 0;
}

static int stop(void **state) {
  Fixture *f = *state;
  char path[96];

  peer_destroy(&f->peer);
  socket_destroy(&f->dealer);
  socket_destroy(&f->router);
  loop_destroy(&f->loop);
  snprintf(path, sizeof path, "%s/bus", f->folder);
  unlink(path);
  rmdir(f->folder);
  free(f);
  return 0;
}

static int push(Fixture *f, Kind kind, size_t body_bytes) {
  static uint8_t zeros[BODY_BYTES];
  Header header = {.kind = kind, .id = {{7}, 1}, .service = TEXT("t")};

  return peer_push(f->peer, f->router, &header, (Bytes){zeros, body_bytes}, NULL);
}

static void test_small_messages_wait_for_the_end_of_the_turn(void **state) {
  Fixture *f = *state;

  assert_int_equal(push(f, KIND_REPLY, 10), 0);
  assert_int_equal(push(f, KIND_REPLY, 10), 0);
  assert_int_equal(f->peer->pack.count, 2);
  assert_int_equal(peer_flush(f->peer, f->router), 0);
  assert_int_equal(f->peer->pack.count, 0);
  assert_true(list_is_empty(&f->peer->backlog));
}

static void test_a_peer_that_does_not_read_is_named_full(void **state) {
  Fixture *f = *state;
  int r = 0;
  int pushed = 0;

  while (r == 0 && pushed++ < 4096)
    r = push(f, KIND_REPLY, BODY_BYTES);
  assert_int_equal(r, PEER_E_FULL);
  assert_true(f->peer->backlog_bytes <= LIMIT_OUTBOX_BYTES);
  assert_true(f->peer->backlog_bytes > LIMIT_OUTBOX_BYTES - 2 * BODY_BYTES);
  assert_int_equal(peer_retry(f->peer, f->router), -EAGAIN);
}

static void test_events_lose_the_oldest_first(void **state) {
  Fixture *f = *state;

  while (list_is_empty(&f->peer->backlog))
    assert_int_equal(push(f, KIND_REPLY, BODY_BYTES), 0);
  for (int i = 0; i < LIMIT_OUTBOX_EVENTS + 5; i++)
    assert_int_equal(push(f, KIND_EVENT, 100), 0);
  assert_int_equal(f->peer->backlog_events, LIMIT_OUTBOX_EVENTS);
  assert_int_equal(f->peer->events_lost, 5);
}

static bool drained(void *userdata) {
  Fixture *f = userdata;
  SocketMessage message;

  while (socket_receive(f->dealer, &message) == 0) {
    f->received += message.body.size == BODY_BYTES;
    f->frames++;
    socket_message_done(&message);
  }
  return peer_retry(f->peer, f->router) == 0;
}

static void test_the_backlog_goes_out_when_the_peer_reads_again(void **state) {
  Fixture *f = *state;
  uint32_t sent = 0;

  while (f->peer->backlog_bytes < 8 * BODY_BYTES) {
    assert_int_equal(push(f, KIND_REPLY, BODY_BYTES), 0);
    sent++;
  }
  while (!drained(f))
    loop_turn(f->loop, clock_monotonic_us() + 1000);
  while (f->received < sent) {
    drained(f);
    loop_turn(f->loop, clock_monotonic_us() + 1000);
  }
  assert_int_equal(f->received, sent);
  assert_int_equal(f->peer->backlog_bytes, 0);
}

static void test_small_messages_that_waited_go_out_packed(void **state) {
  enum { SMALL = 3 * LIMIT_PACK_MESSAGES };
  Fixture *f = *state;
  uint32_t large = 0;

  for (; list_is_empty(&f->peer->backlog); large++)
    assert_int_equal(push(f, KIND_REPLY, BODY_BYTES), 0);
  for (int i = 0; i < SMALL; i++)
    assert_int_equal(push(f, KIND_REPLY, 10), 0);
  while (!drained(f))
    loop_turn(f->loop, clock_monotonic_us() + 1000);
  while (f->frames < large + SMALL / LIMIT_PACK_MESSAGES) {
    drained(f);
    loop_turn(f->loop, clock_monotonic_us() + 1000);
  }
  assert_int_equal(f->received, large);
  assert_int_equal(f->frames, large + SMALL / LIMIT_PACK_MESSAGES);
  assert_int_equal(f->peer->backlog_bytes, 0);
}

static void test_events_make_room_for_what_must_not_be_lost(void **state) {
  Fixture *f = *state;
  uint64_t lost;
  int r = 0;

  while (list_is_empty(&f->peer->backlog))
    assert_int_equal(push(f, KIND_REPLY, BODY_BYTES), 0);
  while (f->peer->events_lost == 0)
    assert_int_equal(push(f, KIND_EVENT, BODY_BYTES), 0);
  lost = f->peer->events_lost;
  while (f->peer->backlog_events > 0 && r == 0)
    r = push(f, KIND_REPLY, BODY_BYTES);
  assert_int_equal(r, 0);
  assert_true(f->peer->events_lost > lost);
  assert_true(f->peer->backlog_bytes <= LIMIT_OUTBOX_BYTES);
  while (r == 0)
    r = push(f, KIND_REPLY, BODY_BYTES);
  assert_int_equal(r, PEER_E_FULL);
}

static void test_small_messages_count_with_what_they_cost(void **state) {
  Fixture *f = *state;
  uint32_t n = 0;

  while (list_is_empty(&f->peer->backlog))
    assert_int_equal(push(f, KIND_REPLY, BODY_BYTES), 0);
  while (push(f, KIND_PONG, 0) == 0)
    n++;
  assert_true(n < LIMIT_OUTBOX_BYTES / 40); /* a PONG is a few bytes */
}

static void test_a_peer_that_is_gone(void **state) {
  Fixture *f = *state;
  int r = 0;

  socket_destroy(&f->dealer);
  while (r == 0 || r == -EAGAIN) {
    r = list_is_empty(&f->peer->backlog) ? push(f, KIND_REPLY, BODY_BYTES) : peer_retry(f->peer, f->router);
    loop_turn(f->loop, clock_monotonic_us() + 1000);
  }
  assert_int_equal(r, -EHOSTUNREACH);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_small_messages_wait_for_the_end_of_the_turn, start, stop),
      cmocka_unit_test_setup_teardown(test_a_peer_that_does_not_read_is_named_full, start, stop),
      cmocka_unit_test_setup_teardown(test_events_lose_the_oldest_first, start, stop),
      cmocka_unit_test_setup_teardown(test_the_backlog_goes_out_when_the_peer_reads_again, start, stop),
      cmocka_unit_test_setup_teardown(test_small_messages_that_waited_go_out_packed, start, stop),
      cmocka_unit_test_setup_teardown(test_events_make_room_for_what_must_not_be_lost, start, stop),
      cmocka_unit_test_setup_teardown(test_small_messages_count_with_what_they_cost, start, stop),
      cmocka_unit_test_setup_teardown(test_a_peer_that_is_gone, start, stop),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
