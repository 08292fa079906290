/* The client of the bare broker: a plain DEALER, one frame each way. */
#include "tests/bench/bare.h"
#include "tests/bench/load.h"

#include <string.h>

static void send_slot(Load *load, void *socket, uint32_t slot) {
  zmq_msg_t frame;

  zmq_msg_init_size(&frame, load->size_bytes);
  memcpy(zmq_msg_data(&frame), load_body(load, slot, BARE_REQUEST), load->size_bytes);
  if (zmq_msg_send(&frame, socket, 0) < 0)
    zmq_msg_close(&frame);
}

static int probe(Load *load, void *socket) {
  zmq_msg_t frame;
  int rc;

  send_slot(load, socket, 0);
  zmq_msg_init(&frame);
  rc = zmq_msg_recv(&frame, socket, 0);
  zmq_msg_close(&frame);
  return rc < 0 ? -1 : load_ready(load);
}

static void drive(Load *load, void *socket) {
  zmq_msg_t frame;
  uint32_t slot;

  for (slot = 0; slot < load->outstanding; slot++) {
    load_sent(load, slot);
    send_slot(load, socket, slot);
  }
  zmq_msg_init(&frame);
  while (!load_finished(load) && zmq_msg_recv(&frame, socket, 0) >= 0)
    if (load_reply(load, zmq_msg_data(&frame), zmq_msg_size(&frame), &slot))
      send_slot(load, socket, slot);
  zmq_msg_close(&frame);
}

int main(int argc, char **argv) {
  static Load load;
  void *context, *socket;
  int silence_ms = LOAD_SILENCE_MS, rc;

  if (load_init(&load, argc, argv))
    return 2;
  context = zmq_ctx_new();
  socket = zmq_socket(context, ZMQ_DEALER);
  bare_set_up(socket);
  zmq_setsockopt(socket, ZMQ_RCVTIMEO, &silence_ms, sizeof silence_ms);
  rc = zmq_connect(socket, load.endpoint) || probe(&load, socket);
  if (rc) {
    fprintf(stderr, "%s: %s\n", load.endpoint, zmq_strerror(zmq_errno()));
  } else {
    drive(&load, socket);
    load_print(&load);
  }
  zmq_close(socket);
  zmq_ctx_term(context);
  load_done(&load);
  return rc ? 1 : 0;
}
