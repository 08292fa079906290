/* The yardstick: the least that a ZeroMQ broker can do. One ROUTER; a message is one frame besides the routing id; the
   client's routing id is written in place into the head of that frame, so a reply needs no table. Workers take turns
   (least recently used first) and have 32 requests each at the most. No heartbeat, no deadline, no check of input. */
#include "tests/bench/bare.h"
#include "tests/bench/load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH 64u
#define WORKERS_MAX 4096u

typedef struct Worker {
  uint32_t id;
  uint32_t credit;
  bool in_ring;
} Worker;

typedef struct Broker {
  void *socket;
  uint32_t base; /* libzmq counts routing ids up from a random one: the first seen makes them small */
  bool base_known;
  Worker *by_index[WORKERS_MAX];
  Worker *ring[WORKERS_MAX]; /* workers with credit, least recently used first */
  uint32_t ring_head, ring_size;
  zmq_msg_t *waiting; /* requests that no worker has credit for, a power of two of places */
  uint64_t waiting_head, waiting_tail, waiting_room;
} Broker;

static void send_to(Broker *broker, uint32_t id, zmq_msg_t *frame) {
  zmq_msg_t to;
  char *bytes;

  zmq_msg_init_size(&to, 5);
  bytes = zmq_msg_data(&to);
  bytes[0] = 0;
  memcpy(bytes + 1, &id, sizeof id);
  zmq_msg_send(&to, broker->socket, ZMQ_SNDMORE);
  if (zmq_msg_send(frame, broker->socket, 0) < 0)
    zmq_msg_close(frame);
}

static void ring_push(Broker *broker, Worker *worker) {
  if (worker->in_ring)
    return;
  broker->ring[(broker->ring_head + broker->ring_size++) % WORKERS_MAX] = worker;
  worker->in_ring = true;
}

static Worker *ring_pop(Broker *broker) {
  Worker *worker;

  if (!broker->ring_size)
    return NULL;
  worker = broker->ring[broker->ring_head % WORKERS_MAX];
  broker->ring_head = (broker->ring_head + 1) % WORKERS_MAX;
  broker->ring_size--;
  worker->in_ring = false;
  return worker;
}

static void waiting_push(Broker *broker, zmq_msg_t *frame) {
  if (broker->waiting_tail - broker->waiting_head == broker->waiting_room) {
    uint64_t room = broker->waiting_room ? broker->waiting_room * 2 : 1024;
    zmq_msg_t *waiting = calloc(room, sizeof *waiting);

    if (!waiting)
      abort();
    for (uint64_t i = broker->waiting_head; i < broker->waiting_tail; i++)
      waiting[i & (room - 1)] = broker->waiting[i & (broker->waiting_room - 1)];
    free(broker->waiting);
    broker->waiting = waiting;
    broker->waiting_room = room;
  }
  broker->waiting[broker->waiting_tail++ & (broker->waiting_room - 1)] = *frame;
  zmq_msg_init(frame);
}

static void give(Broker *broker, Worker *worker, zmq_msg_t *frame) {
  send_to(broker, worker->id, frame);
  if (--worker->credit)
    ring_push(broker, worker);
}

static void on_request(Broker *broker, uint32_t from, zmq_msg_t *frame) {
  Worker *worker = ring_pop(broker);

  memcpy(zmq_msg_data(frame), &from, sizeof from);
  if (worker)
    give(broker, worker, frame);
  else
    waiting_push(broker, frame);
}

static void on_reply(Broker *broker, uint32_t from, const LoadHead *head, zmq_msg_t *frame) {
  Worker *worker = broker->by_index[(from - broker->base) % WORKERS_MAX];

  send_to(broker, head->client, frame);
  if (!worker)
    return;
  worker->credit++;
  if (broker->waiting_head == broker->waiting_tail)
    ring_push(broker, worker);
  else
    give(broker, worker, &broker->waiting[broker->waiting_head++ & (broker->waiting_room - 1)]);
}

static void on_ready(Broker *broker, uint32_t from, zmq_msg_t *frame) {
  Worker *worker = calloc(1, sizeof *worker);

  if (!worker)
    abort();
  *worker = (Worker){.id = from, .credit = BARE_CREDIT};
  broker->by_index[(from - broker->base) % WORKERS_MAX] = worker;
  send_to(broker, from, frame);
  ring_push(broker, worker);
}

static void on_message(Broker *broker, const zmq_msg_t *identity, zmq_msg_t *frame) {
  LoadHead head;
  uint32_t from;

  if (zmq_msg_size(frame) < sizeof head || zmq_msg_size(identity) != 5)
    return;
  memcpy(&from, (const char *)zmq_msg_data((zmq_msg_t *)(uintptr_t)identity) + 1, sizeof from);
  memcpy(&head, zmq_msg_data(frame), sizeof head);
  if (!broker->base_known) {
    broker->base = from;
    broker->base_known = true;
  }
  if (head.kind == BARE_REQUEST)
    on_request(broker, from, frame);
  else if (head.kind == BARE_REPLY)
    on_reply(broker, from, &head, frame);
  else if (head.kind == BARE_READY)
    on_ready(broker, from, frame);
}

/* Waits for the first message, takes all that is there, up to a batch, then sends what it led to. */
static void serve(Broker *broker) {
  static zmq_msg_t identities[BATCH], frames[BATCH];
  uint32_t count;

  for (uint32_t i = 0; i < BATCH; i++) {
    zmq_msg_init(&identities[i]);
    zmq_msg_init(&frames[i]);
  }
  for (;;) {
    for (count = 0; count < BATCH; count++) {
      if (zmq_msg_recv(&identities[count], broker->socket, count ? ZMQ_DONTWAIT : 0) < 0)
        break;
      if (zmq_msg_recv(&frames[count], broker->socket, 0) < 0)
        return;
    }
    if (!count)
      return;
    for (uint32_t i = 0; i < count; i++)
      on_message(broker, &identities[i], &frames[i]);
  }
}

int main(int argc, char **argv) {
  static Broker broker;
  char bound[256];
  size_t size = sizeof bound;
  void *context = zmq_ctx_new();

  if (argc != 2) {
    fprintf(stderr, "usage: %s ENDPOINT\n", argv[0]);
    return 2;
  }
  broker.socket = zmq_socket(context, ZMQ_ROUTER);
  bare_set_up(broker.socket);
  if (zmq_bind(broker.socket, argv[1])) {
    fprintf(stderr, "%s: %s\n", argv[1], zmq_strerror(zmq_errno()));
    return 1;
  }
  zmq_getsockopt(broker.socket, ZMQ_LAST_ENDPOINT, bound, &size);
  printf("ready %s\n", bound);
  fflush(stdout);
  serve(&broker);
  return 1;
}
