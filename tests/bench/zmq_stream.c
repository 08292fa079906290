/* What libzmq itself costs for the messages of streams: a sender, a relay and a receiver, each a process of its own as agent,
   broker and gateway are. Only the receiver counts.
   zmq-stream relay ENDPOINT | receiver ENDPOINT | sender ENDPOINT RATE BYTES; the receiver prints what came, one line for
   each line that it reads. */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "tests/bench/bare.h"

static void *open_socket(int type, const char *name) {
  void *socket = zmq_socket(zmq_ctx_new(), type);

  bare_set_up(socket);
  if (name)
    zmq_setsockopt(socket, ZMQ_ROUTING_ID, name, strlen(name));
  return socket;
}

static void say_ready(void) {
  puts("ready");
  fflush(stdout);
}

/* Two frames in, who and what; two frames out. What the receiver says only makes it known. */
static int relay(const char *endpoint) {
  void *socket = open_socket(ZMQ_ROUTER, NULL);
  zmq_msg_t from, body;

  if (zmq_bind(socket, endpoint))
    return 1;
  say_ready();
  zmq_msg_init(&from);
  zmq_msg_init(&body);
  while (zmq_msg_recv(&from, socket, 0) >= 0 && zmq_msg_recv(&body, socket, 0) >= 0) {
    if (*(const char *)zmq_msg_data(&from) != 's')
      continue;
    zmq_send(socket, "r", 1, ZMQ_SNDMORE);
    zmq_msg_send(&body, socket, 0);
  }
  return 1;
}

static uint64_t take_all(void *socket, zmq_msg_t *frame) {
  uint64_t count = 0;

  while (zmq_msg_recv(frame, socket, ZMQ_DONTWAIT) >= 0)
    count++;
  return count;
}

static int receiver(const char *endpoint) {
  void *socket = open_socket(ZMQ_DEALER, "r");
  zmq_pollitem_t items[] = {{.socket = socket, .events = ZMQ_POLLIN}, {.fd = STDIN_FILENO, .events = ZMQ_POLLIN}};
  uint64_t count = 0;
  zmq_msg_t frame;
  char line[16];

  if (zmq_connect(socket, endpoint) || zmq_send(socket, "", 0, 0) < 0)
    return 1;
  say_ready();
  zmq_msg_init(&frame);
  while (zmq_poll(items, 2, -1) >= 0) {
    count += take_all(socket, &frame);
    if (!items[1].revents)
      continue;
    if (read(STDIN_FILENO, line, sizeof line) <= 0)
      return 0;
    printf("{\"received\":%llu}\n", (unsigned long long)count);
    fflush(stdout);
  }
  return 1;
}

/* One message at a time, evenly spread, as many streams at once have them. */
static int sender(const char *endpoint, uint64_t rate, size_t bytes) {
  void *socket = open_socket(ZMQ_DEALER, "s");
  const struct itimerspec gap = {.it_value = {.tv_nsec = 1}, .it_interval = {.tv_nsec = (long)(1000000000 / rate)}};
  int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  char *body = calloc(1, bytes);
  uint64_t due;

  if (!body || zmq_connect(socket, endpoint))
    return 1;
  prctl(PR_SET_TIMERSLACK, 1UL);
  say_ready();
  timerfd_settime(timer, 0, &gap, NULL);
  while (read(timer, &due, sizeof due) == sizeof due)
    for (; due > 0; due--)
      zmq_send(socket, body, bytes, 0);
  return 1;
}

int main(int argc, char **argv) {
  int r = 2;

  if (argc == 3 && strcmp(argv[1], "relay") == 0)
    r = relay(argv[2]);
  else if (argc == 3 && strcmp(argv[1], "receiver") == 0)
    r = receiver(argv[2]);
  else if (argc == 5 && strcmp(argv[1], "sender") == 0 && atoi(argv[3]) > 1 && atoi(argv[4]) > 0)
    r = sender(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
  else
    fprintf(stderr, "usage: %s relay|receiver ENDPOINT, or sender ENDPOINT RATE BYTES\n", argv[0]);
  if (r == 1)
    fprintf(stderr, "%s: %s\n", argv[2], zmq_strerror(errno));
  return r;
}
