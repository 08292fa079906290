/* A ROUTER that sends back what comes, or a DEALER that asks and holds the answer against what it has sent; with keys. test_curve.py
   has libzmq on the other side.
     curve_peer serve KEYFILE CLIENT-KEY             prints its public key and its endpoint, and serves until its input ends
     curve_peer ask KEYFILE SERVER-KEY ENDPOINT      asks with bodies of several sizes, prints "ok", or the error */
#include "bus/loop/socket.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DEADLINE_US (30 * US_PER_S)

static Loop *loop;
static Socket *peer;
static PublicKey other;
static bool up;
static int error;
static size_t got_bytes;
static bool has_answer;

static bool admit(void *userdata _unused_, PublicKey key) {
  return public_key_equal(key, other);
}

static void take_events(void) {
  SocketEvent event;

  while (socket_next_event(peer, &event) == 0) {
    up = up || event.type == SOCKET_UP;
    if (event.type == SOCKET_FAILED)
      error = event.error;
  }
}

static void on_ready_to_serve(void *userdata _unused_) {
  SocketMessage message;

  take_events();
  while (socket_receive(peer, &message) == 0) {
    socket_send(peer, message.peer, message.header, message.body, message.block);
    socket_message_done(&message);
  }
}

static void on_ready_to_ask(void *userdata _unused_) {
  SocketMessage message;

  take_events();
  while (socket_receive(peer, &message) == 0) {
    got_bytes = message.body.size;
    has_answer = true;
    socket_message_done(&message);
  }
}

static bool is_up(void *userdata _unused_) {
  return up || error;
}

static bool is_answered(void *userdata _unused_) {
  return has_answer;
}

static void on_input(void *userdata _unused_, int fd, uint32_t revents _unused_) {
  char byte;

  if (read(fd, &byte, 1) <= 0)
    loop_stop(loop, 0);
}

static int serve(KeyPair *key) {
  SocketHandler handler = {on_ready_to_serve, NULL};
  SocketGate gate = {.admit = admit};
  LoopFd *input = NULL;
  char text[KEY_TEXT_SIZE];
  char endpoint[256];
  int r = socket_new(loop, SOCKET_ROUTER, 1000, &handler, &peer);

  if (r < 0)
    return r;
  socket_use_gate(peer, key, &gate);
  r = socket_bind(peer, "tcp://127.0.0.1:*");
  if (r == 0)
    r = loop_watch_fd(loop, STDIN_FILENO, EPOLLIN, on_input, NULL, &input);
  if (r < 0)
    return r;
  printf("%s %s\n", public_key_print(key_public(key), text), socket_endpoint(peer, endpoint, sizeof endpoint));
  fflush(stdout);
  r = loop_run(loop);
  loop_fd_destroy(&input);
  return r;
}

static int ask_one(size_t body_bytes) {
  uint8_t *body = calloc(1, body_bytes + 1);
  int r;

  if (!body)
    abort();
  has_answer = false;
  r = socket_send(peer, 0, (Bytes){(const uint8_t *)"head", 4}, (Bytes){body, body_bytes}, NULL);
  free(body);
  if (r == 0)
    r = loop_run_until(loop, is_answered, NULL, clock_monotonic_us() + DEADLINE_US);
  return r < 0 ? r : got_bytes == body_bytes ? 0 : -1;
}

static int ask(KeyPair *key, const char *endpoint) {
  static const size_t sizes[] = {0, 1, 255, 256, 8192, 262144};
  SocketHandler handler = {on_ready_to_ask, NULL};
  int r = socket_new(loop, SOCKET_DEALER, 1000, &handler, &peer);

  if (r < 0)
    return r;
  socket_use_key(peer, key, other);
  r = socket_connect(peer, endpoint);
  if (r == 0)
    r = loop_run_until(loop, is_up, NULL, clock_monotonic_us() + DEADLINE_US);
  if (r == 0 && !up)
    r = error;
  for (size_t i = 0; r == 0 && i < ELEMENTS(sizes); i++)
    r = ask_one(sizes[i]);
  puts(r == 0 ? "ok" : strerror(-r));
  return r;
}

int main(int argc, char **argv) {
  _cleanup_(key_unref) KeyPair *key = NULL;
  int r;

  if (argc < 4 || public_key_read(text_of(argv[3]), &other) != 0 || key_read(argv[2], &key) != 0 || loop_new(&loop) < 0)
    return 2;
  r = argc > 4 ? ask(key, argv[4]) : serve(key);
  socket_destroy(&peer);
  loop_destroy(&loop);
  return r == 0 ? 0 : 1;
}
