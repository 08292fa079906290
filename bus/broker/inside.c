/* The core's sink may not call the core, so what it sends here waits until the turn ends. */
#include "bus/broker/inside.h"

#include <stdlib.h>

#include "bus/broker/inside-internal.h"
#include "bus/wire/session.h"

enum {
  METHODS = 16, /* of a service */
  SERVICES = 8,
};

int inside_new(Inside **ret, const InsideOptions *options, const InsideHandler *handler) {
  Inside *inside = calloc(1, sizeof *inside);

  if (!inside)
    abort();
  inside->options = *options;
  if (options->client.value == 0)
    inside->options.client.value = random_u64() | 1;
  inside->handler = *handler;
  list_init(&inside->heard);
  list_init(&inside->coming);
  list_init(&inside->going);
  *ret = inside;
  return 0;
}

static void drop(Heard *heard) {
  list_remove(&heard->in_inside);
  buffer_done(&heard->service);
  buffer_done(&heard->method);
  buffer_done(&heard->content_type);
  buffer_done(&heard->own);
  block_unref(&heard->block);
  free(heard);
}

void inside_destroy(Inside **inside) {
  Inside *gone = TAKE(*inside);

  if (!gone)
    return;
  LIST_EACH (&gone->heard, Heard, in_inside, heard)
    drop(heard);
  inside_parts_done(gone);
  free(gone);
}

/* --- to the core --- */

void inside_say(Inside *inside, const Header *header, Bytes body, Block *block, uint64_t now_us) {
  _cleanup_(buffer_done) Buffer bytes = {0};

  if (!inside->session)
    return;
  header_encode(header, &bytes);
  core_receive(inside->core, inside->session, body.size ? 2 : 1, buffer_bytes(&bytes), body, block, now_us);
}

static void say(Inside *inside, const Header *header, Bytes body, uint64_t now_us) {
  inside_say(inside, header, body, NULL, now_us);
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

static bool is_offered(const Inside *inside, const char *service) {
  for (size_t i = 0; inside->options.services && inside->options.services[i]; i++)
    if (strcmp(inside->options.services[i], service) == 0)
      return true;
  return false;
}

void inside_enter(Inside *inside, InsideSet *set, Core *core, uint64_t incarnation, uint64_t now_us) {
  Header header = {.kind = KIND_HELLO};
  _cleanup_(buffer_done) Buffer body = {0};
  Offers offers = {0};
  const MethodContract *contract;
  Hello hello = {.version = PROTOCOL_VERSION,
                 .client = inside->options.client.value,
                 .agent = text_of(inside->options.agent),
                 .incarnation = incarnation,
                 .has_features = inside->handler.waits != NULL,
                 .features = FEATURE_CONFIRM};

  for (size_t i = 0; (contract = contract_method_at(i)); i++)
    if (is_offered(inside, contract->service))
      offer(&offers, contract);
  hello.has_services = offers.n > 0;
  hello.services.items = offers.services;
  hello.services.count = offers.n;
  if (contract_encode(CONTRACT(Hello), &hello, &body, NULL) != 0)
    abort();
  if (set->n == INSIDES)
    abort();
  set->rows[set->n++] = inside;
  inside->core = core;
  inside->session = core_connect(core, inside, now_us);
  core_trust(inside->session);
  say(inside, &header, buffer_bytes(&body), now_us);
}

static void unref_whole(void *owner) {
  Block *whole = owner;

  block_unref(&whole);
}

void inside_say_slice(Inside *inside, const Header *header, Block *whole, size_t at, size_t size, uint64_t now_us) {
  Bytes part = {whole->data + at, size};
  _cleanup_(block_unref) Block *slice =
      size == whole->size ? block_ref(whole) : block_adopt(part, block_ref(whole), unref_whole);

  inside_say(inside, header, part, slice, now_us);
}

/* A window of one byte lets the first part of a large answer in: inside-parts.c. */
void inside_send(Inside *inside, const Header *header, Block *body, uint64_t now_us) {
  size_t size = block_bytes(body).size;
  Header first = *header;
  uint64_t number = 0;

  first.window_bytes = 1;
  first.flags |= size > LIMIT_BODY_BYTES ? FLAG_MORE : 0;
  if (size == 0)
    inside_say(inside, &first, BYTES_NONE, NULL, now_us);
  else
    inside_say_slice(inside, &first, body, 0, min_u64(size, LIMIT_BODY_BYTES), now_us);
  for (size_t at = LIMIT_BODY_BYTES; at < size; at += LIMIT_BODY_BYTES) {
    size_t left = size - at;
    Header part = {.kind = KIND_CHUNK,
                   .id = header->id,
                   .attempt = header->attempt,
                   .number = ++number,
                   .flags = left > LIMIT_BODY_BYTES ? FLAG_MORE : 0};

    inside_say_slice(inside, &part, body, at, min_u64(left, LIMIT_BODY_BYTES), now_us);
  }
}

ClientId inside_client(const Inside *inside) {
  return inside->options.client;
}

int inside_reply(Inside *inside, RequestId id, Bytes body, uint64_t now_us) {
  if (body.size > LIMIT_BODY_BYTES)
    return inside_parts_reply(inside, id, body, now_us);
  inside_parts_forget(inside, id);
  say(inside, &(Header){.kind = KIND_REPLY, .id = id}, body, now_us);
  return 0;
}

void inside_fail(Inside *inside, RequestId id, Status status, Bytes body, uint64_t now_us) {
  inside_parts_forget(inside, id);
  say(inside, &(Header){.kind = KIND_ERROR, .id = id, .status = status}, body, now_us);
}

/* --- from the core --- */

void inside_hear(Inside *inside, const Header *header, Bytes body, Block *block) {
  Heard *heard = calloc(1, sizeof *heard);

  if (!heard)
    abort();
  heard->kind = header->kind;
  heard->id = header->id;
  heard->session = header->session;
  heard->number = header->number;
  heard->attempt = header->attempt;
  heard->status = header->status;
  buffer_append(&heard->service, header->service.data, header->service.size);
  buffer_append(&heard->method, header->method.data, header->method.size);
  buffer_append(&heard->content_type, header->content_type.data, header->content_type.size);
  heard->window_bytes = header->window_bytes;
  heard->flags = header->flags;
  if (block)
    heard->block = block_ref(block);
  else
    buffer_append(&heard->own, body.data, body.size);
  heard->body = block ? body : buffer_bytes(&heard->own);
  list_push(&inside->heard, &heard->in_inside);
}

void inside_close(Inside *inside) {
  inside->session = NULL;
}

static Text text_in(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

/* What waits elsewhere, or no longer, is STALE here. */
static void answer_ping(Inside *inside, const Heard *heard, uint64_t now_us) {
  Header pong = {.kind = KIND_PONG, .number = heard->number, .id = heard->id, .attempt = heard->attempt};

  if (!request_id_is_none(heard->id) && inside->handler.waits &&
      !inside->handler.waits(inside->handler.userdata, heard->id, heard->attempt))
    pong.status = STATUS_STALE;
  say(inside, &pong, BYTES_NONE, now_us);
}

void inside_take_answer(Inside *inside, const Heard *heard, Status status, Bytes body) {
  InsideAnswer answer = {heard->id, status, text_in(&heard->content_type), body};

  if (inside->handler.on_answer && !request_id_is_none(heard->id))
    inside->handler.on_answer(inside->handler.userdata, &answer);
}

void inside_take_ask(Inside *inside, const Heard *heard, Bytes body) {
  InsideAsk ask = {heard->id, text_in(&heard->service), text_in(&heard->method), body};

  inside->handler.on_ask(inside->handler.userdata, &ask);
}

static void take_request(Inside *inside, const Heard *heard) {
  if (!inside_parts_ask(inside, heard))
    inside_take_ask(inside, heard, heard->body);
}

static void take_cancel(Inside *inside, const Heard *heard, uint64_t now_us) {
  if (!inside_parts_cancel(inside, heard->id, now_us) && inside->handler.on_cancel)
    inside->handler.on_cancel(inside->handler.userdata, heard->id);
}

/* A broker that drains echoes nothing here: what is asked is answered in the same turn or in a round trip to the peer. */
static void look_at(Inside *inside, const Heard *heard, uint64_t now_us) {
  if (heard->kind == KIND_WELCOME && inside->options.services)
    say(inside, &(Header){.kind = KIND_CREDIT, .session = heard->session, .credit = inside->options.credit}, BYTES_NONE,
        now_us);
  else if (heard->kind == KIND_PING)
    answer_ping(inside, heard, now_us);
  else if (heard->kind == KIND_REQUEST)
    take_request(inside, heard);
  else if (heard->kind == KIND_CHUNK)
    inside_parts_chunk(inside, heard, now_us);
  else if (heard->kind == KIND_WINDOW)
    inside_parts_window(inside, heard, now_us);
  else if (heard->kind == KIND_CANCEL)
    take_cancel(inside, heard, now_us);
  else if (heard->kind == KIND_REPLY || heard->kind == KIND_ERROR)
    inside_parts_end(inside, heard, now_us);
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
