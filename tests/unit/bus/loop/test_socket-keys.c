/* A ROUTER with keys and who connects to it: the admitted, the foreign, the revoked, those without a key, those who fail too often. */
#include "bus/loop/socket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <unistd.h>

#define DEADLINE_US (20 * US_PER_S) /* for events that are certain to come */

typedef struct Side {
  Socket *socket;
  unsigned messages, ups, downs, failed, refused;
  uint32_t peer;
  int error; /* of the last event that had one */
  size_t header_bytes, body_bytes;
  uint64_t sum;
  Block *kept;
} Side;

static Loop *loop;
static Side router, dealer;
static KeyPair *server_key, *client_key, *foreign_key;
static PublicKey admitted;
static char endpoint[256];

static bool admit(void *userdata _unused_, PublicKey key) {
  return public_key_equal(key, admitted);
}

static const SocketGate gate = {.admit = admit};

static void take_event(Side *side, const SocketEvent *event) {
  side->ups += event->type == SOCKET_UP;
  side->downs += event->type == SOCKET_DOWN;
  side->failed += event->type == SOCKET_FAILED;
  side->refused += event->type == SOCKET_REFUSED;
  if (event->type != SOCKET_UP)
    side->error = event->error;
}

static void on_ready(void *userdata) {
  Side *side = userdata;
  SocketMessage message;
  SocketEvent event;

  while (socket_next_event(side->socket, &event) == 0)
    take_event(side, &event);
  while (socket_receive(side->socket, &message) == 0) {
    side->messages++;
    side->peer = message.peer;
    side->header_bytes = message.header.size;
    side->body_bytes = message.body.size;
    side->sum = 0;
    for (size_t i = 0; i < message.body.size; i++)
      side->sum += message.body.data[i];
    block_unref(&side->kept);
    side->kept = TAKE(message.block);
    socket_message_done(&message);
  }
}

static void open_side(Side *side, SocketType type) {
  SocketHandler handler = {on_ready, side};

  *side = (Side){.error = 0};
  assert_int_equal(socket_new(loop, type, 1000, &handler, &side->socket), 0);
}

/* Who: NULL = nobody, in clear. */
static void connect_as(KeyPair *who, PublicKey server) {
  open_side(&dealer, SOCKET_DEALER);
  if (who)
    socket_use_key(dealer.socket, who, server);
  assert_int_equal(socket_connect(dealer.socket, endpoint), 0);
}

static int open_router(void **state _unused_) {
  key_new(&server_key);
  key_new(&client_key);
  key_new(&foreign_key);
  admitted = key_public(client_key);
  assert_int_equal(loop_new(&loop), 0);
  open_side(&router, SOCKET_ROUTER);
  socket_use_gate(router.socket, server_key, &gate);
  assert_int_equal(socket_bind(router.socket, "tcp://127.0.0.1:*"), 0);
  socket_endpoint(router.socket, endpoint, sizeof endpoint);
  return 0;
}

static int close_all(void **state _unused_) {
  socket_destroy(&dealer.socket);
  socket_destroy(&router.socket);
  block_unref(&router.kept);
  block_unref(&dealer.kept);
  loop_destroy(&loop);
  key_unref(&server_key);
  key_unref(&client_key);
  key_unref(&foreign_key);
  return 0;
}

static bool is_up(void *userdata _unused_) {
  return dealer.ups == 1;
}

static bool has_failed(void *userdata _unused_) {
  return dealer.failed > 0 && router.downs > 0;
}

static bool is_down(void *userdata _unused_) {
  return dealer.downs == 1 && router.downs == 1;
}

static bool is_limited(void *userdata _unused_) {
  return router.refused > 0;
}

static bool has_messages(void *wanted) {
  return router.messages + dealer.messages >= *(unsigned *)wanted;
}

static void run_until(bool (*done)(void *), void *userdata) {
  assert_int_equal(loop_run_until(loop, done, userdata, clock_monotonic_us() + DEADLINE_US), 0);
}

/* One message there and one back, of a body of so many bytes; returns when both have come. */
static void exchange(size_t body_bytes) {
  unsigned wanted = router.messages + dealer.messages + 1;
  uint8_t *body = malloc(body_bytes + 1);
  uint64_t sum = 0;

  for (size_t i = 0; i < body_bytes; i++)
    sum += body[i] = (uint8_t)(i * 31);
  assert_int_equal(socket_send(dealer.socket, 0, (Bytes){(const uint8_t *)"head", 4}, (Bytes){body, body_bytes}, NULL),
                   0);
  run_until(has_messages, &wanted);
  assert_int_equal(router.header_bytes, 4);
  assert_int_equal(router.body_bytes, body_bytes);
  assert_int_equal(router.sum, sum);
  wanted++;
  assert_int_equal(
      socket_send(router.socket, router.peer, (Bytes){(const uint8_t *)"h", 1}, (Bytes){body, body_bytes}, NULL), 0);
  run_until(has_messages, &wanted);
  assert_int_equal(dealer.body_bytes, body_bytes);
  assert_int_equal(dealer.sum, sum);
  free(body);
}

static void who_is_admitted_talks_and_is_known(void **state _unused_) {
  static const size_t sizes[] = {0, 1, 8191, 8192, 65536, 262144};
  PublicKey key;

  connect_as(client_key, key_public(server_key));
  run_until(is_up, NULL);
  for (size_t i = 0; i < ELEMENTS(sizes); i++)
    exchange(sizes[i]);
  assert_int_equal(router.kept != NULL, true); /* a large body has a block here too */
  assert_int_equal(socket_peer_key(router.socket, router.peer, &key), 0);
  assert_true(public_key_equal(key, key_public(client_key)));
  assert_int_equal(socket_peer_key(router.socket, router.peer + 1, &key), -ENOKEY);
}

static void bursts_arrive_whole(void **state _unused_) {
  static uint8_t body[3000];
  unsigned wanted = 3000;

  connect_as(client_key, key_public(server_key));
  run_until(is_up, NULL);
  for (unsigned i = 0; i < 600; i++) {
    for (unsigned k = 0; k < 5; k++)
      while (socket_send(dealer.socket, 0, (Bytes){body, 1 + k}, (Bytes){body, 600 * k}, NULL) == -EAGAIN)
        loop_run_until(loop, has_messages, &wanted, clock_monotonic_us() + 1000);
  }
  run_until(has_messages, &wanted);
  assert_int_equal(router.downs, 0);
}

static void refused(KeyPair *who, PublicKey server, int error_there, int error_here) {
  connect_as(who, server);
  run_until(has_failed, NULL);
  assert_int_equal(dealer.error, error_there);
  assert_int_equal(router.error, error_here);
  assert_int_equal(router.messages, 0);
  assert_int_equal(dealer.ups, 0);
  socket_destroy(&dealer.socket);
  router.downs = 0;
}

static void everybody_else_is_refused_by_name(void **state _unused_) {
  refused(foreign_key, key_public(server_key), -EKEYREJECTED, -EKEYREJECTED);
  refused(client_key, key_public(foreign_key), -EKEYREJECTED, -EKEYREJECTED); /* it means another server */
  refused(NULL, key_public(server_key), -ENOKEY, -ENOKEY);
}

static void a_client_with_keys_does_not_talk_to_a_server_without(void **state _unused_) {
  socket_destroy(&router.socket);
  open_side(&router, SOCKET_ROUTER);
  assert_int_equal(socket_bind(router.socket, "tcp://127.0.0.1:*"), 0);
  socket_endpoint(router.socket, endpoint, sizeof endpoint);
  refused(client_key, key_public(server_key), -ENOKEY, -ENOKEY);
}

static void who_is_revoked_is_hung_up_on(void **state _unused_) {
  connect_as(client_key, key_public(server_key));
  run_until(is_up, NULL);
  exchange(1);
  socket_ask_gate_again(router.socket);
  exchange(1);
  admitted = key_public(foreign_key);
  socket_ask_gate_again(router.socket);
  run_until(is_down, NULL);
  dealer.failed = 0;
  run_until(has_failed, NULL);
  assert_int_equal(dealer.error, -EKEYREJECTED);
}

/* Nobody can have a handshake made as often as he likes; who was in before stays. */
static void who_fails_too_often_is_not_heard(void **state _unused_) {
  static Side bad[32]; /* more than come back in time to be forgiven */
  SocketHandler handlers[ELEMENTS(bad)];
  unsigned before;

  connect_as(client_key, key_public(server_key));
  run_until(is_up, NULL);
  for (size_t i = 0; i < ELEMENTS(bad); i++) {
    bad[i] = (Side){.error = 0};
    handlers[i] = (SocketHandler){on_ready, &bad[i]};
    assert_int_equal(socket_new(loop, SOCKET_DEALER, 1, &handlers[i], &bad[i].socket), 0);
    socket_use_key(bad[i].socket, foreign_key, key_public(server_key));
    assert_int_equal(socket_connect(bad[i].socket, endpoint), 0);
  }
  run_until(is_limited, NULL);
  assert_int_equal(router.error, -EDQUOT);
  assert_true(router.downs >= 64);
  before = router.messages;
  exchange(10);
  assert_int_equal(router.messages, before + 1);
  for (size_t i = 0; i < ELEMENTS(bad); i++)
    socket_destroy(&bad[i].socket);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, open_router, close_all)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(who_is_admitted_talks_and_is_known), TEST(bursts_arrive_whole),
      TEST(everybody_else_is_refused_by_name),  TEST(a_client_with_keys_does_not_talk_to_a_server_without),
      TEST(who_is_revoked_is_hung_up_on),       TEST(who_fails_too_often_is_not_heard),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
