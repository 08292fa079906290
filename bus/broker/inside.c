/* The core's sink may not call the core, so what it sends here waits until the turn ends. */
#include "bus/broker/inside.h"

#include <stdlib.h>

#include "bus/base/list.h"
#include "bus/wire/session.h"

enum {
  CREDIT = 256,
  METHODS = 16, /* of all its services together */
  SERVICES = 8,
};

typedef struct Heard {
  List in_inside;
  Kind kind;
  RequestId id;
  SessionId session;
  uint64_t number;
  Buffer service;
  Buffer method;
  Buffer body;
} Heard;

struct Inside {
  const char *agent;
  const char *prefix;
  InsideHandler handler;
  Core *core;
  Session *session;
  uint64_t client;
  List heard;
};

int inside_new(Inside **ret, const char *agent, const char *prefix, const InsideHandler *handler) {
  Inside *inside = calloc(1, sizeof *inside);

  if (!inside)
    abort();
  inside->agent = agent;
  inside->prefix = prefix;
  inside->handler = *handler;
  list_init(&inside->heard);
  *ret = inside;
  return 0;
}

static void drop(Heard *heard) {
  list_remove(&heard->in_inside);
  buffer_done(&heard->service);
  buffer_done(&heard->method);
  buffer_done(&heard->body);
  free(heard);
}

void inside_destroy(Inside **inside) {
  Inside *gone = TAKE(*inside);

  if (!gone)
    return;
  LIST_EACH (&gone->heard, Heard, in_inside, heard)
    drop(heard);
  free(gone);
}

/* --- to the core --- */

static void say(Inside *inside, const Header *header, Bytes body, uint64_t now_us) {
  _cleanup_(buffer_done) Buffer bytes = {0};

  if (!inside->session)
    return;
  header_encode(header, &bytes);
  core_receive(inside->core, inside->session, body.size ? 2 : 1, buffer_bytes(&bytes), body, NULL, now_us);
}

/* The tables of contracts say what it offers. */
typedef struct Offers {
  HelloService services[SERVICES];
  HelloMethod methods[SERVICES][METHODS];
  size_t n;
} Offers;

static void offer(Offers *offers, const MethodContract *contract) {
  size_t i = 0;

  while (i < offers->n && !text_is(offers->services[i].service, contract->service))
    i++;
  if (i == SERVICES || offers->services[i].methods.count == METHODS)
    abort();
  HelloService *service = &offers->services[i];
  HelloMethod *method = &offers->methods[i][service->methods.count];

  if (i == offers->n)
    offers->n++;
  service->service = text_of(contract->service);
  service->methods.items = offers->methods[i];
  service->methods.count++;
  method->method = text_of(contract->method);
  method->has_flags = method->has_hash = true;
  method->flags = contract->flags;
  method->hash = method_contract_hash(contract);
}

void inside_enter(Inside *inside, Core *core, uint64_t incarnation, uint64_t now_us) {
  Header header = {.kind = KIND_HELLO};
  _cleanup_(buffer_done) Buffer body = {0};
  Offers offers = {0};
  const MethodContract *contract;
  Hello hello = {.version = PROTOCOL_VERSION,
                 .client = random_u64() | 1,
                 .agent = text_of(inside->agent),
                 .incarnation = incarnation,
                 .has_services = true};

  for (size_t i = 0; (contract = contract_method_at(i)); i++)
    if (strncmp(contract->service, inside->prefix, strlen(inside->prefix)) == 0)
      offer(&offers, contract);
  hello.services.items = offers.services;
  hello.services.count = offers.n;
  if (contract_encode(CONTRACT(Hello), &hello, &body, NULL) != 0)
    abort();
  inside->core = core;
  inside->session = core_connect(core, inside, now_us);
  core_trust(inside->session);
  say(inside, &header, buffer_bytes(&body), now_us);
}

void inside_reply(Inside *inside, RequestId id, Bytes body, uint64_t now_us) {
  say(inside, &(Header){.kind = KIND_REPLY, .id = id}, body, now_us);
}

void inside_fail(Inside *inside, RequestId id, Status status, Bytes body, uint64_t now_us) {
  say(inside, &(Header){.kind = KIND_ERROR, .id = id, .status = status}, body, now_us);
}

/* --- from the core --- */

void inside_hear(Inside *inside, const Header *header, Bytes body) {
  Heard *heard = calloc(1, sizeof *heard);

  if (!heard)
    abort();
  heard->kind = header->kind;
  heard->id = header->id;
  heard->session = header->session;
  heard->number = header->number;
  buffer_append(&heard->service, header->service.data, header->service.size);
  buffer_append(&heard->method, header->method.data, header->method.size);
  buffer_append(&heard->body, body.data, body.size);
  list_push(&inside->heard, &heard->in_inside);
}

void inside_close(Inside *inside) {
  inside->session = NULL;
}

static Text text_in(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

/* A broker that drains echoes nothing here: what is asked is answered in the same turn or in a round trip to the peer. */
static void look_at(Inside *inside, const Heard *heard, uint64_t now_us) {
  InsideAsk ask = {heard->id, text_in(&heard->service), text_in(&heard->method), buffer_bytes(&heard->body)};

  if (heard->kind == KIND_WELCOME)
    say(inside, &(Header){.kind = KIND_CREDIT, .session = heard->session, .credit = CREDIT}, BYTES_NONE, now_us);
  else if (heard->kind == KIND_PING)
    say(inside, &(Header){.kind = KIND_PONG, .number = heard->number}, BYTES_NONE, now_us);
  else if (heard->kind == KIND_REQUEST)
    inside->handler.on_ask(inside->handler.userdata, &ask);
}

bool inside_turn(Inside *inside, uint64_t now_us) {
  bool any = !list_is_empty(&inside->heard);
  Heard *heard;

  while ((heard = LIST_FIRST(&inside->heard, Heard, in_inside))) {
    list_remove(&heard->in_inside);
    look_at(inside, heard, now_us);
    drop(heard);
  }
  return any;
}
