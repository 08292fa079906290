/* The broker of the "C + libzmq" fleet: one ROUTER that says OK to each registration and each beat. */
#include "tests/bench/bare.h"

#include <stdio.h>

int main(int argc, char **argv) {
  void *socket = zmq_socket(zmq_ctx_new(), ZMQ_ROUTER);
  char bound[256], from[256], text[256];
  size_t size = sizeof bound;

  bare_set_up(socket);
  if (argc != 2 || zmq_bind(socket, argv[1])) {
    fprintf(stderr, "usage: %s ENDPOINT (%s)\n", argv[0], zmq_strerror(zmq_errno()));
    return 1;
  }
  zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size);
  printf("ready %s\n", bound);
  fflush(stdout);
  for (;;) {
    int from_size = zmq_recv(socket, from, sizeof from, 0);

    if (from_size < 0 || zmq_recv(socket, text, sizeof text, 0) < 0)
      return 1;
    zmq_send(socket, from, (size_t)from_size, ZMQ_SNDMORE);
    zmq_send(socket, "OK", 2, 0);
  }
}
