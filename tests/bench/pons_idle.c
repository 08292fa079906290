/* Many idle agents in one process: each has a connection and a session of its own, offers its own services, grants
   credit, answers PING, beats when its turn comes, and is never asked anything. It speaks the protocol through bus/wire
   alone, so that a thousand of them cost little beside the load that is measured. */
#include "bus/base/clock.h"
#include "bus/wire/header.h"
#include "bus/wire/msgpack.h"
#include "bus/wire/pack.h"

#include <stdio.h>
#include <stdlib.h>
#include <zmq.h>

#define OPENING_MAX 32u /* HELLOs on the way at once: a broker's listen queue is short */
#define BEAT_US (4 * US_PER_S)

typedef struct Idle {
  void *socket;
  uint64_t beat_at_us;
} Idle;

typedef struct Crowd {
  void *context;
  const char *endpoint;
  uint32_t count, services_each;
  uint32_t started, open;
  Idle *idles;
  zmq_pollitem_t *items;
} Crowd;

static void fail(const char *what) {
  fprintf(stderr, "%s: %s\n", what, zmq_strerror(zmq_errno()));
  exit(1);
}

static void send_message(Idle *idle, const Header *header, Bytes body) {
  _cleanup_(buffer_done) Buffer buffer = {0};

  header_encode(header, &buffer);
  if (zmq_send(idle->socket, buffer.data, buffer.size, body.size ? ZMQ_SNDMORE : 0) < 0)
    fail("send");
  if (body.size && zmq_send(idle->socket, body.data, body.size, 0) < 0)
    fail("send");
  idle->beat_at_us = clock_monotonic_us() + BEAT_US;
}

static void put_key(Buffer *body, const char *key) {
  msgpack_put_text(body, text_of(key));
}

static void put_service(Buffer *body, uint32_t number, uint32_t service) {
  char name[48];

  snprintf(name, sizeof name, "idle-%u-%u", number, service);
  msgpack_put_map(body, 2);
  put_key(body, "service");
  msgpack_put_text(body, text_of(name));
  put_key(body, "methods");
  msgpack_put_array(body, 1);
  msgpack_put_map(body, 3);
  put_key(body, "method");
  msgpack_put_text(body, TEXT("ask"));
  put_key(body, "flags");
  msgpack_put_uint(body, 1);
  put_key(body, "hash");
  msgpack_put_uint(body, 0);
}

static void say_hello(const Crowd *crowd, Idle *idle, uint32_t number) {
  _cleanup_(buffer_done) Buffer body = {0};
  char name[32];

  snprintf(name, sizeof name, "idle-%u", number);
  msgpack_put_map(&body, 6);
  put_key(&body, "version");
  msgpack_put_uint(&body, PROTOCOL_VERSION);
  put_key(&body, "min_version");
  msgpack_put_uint(&body, PROTOCOL_VERSION_MIN);
  put_key(&body, "client");
  msgpack_put_uint(&body, random_u64());
  put_key(&body, "agent");
  msgpack_put_text(&body, text_of(name));
  put_key(&body, "incarnation");
  msgpack_put_uint(&body, clock_realtime_us());
  put_key(&body, "services");
  msgpack_put_array(&body, crowd->services_each);
  for (uint32_t i = 0; i < crowd->services_each; i++)
    put_service(&body, number, i);
  send_message(idle, &(Header){.kind = KIND_HELLO}, buffer_bytes(&body));
}

static void start_one(Crowd *crowd) {
  uint32_t number = crowd->started++;
  Idle *idle = &crowd->idles[number];
  int zero = 0;

  idle->socket = zmq_socket(crowd->context, ZMQ_DEALER);
  if (!idle->socket)
    fail("socket");
  zmq_setsockopt(idle->socket, ZMQ_LINGER, &zero, sizeof zero);
  if (zmq_connect(idle->socket, crowd->endpoint))
    fail(crowd->endpoint);
  crowd->items[number] = (zmq_pollitem_t){.socket = idle->socket, .events = ZMQ_POLLIN};
  say_hello(crowd, idle, number);
}

static void on_header(Crowd *crowd, Idle *idle, Bytes bytes) {
  Header header;

  if (header_decode(bytes, &header))
    return;
  if (header.kind == KIND_WELCOME) {
    send_message(idle, &(Header){.kind = KIND_CREDIT, .session = header.session, .credit = 1}, BYTES_NONE);
    crowd->open++;
  } else if (header.kind == KIND_PING) {
    send_message(idle, &(Header){.kind = KIND_PONG, .number = header.number}, BYTES_NONE);
  } else if (header.kind == KIND_ERROR || header.kind == KIND_BYE) {
    fprintf(stderr, "the broker refuses: %s %s\n", kind_name(header.kind), status_name(header.status));
    exit(1);
  }
}

static void on_message(Crowd *crowd, Idle *idle, Bytes head, Bytes body) {
  Header header;
  Bytes inner, inner_body;

  if (header_decode(head, &header) == 0 && header.kind == KIND_PACK)
    while (!pack_next(&body, &inner, &inner_body))
      on_header(crowd, idle, inner);
  else
    on_header(crowd, idle, head);
}

static Bytes message_bytes(zmq_msg_t *message) {
  return (Bytes){zmq_msg_data(message), zmq_msg_size(message)};
}

static void drain(Crowd *crowd, Idle *idle) {
  zmq_msg_t head, body;

  zmq_msg_init(&head);
  zmq_msg_init(&body);
  while (zmq_msg_recv(&head, idle->socket, ZMQ_DONTWAIT) >= 0) {
    bool more = zmq_msg_more(&head);

    if (more && zmq_msg_recv(&body, idle->socket, 0) < 0)
      fail("recv");
    on_message(crowd, idle, message_bytes(&head), more ? message_bytes(&body) : BYTES_NONE);
  }
  zmq_msg_close(&head);
  zmq_msg_close(&body);
}

/* One wait of at most 100 ms, what came, and the beats that are due. */
static void turn(Crowd *crowd) {
  uint64_t now_us;

  if (zmq_poll(crowd->items, (int)crowd->started, 100) < 0)
    fail("poll");
  for (uint32_t i = 0; i < crowd->started; i++)
    if (crowd->items[i].revents)
      drain(crowd, &crowd->idles[i]);
  now_us = clock_monotonic_us();
  for (uint32_t i = 0; i < crowd->started; i++)
    if (now_us >= crowd->idles[i].beat_at_us)
      send_message(&crowd->idles[i], &(Header){.kind = KIND_PING, .number = now_us}, BYTES_NONE);
}

int main(int argc, char **argv) {
  Crowd crowd = {0};

  if (argc != 4) {
    fprintf(stderr, "usage: %s ENDPOINT AGENTS SERVICES_OF_EACH\n", argv[0]);
    return 2;
  }
  crowd.endpoint = argv[1];
  crowd.count = (uint32_t)strtoul(argv[2], NULL, 10);
  crowd.services_each = (uint32_t)strtoul(argv[3], NULL, 10);
  crowd.idles = calloc(crowd.count + 1u, sizeof *crowd.idles);
  crowd.items = calloc(crowd.count + 1u, sizeof *crowd.items);
  crowd.context = zmq_ctx_new();
  zmq_ctx_set(crowd.context, ZMQ_MAX_SOCKETS, 18000);
  if (!crowd.idles || !crowd.items)
    abort();
  while (crowd.open < crowd.count) {
    while (crowd.started < crowd.count && crowd.started - crowd.open < OPENING_MAX)
      start_one(&crowd);
    turn(&crowd);
  }
  puts("ready");
  fflush(stdout);
  for (;;)
    turn(&crowd);
}
