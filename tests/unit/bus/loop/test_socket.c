/* A ROUTER and a DEALER in one loop, and plain descriptors that speak ZMTP badly: messages whole and in pieces, large and in bursts,
   connections coming and going. */
#include "bus/loop/socket.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bus/loop/address.h"
#include "bus/zmtp/zmtp.h"

#define DEADLINE_US (20 * US_PER_S) /* for events that are certain to come */

typedef struct Side {
  Socket *socket;
  unsigned messages;
  unsigned rounds; /* in which a message came */
  unsigned ups, downs;
  uint32_t peer;
  int frames;
  int error;       /* of the last SOCKET_DOWN or SOCKET_FAILED */
  unsigned failed; /* attempts to connect */
  size_t body_bytes;
  uint64_t sum; /* of the bytes of all bodies */
  Block *kept;  /* the last block */
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
    side->failed += event.type == SOCKET_FAILED;
    if (event.type == SOCKET_DOWN || event.type == SOCKET_FAILED)
      side->error = event.error;
  }
  while (socket_receive(side->socket, &message) == 0) {
    side->messages++;
    side->peer = message.peer;
    side->frames = message.frames;
    side->body_bytes = message.body.size;
    for (size_t i = 0; i < message.body.size; i++)
      side->sum += message.body.data[i];
    assert_int_equal(message.block != NULL, message.body.size >= SOCKET_SHARED_BYTES);
    block_unref(&side->kept);
    side->kept = TAKE(message.block);
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
  block_unref(&router.kept);
  block_unref(&dealer.kept);
  loop_destroy(&loop);
  return 0;
}

static void send_messages(unsigned count) {
  wanted += count;
  for (unsigned i = 0; i < count; i++)
    assert_int_equal(socket_send(dealer.socket, 0, (Bytes){(const uint8_t *)"x", 1}, BYTES_NONE, NULL), 0);
}

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
  socket_hang_up(router.socket, router.peer);
  run_until(is_down, &dealer);
  run_until(is_down, &router);
}

/* --- a peer that is no socket of ours --- */

static char folder[64];
static char endpoint_text[96];

static int listen_in_folder(void **state _unused_) {
  snprintf(folder, sizeof folder, "/tmp/pons-test-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(endpoint_text, sizeof endpoint_text, "ipc://%s/bus", folder);
  assert_int_equal(loop_new(&loop), 0);
  open_side(&router, SOCKET_ROUTER);
  dealer = (Side){.echo = false};
  assert_int_equal(socket_bind(router.socket, endpoint_text), 0);
  return 0;
}

static int close_folder(void **state) {
  close_both(state);
  assert_int_equal(rmdir(folder), 0); /* so the path of the endpoint is gone */
  return 0;
}

static int plain_connection(void) {
  Address address;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

  assert_int_equal(address_read(endpoint_text, false, &address, NULL), 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address.storage, address.size), 0);
  return fd;
}

static void say(int fd, const void *bytes, size_t size) {
  assert_int_equal(send(fd, bytes, size, MSG_NOSIGNAL), size);
}

/* Greeting and READY of a DEALER. */
static void shake(int fd) {
  _cleanup_(buffer_done) Buffer ready = {0};
  uint8_t greeting[ZMTP_GREETING_BYTES];

  zmtp_greeting("NULL", false, greeting);
  zmtp_ready(ZMTP_DEALER, &ready);
  say(fd, greeting, sizeof greeting);
  say(fd, ready.data, ready.size);
}

static bool has_messages(void *side) {
  return ((Side *)side)->messages >= wanted;
}

static void turn_some(void) {
  for (int i = 0; i < 5; i++)
    assert_int_equal(loop_turn(loop, 0), 0);
}

static void bytes_may_come_one_by_one(void **state _unused_) {
  static const char message[] = "\1\2hh\0\4body\0\1x";
  int fd = plain_connection();

  shake(fd);
  for (size_t i = 0; i < sizeof message - 1; i++) {
    say(fd, message + i, 1);
    assert_int_equal(loop_turn(loop, 0), 0);
  }
  wanted = 2;
  run_until(has_messages, &router);
  assert_int_equal(router.sum, 'b' + 'o' + 'd' + 'y');
  close(fd);
  run_until(is_down, &router);
  assert_int_equal(router.error, 0);
}

static void what_came_before_the_end_is_received_before_it(void **state _unused_) {
  _cleanup_(buffer_done) Buffer messages = {0};
  int fd = plain_connection();

  shake(fd);
  for (int i = 0; i < 1000; i++)
    buffer_append(&messages, "\0\1x", 3);
  say(fd, messages.data, messages.size);
  close(fd);
  run_until(is_down, &router);
  assert_int_equal(router.messages, 1000);
}

static void end_with(const void *bytes, size_t size, int error) {
  int fd = plain_connection();

  router.downs = 0;
  say(fd, bytes, size);
  run_until(is_down, &router);
  assert_int_equal(router.error, error);
  assert_int_equal(router.messages, 0);
  close(fd);
}

static void who_speaks_no_zmtp_of_ours_is_hung_up_on(void **state _unused_) {
  uint8_t greeting[ZMTP_GREETING_BYTES];
  char text[ZMTP_GREETING_BYTES + 6];

  end_with("GET / HTTP/1.1\r\n\r\n", 18, -EPROTO);
  zmtp_greeting("CURVE", false, greeting);
  end_with(greeting, sizeof greeting, -ENOKEY);
  zmtp_greeting("NULL", false, greeting);
  memcpy(text, greeting, sizeof greeting);
  memcpy(text + sizeof greeting, "\0\4xxxx", 6);
  end_with(text, sizeof text, -EPROTO); /* a message where READY is due */
  memcpy(text + sizeof greeting, "\4\4READ", 6);
  end_with(text, sizeof text, -EPROTO);
}

static void a_frame_that_is_too_large_ends_the_connection(void **state _unused_) {
  int fd = plain_connection();

  shake(fd);
  say(fd, "\2\0\0\0\0\0\4\0\1", 9);
  run_until(is_down, &router);
  assert_int_equal(router.error, -EMSGSIZE);
  close(fd);
}

static void more_than_two_frames_are_one_bad_message(void **state _unused_) {
  int fd = plain_connection();

  shake(fd);
  say(fd, "\1\1a\1\1b\1\1c\0\1d", 12);
  wanted = 1;
  run_until(has_messages, &router);
  assert_int_equal(router.frames, 3);
  say(fd, "\0\1e", 3);
  wanted = 2;
  run_until(has_messages, &router);
  assert_int_equal(router.frames, 1);
  close(fd);
}

static void a_ping_of_zmtp_is_answered(void **state _unused_) {
  static const char expected[] = "\4\x08\4PONGctx";
  char bytes[256];
  ssize_t n = 0;
  int fd = plain_connection();

  shake(fd);
  say(fd, "\4\x0a\4PING\0\1ctx", 12);
  while (n < (ssize_t)sizeof expected - 1 ||
         memcmp(bytes + n - (sizeof expected - 1), expected, sizeof expected - 1) != 0) {
    ssize_t more = recv(fd, bytes + n, sizeof bytes - (size_t)n, MSG_DONTWAIT);

    n += more > 0 ? more : 0;
    assert_true(n < (ssize_t)sizeof bytes);
    assert_int_equal(loop_turn(loop, 0), 0);
  }
  close(fd);
}

/* Halves of messages are bounded together: who waits longest for its rest goes, and who goes on is heard. */
static void halves_of_messages_are_bounded_together(void **state _unused_) {
  enum { HALF_BYTES = 100000, BOUND_BYTES = 250000, CONNECTIONS = 3 };
  static uint8_t frame[9 + HALF_BYTES] = {
      2, 0, 0, 0, 0, 0, HALF_BYTES >> 16, HALF_BYTES >> 8 & 0xff, HALF_BYTES & 0xff};
  int fds[CONNECTIONS];

  socket_bound(router.socket, 0, BOUND_BYTES);
  for (size_t i = 0; i < CONNECTIONS; i++) {
    fds[i] = plain_connection();
    shake(fds[i]);
    say(fds[i], frame, 20000);
    turn_some();
    assert_int_equal(router.downs, i == CONNECTIONS - 1);
  }
  assert_int_equal(router.error, -ENOBUFS);
  wanted = CONNECTIONS - 1;
  for (size_t i = 1; i < CONNECTIONS; i++)
    say(fds[i], frame + 20000, sizeof frame - 20000);
  run_until(has_messages, &router);
  assert_int_equal(router.messages, CONNECTIONS - 1);
  for (size_t i = 0; i < CONNECTIONS; i++)
    close(fds[i]);
}

/* Nothing is kept for who pings and never reads, and the next thing that it sends is still understood. */
static void pings_of_who_never_reads_cost_nothing(void **state _unused_) {
  static const char ping[] = "\4\x0a\4PING\0\1ctx";
  enum { PINGS = 50000, AT_ONCE = 50, KEPT_MAX_BYTES = 1024 };
  size_t most_bytes = 0;
  int fd = plain_connection();

  shake(fd);
  for (int i = 0; i < PINGS; i++) {
    say(fd, ping, sizeof ping - 1);
    if (i % AT_ONCE == 0)
      turn_some();
    most_bytes = max_u64(most_bytes, socket_queued_bytes(router.socket, 0));
  }
  assert_true(most_bytes > 0 && most_bytes < KEPT_MAX_BYTES);
  say(fd, "\0\1e", 3);
  wanted = 1;
  run_until(has_messages, &router);
  close(fd);
  run_until(is_down, &router);
  assert_int_equal(socket_queued_bytes(router.socket, 0), 0);
}

/* --- large bodies, slow readers --- */

static int connect_in_folder(void **state) {
  listen_in_folder(state);
  open_side(&dealer, SOCKET_DEALER);
  assert_int_equal(socket_connect(dealer.socket, endpoint_text), 0);
  run_until(is_connected, NULL);
  return 0;
}

static void bodies_of_all_sizes_arrive(void **state _unused_) {
  static const size_t sizes[] = {1, 255, 256, 8191, 8192, 65530, 65536, 200000, 262144};
  static uint8_t body[262144];
  uint64_t sum = 0;

  for (size_t i = 0; i < sizeof body; i++)
    body[i] = (uint8_t)(i * 7 % 251);
  wanted = 0;
  for (size_t i = 0; i < ELEMENTS(sizes); i++) {
    _cleanup_(block_unref) Block *block = i % 2 ? block_copy((Bytes){body, sizes[i]}) : NULL;
    Bytes bytes = block ? block_bytes(block) : (Bytes){body, sizes[i]};

    assert_int_equal(socket_send(dealer.socket, 0, (Bytes){body, 20}, bytes, block), 0);
    for (size_t at = 0; at < sizes[i]; at++)
      sum += body[at];
    wanted++;
  }
  run_until(has_messages, &router);
  assert_int_equal(router.messages, ELEMENTS(sizes));
  assert_int_equal(router.sum, sum);
  assert_int_equal(router.body_bytes, 262144);
  assert_int_equal(router.kept->size, 262144);
  assert_memory_equal(router.kept->data, body, 262144);
}

static void who_does_not_read_is_full_at_some_time_and_gets_all(void **state _unused_) {
  static uint8_t body[60000];
  unsigned sent = 0;

  wanted = 0;
  while (socket_send(dealer.socket, 0, (Bytes){body, 20}, (Bytes){body, sizeof body}, NULL) == 0)
    sent++;
  assert_true(sent >= 1000); /* its queue, and what the kernel takes */
  wanted = sent;
  run_until(has_messages, &router);
  assert_int_equal(router.messages, sent);
  assert_int_equal(socket_send(dealer.socket, 0, (Bytes){body, 20}, BYTES_NONE, NULL), 0);
}

static void what_waits_is_bounded_in_bytes_too(void **state _unused_) {
  enum { BOUND_BYTES = 100000, BODY_BYTES = 60000, KEEP_BYTES = 200 /* heads, and what it costs to keep them */ };
  static uint8_t body[BODY_BYTES];
  _cleanup_(block_unref) Block *block = block_copy((Bytes){body, sizeof body});
  unsigned sent = 0;
  size_t waiting;

  wanted = 0;
  socket_bound(dealer.socket, BOUND_BYTES, 0);
  while (socket_send(dealer.socket, 0, (Bytes){body, 20}, block_bytes(block), sent % 2 ? block : NULL) == 0)
    sent++;
  waiting = socket_queued_bytes(dealer.socket, 0);
  assert_true(waiting >= BOUND_BYTES && waiting < BOUND_BYTES + BODY_BYTES + KEEP_BYTES);
  assert_int_equal(socket_queued_bytes(dealer.socket, 1), waiting);
  assert_int_equal(socket_queued_bytes(dealer.socket, 2), 0);
  wanted = sent;
  run_until(has_messages, &router);
  assert_int_equal(socket_queued_bytes(dealer.socket, 0), 0);
  assert_int_equal(router.body_bytes, BODY_BYTES);
}

static void what_is_queued_may_go_out_at_the_close(void **state _unused_) {
  static uint8_t body[60000];

  wanted = 0;
  for (unsigned i = 0; i < 20; i++)
    assert_int_equal(socket_send(dealer.socket, 0, (Bytes){body, 20}, (Bytes){body, sizeof body}, NULL), 0);
  socket_close(&dealer.socket, 0); /* nobody reads meanwhile */
  run_until(is_down, &router);
  assert_true(router.messages > 0 && router.messages < 20);
}

static void who_is_gone_is_unreachable(void **state _unused_) {
  Bytes x = {(const uint8_t *)"x", 1};

  send_messages(1);
  wanted = 1;
  run_until(has_messages, &router);
  socket_destroy(&dealer.socket);
  assert_int_equal(socket_send(router.socket, router.peer, x, BYTES_NONE, NULL), -EHOSTUNREACH);
  run_until(is_down, &router);
  assert_int_equal(socket_send(router.socket, router.peer, x, BYTES_NONE, NULL), -EHOSTUNREACH);
}

/* --- endpoints --- */

static void a_path_in_use_is_not_taken_and_a_stale_one_is(void **state _unused_) {
  Socket *other = NULL;
  SocketHandler handler = {.on_ready = on_ready, .userdata = &dealer};
  struct sockaddr_un un = {.sun_family = AF_UNIX};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  char stale[96];

  assert_int_equal(socket_new(loop, SOCKET_ROUTER, 1, &handler, &other), 0);
  assert_int_equal(socket_bind(other, endpoint_text), -EADDRINUSE);
  snprintf(un.sun_path, sizeof un.sun_path, "%s/stale", folder);
  assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
  close(fd);
  snprintf(stale, sizeof stale, "ipc://%s/stale", folder);
  assert_int_equal(socket_bind(other, stale), 0);
  socket_destroy(&other);
}

static void bad_endpoints_are_refused(void **state _unused_) {
  assert_int_equal(socket_bind(router.socket, "udp://127.0.0.1:1"), -EINVAL);
  assert_int_equal(socket_bind(router.socket, "ipc:///nowhere/at/all"), -ENOENT);
  assert_int_equal(socket_bind(router.socket, "tcp://192.0.2.1:*"), -EADDRNOTAVAIL);
  assert_int_equal(socket_bind(router.socket, "tcp://no.such.host.invalid:*"), -ENXIO);
  open_side(&dealer, SOCKET_DEALER);
  assert_int_equal(socket_connect(dealer.socket, "tcp://127.0.0.1:0"), -EINVAL);
}

static bool has_failed(void *side) {
  return ((Side *)side)->failed > 0;
}

static bool is_up(void *side) {
  return ((Side *)side)->ups > 0;
}

/* By name, and before anybody listens. */
static void a_dealer_goes_on_trying(void **state _unused_) {
  char bound[64];
  char by_name[64];

  assert_int_equal(socket_bind(router.socket, "tcp://127.0.0.1:*"), 0);
  socket_endpoint(router.socket, bound, sizeof bound);
  snprintf(by_name, sizeof by_name, "tcp://localhost%s", strrchr(bound, ':'));
  socket_destroy(&router.socket);
  open_side(&dealer, SOCKET_DEALER);
  assert_int_equal(socket_connect(dealer.socket, by_name), 0);
  run_until(has_failed, &dealer);
  assert_int_equal(dealer.error, -ECONNREFUSED);
  assert_int_equal(dealer.ups, 0);
  open_side(&router, SOCKET_ROUTER);
  assert_int_equal(socket_bind(router.socket, bound), 0);
  run_until(is_up, &dealer);
  socket_destroy(&router.socket);
  run_until(is_down, &dealer);
  dealer.ups = 0;
  open_side(&router, SOCKET_ROUTER);
  assert_int_equal(socket_bind(router.socket, bound), 0);
  run_until(is_up, &dealer);
}

static void on_ready_destroys(void *userdata) {
  Side *side = userdata;

  side->ups++;
  socket_destroy(&side->socket);
}

static void a_socket_may_be_destroyed_while_it_is_served(void **state _unused_) {
  SocketHandler handler = {.on_ready = on_ready_destroys, .userdata = &dealer};

  dealer = (Side){.echo = false};
  assert_int_equal(socket_new(loop, SOCKET_DEALER, 1, &handler, &dealer.socket), 0);
  assert_int_equal(socket_connect(dealer.socket, endpoint_text), 0);
  run_until(is_up, &dealer);
  assert_null(dealer.socket);
  turn_some();
}

#define IN(test, start) cmocka_unit_test_setup_teardown(test, start, close_folder)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(lone_messages_and_bursts_arrive_whole, connect_both, close_both),
      cmocka_unit_test_setup_teardown(an_answer_goes_to_who_asked, connect_both, close_both),
      cmocka_unit_test_setup_teardown(a_hang_up_is_seen_on_both_sides, connect_both, close_both),
      IN(bytes_may_come_one_by_one, listen_in_folder),
      IN(what_came_before_the_end_is_received_before_it, listen_in_folder),
      IN(who_speaks_no_zmtp_of_ours_is_hung_up_on, listen_in_folder),
      IN(a_frame_that_is_too_large_ends_the_connection, listen_in_folder),
      IN(more_than_two_frames_are_one_bad_message, listen_in_folder),
      IN(a_ping_of_zmtp_is_answered, listen_in_folder),
      IN(halves_of_messages_are_bounded_together, listen_in_folder),
      IN(pings_of_who_never_reads_cost_nothing, listen_in_folder),
      IN(bodies_of_all_sizes_arrive, connect_in_folder),
      IN(who_does_not_read_is_full_at_some_time_and_gets_all, connect_in_folder),
      IN(what_waits_is_bounded_in_bytes_too, connect_in_folder),
      IN(what_is_queued_may_go_out_at_the_close, connect_in_folder),
      IN(who_is_gone_is_unreachable, connect_in_folder),
      IN(a_path_in_use_is_not_taken_and_a_stale_one_is, listen_in_folder),
      IN(bad_endpoints_are_refused, listen_in_folder),
      IN(a_dealer_goes_on_trying, listen_in_folder),
      IN(a_socket_may_be_destroyed_while_it_is_served, listen_in_folder),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
