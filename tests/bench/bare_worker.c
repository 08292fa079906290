/* The worker of the bare broker: sends back what it gets. */
#include "tests/bench/bare.h"
#include "tests/bench/load.h"

#include <stdio.h>
#include <string.h>

static void answer(void *socket, zmq_msg_t *frame) {
  uint32_t kind = BARE_REPLY;

  memcpy((char *)zmq_msg_data(frame) + offsetof(LoadHead, kind), &kind, sizeof kind);
  if (zmq_msg_send(frame, socket, 0) < 0)
    zmq_msg_close(frame);
}

static int sign_on(void *socket) {
  LoadHead head = {.kind = BARE_READY};

  if (zmq_send(socket, &head, sizeof head, 0) < 0 || zmq_recv(socket, &head, sizeof head, 0) < 0)
    return -1;
  puts("ready");
  fflush(stdout);
  return 0;
}

int main(int argc, char **argv) {
  void *context = zmq_ctx_new();
  void *socket = zmq_socket(context, ZMQ_DEALER);
  zmq_msg_t frame;

  if (argc != 2) {
    fprintf(stderr, "usage: %s ENDPOINT\n", argv[0]);
    return 2;
  }
  bare_set_up(socket);
  if (zmq_connect(socket, argv[1]) || sign_on(socket)) {
    fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(zmq_errno()));
    return 1;
  }
  zmq_msg_init(&frame);
  while (zmq_msg_recv(&frame, socket, 0) >= 0)
    if (zmq_msg_size(&frame) >= sizeof(LoadHead))
      answer(socket, &frame);
  return 1;
}
