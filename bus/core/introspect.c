/* The service `pons`: what the broker says of itself. The bodies are written row by row, since core knows no contracts of
   agents; a test holds them against agents/contracts/pons.def. A list stops at the caller's limit, or before the body
   would pass its own; `total` says how many rows there are. */
#include "bus/core/core-internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

enum { ROWS_BYTES = LIMIT_BODY_BYTES - 8192 /* room for one row more and for what stands around the rows */ };

static void put_key(Buffer *b, const char *key) {
  msgpack_put_text(b, text_of(key));
}

static void put_number(Buffer *b, const char *key, uint64_t value) {
  put_key(b, key);
  msgpack_put_uint(b, value);
}

static void put_string(Buffer *b, const char *key, const char *value) {
  put_key(b, key);
  msgpack_put_text(b, text_of(value));
}

static void reply(Core *core, Request *request, const Buffer *body) {
  Header header = {.kind = KIND_REPLY};

  request_answer(core, request, &header, buffer_bytes(body), NULL);
}

/* The rows of a list while they are gathered. */
typedef struct Rows {
  Buffer bytes;
  uint32_t n;
  uint32_t total;
  uint32_t limit;
} Rows;

/* Counts one more row; true when it is to be written. */
static bool rows_take(Rows *rows) {
  rows->total++;
  if (rows->n >= rows->limit || rows->bytes.size > ROWS_BYTES)
    return false;
  rows->n++;
  return true;
}

static void put_rows(Buffer *b, const char *key, const Rows *rows) {
  put_key(b, key);
  msgpack_put_array(b, rows->n);
  msgpack_put_raw(b, buffer_bytes(&rows->bytes));
}

/* What a caller may ask with: {service?, limit?, request?}. */
typedef struct Question {
  Text service;
  Text request;
  uint64_t limit;
} Question;

static int read_field(MsgpackReader *reader, Question *ret) {
  Text key;

  if (msgpack_get_text(reader, &key) != 0)
    return STATUS_INVALID;
  if (text_is(key, "service"))
    return msgpack_get_text(reader, &ret->service);
  if (text_is(key, "request"))
    return msgpack_get_text(reader, &ret->request);
  return text_is(key, "limit") ? msgpack_get_uint(reader, &ret->limit) : STATUS_INVALID;
}

/* Reads the request's body, which may be empty. Ends the request and returns false when it can't be read. */
static bool read_question(Core *core, Request *request, uint64_t limit, Question *ret) {
  Bytes body = block_bytes(request->part);
  MsgpackReader reader = msgpack_reader(body);
  uint32_t n = 0;
  int r = 0;

  *ret = (Question){.limit = limit};
  if (body.size > 0)
    r = msgpack_get_map(&reader, &n);
  for (uint32_t i = 0; i < n && r == 0; i++)
    r = read_field(&reader, ret);
  if (r == 0)
    return true;
  request_fail(core, request, STATUS_INVALID,
               "wanted a map with, at most, service, limit and request; see `pons contract show pons`", 0);
  return false;
}

/* --- ping, info, stats --- */

static void put_clock(const Core *core, Buffer *b) {
  put_number(b, "now_us", core_realtime_us(core, core->now_us));
  put_number(b, "uptime_us", core->now_us - core->started_us);
}

static void answer_ping(Core *core, Request *request, Buffer *b) {
  msgpack_put_map(b, 4);
  put_string(b, "broker", core->options.name);
  put_string(b, "site", core->options.site);
  put_clock(core, b);
  reply(core, request, b);
}

static void put_limit(Buffer *b, const char *name, uint64_t value, const char *unit) {
  msgpack_put_map(b, 3);
  put_string(b, "name", name);
  put_number(b, "value", value);
  put_string(b, "unit", unit);
}

static void put_counter(Buffer *b, const char *name, uint64_t value) {
  msgpack_put_map(b, 2);
  put_string(b, "name", name);
  put_number(b, "value", value);
}

static void answer_info(Core *core, Request *request, Buffer *b) {
  const CoreOptions *options = &core->options;
  const CoreLimits *limits = &options->limits;

  msgpack_put_map(b, 8);
  put_string(b, "broker", options->name);
  put_string(b, "version", PONS_VERSION);
  put_number(b, "protocol", PROTOCOL_VERSION);
  put_string(b, "site", options->site);
  put_number(b, "incarnation", options->incarnation);
  put_number(b, "pid", (uint64_t)getpid());
  put_key(b, "endpoints");
  msgpack_put_array(b, (uint32_t)options->n_endpoints);
  for (size_t i = 0; i < options->n_endpoints; i++)
    msgpack_put_text(b, text_of(options->endpoints[i]));
  put_key(b, "limits");
  msgpack_put_array(b, 7);
  put_limit(b, "client_requests", limits->client_requests, "requests");
  put_limit(b, "client_bytes", limits->client_bytes, "bytes");
  put_limit(b, "all_bytes", limits->all_bytes, "bytes");
  put_limit(b, "service_queue", limits->service_queue, "requests");
  put_limit(b, "sessions", limits->sessions, "sessions");
  put_limit(b, "subscriptions", limits->subscriptions, "patterns");
  put_limit(b, "topics", limits->topics, "topics");
  reply(core, request, b);
}

/* What is now, beside the counters of what was. */
static void put_gauges(const Core *core, Buffer *b) {
  put_counter(b, "now_sessions", core->n_sessions);
  put_counter(b, "now_services", core->services.size);
  put_counter(b, "now_requests", core->n_unanswered);
  put_counter(b, "now_queued", core->n_queued);
  put_counter(b, "now_kept_bytes", core->kept_bytes);
  put_counter(b, "now_topics", core->topics.size - core->n_forgotten);
  put_counter(b, "now_peer_behind", core->peer_behind);
  put_counter(b, "now_behind", core->own_behind);
}

static void answer_stats(Core *core, Request *request, Buffer *b) {
  msgpack_put_map(b, 3);
  put_clock(core, b);
  put_key(b, "counters");
  msgpack_put_array(b, COUNTER_END + 8);
  for (int i = 0; i < COUNTER_END; i++) {
    char name[64];
    size_t k = 0;

    for (const char *from = counter_name((Counter)i); *from && k + 1 < sizeof name; from++)
      name[k++] = *from == '_' ? '_' : (char)(*from | 0x20);
    name[k] = '\0';
    put_counter(b, name, core->counters[i]);
  }
  put_gauges(core, b);
  reply(core, request, b);
}

/* --- registry --- */

static void put_method(Buffer *b, const OfferMethod *method) {
  uint32_t n = (method->flags & METHOD_IDEMPOTENT ? 1u : 0u) + (method->flags & METHOD_STREAMING ? 1u : 0u) +
               (method->flags & METHOD_ONCE ? 1u : 0u);

  msgpack_put_map(b, 3);
  put_string(b, "name", method->name);
  put_key(b, "flags");
  msgpack_put_array(b, n);
  if (method->flags & METHOD_IDEMPOTENT)
    msgpack_put_text(b, TEXT("idempotent"));
  if (method->flags & METHOD_STREAMING)
    msgpack_put_text(b, TEXT("streaming"));
  if (method->flags & METHOD_ONCE)
    msgpack_put_text(b, TEXT("once"));
  put_number(b, "hash", method->hash);
}

static const char *state_name(const Core *core, const Session *session) {
  if (session->draining)
    return "draining";
  if (!session->ready)
    return "new";
  return session->pinged_us && core->now_us > session->pinged_us ? "suspect" : "ready";
}

static void put_offer(const Core *core, const Offer *offer, Buffer *b) {
  const Session *session = offer->session;

  msgpack_put_map(b, 14);
  put_string(b, "service", offer->service->name);
  put_string(b, "version", offer->version);
  put_string(b, "instance", session->instance);
  put_number(b, "started_us", session->incarnation);
  put_string(b, "site", session->site);
  put_number(b, "weight", offer->weight);
  put_string(b, "tier", offer->tier);
  put_string(b, "role", offer->standby ? "standby" : "primary");
  put_string(b, "state", state_name(core, session));
  put_number(b, "credit", session->credit);
  put_number(b, "outstanding", session->n_executing);
  put_number(b, "queued", offer->service->queue.size);
  put_number(b, "latency_us", offer->latency_us);
  put_key(b, "methods");
  msgpack_put_array(b, offer->n_methods);
  for (uint32_t i = 0; i < offer->n_methods; i++)
    put_method(b, &offer->methods[i]);
}

static void answer_registry(Core *core, Request *request, Buffer *b) {
  _cleanup_(buffer_done) Buffer mismatches = {0};
  uint32_t n_mismatches = registry_mismatches(core, NULL, &mismatches);
  Question question;
  Rows rows = {0};

  if (!read_question(core, request, 1000, &question))
    return;
  rows.limit = (uint32_t)min_u64(question.limit, 4096);
  LIST_EACH (&core->sessions, Session, in_core, session) {
    for (uint32_t i = 0; i < session->n_offers; i++) {
      const Offer *offer = &session->offers[i];

      if ((question.service.size == 0 || text_is(question.service, offer->service->name)) && rows_take(&rows))
        put_offer(core, offer, &rows.bytes);
    }
  }
  msgpack_put_map(b, 3);
  put_number(b, "total", rows.total);
  put_rows(b, "instances", &rows);
  put_key(b, "mismatches");
  msgpack_put_array(b, n_mismatches);
  msgpack_put_raw(b, buffer_bytes(&mismatches));
  buffer_done(&rows.bytes);
  reply(core, request, b);
}

/* --- requests --- */

static const char *request_state_name(const Request *request) {
  static const char *const names[] = {"receiving",  "queued",   "running", "cancelling",
                                      "collecting", "answered", "probing"};

  return request->state == REQUEST_EXECUTING && request->chunks > 0 ? "streaming" : names[request->state];
}

static const char *service_name(const Request *request) {
  if (request->service)
    return request->service->name;
  return request->targets ? request->targets[0].service : "?";
}

static void put_request(const Core *core, const Request *request, Buffer *b) {
  const Session *asker = request->client ? request->client->session : NULL;
  char id[REQUEST_ID_TEXT_SIZE];

  msgpack_put_map(b, 8 + (request->worker ? 1u : 0u) + (asker ? 1u : 0u));
  put_string(b, "id", request_id_format(request->id, id));
  put_string(b, "service", service_name(request));
  put_key(b, "method");
  msgpack_put_text(b, request_method(request));
  put_string(b, "state", request_state_name(request));
  put_number(b, "attempt", request->attempt);
  put_number(b, "hop", request->hop);
  put_number(b, "age_us", core->now_us - request->received_us);
  put_number(b, "remaining_us", request->due_us > core->now_us ? request->due_us - core->now_us : 0);
  if (request->worker)
    put_string(b, "instance", request->worker->instance);
  if (asker)
    put_string(b, "client", asker->instance);
}

static void answer_requests(Core *core, Request *asked, Buffer *b) {
  Question question;
  Rows rows = {0};

  if (!read_question(core, asked, 100, &question))
    return;
  rows.limit = (uint32_t)min_u64(question.limit, 1000);
  TABLE_EACH (&core->requests, Request, link, request) {
    if (request != asked && rows_take(&rows))
      put_request(core, request, &rows.bytes);
  }
  msgpack_put_map(b, 2);
  put_number(b, "total", rows.total);
  put_rows(b, "requests", &rows);
  buffer_done(&rows.bytes);
  reply(core, asked, b);
}

/* --- connections --- */

static void put_session(const Core *core, const Session *session, Buffer *b) {
  char client[17];

  snprintf(client, sizeof client, "%016" PRIx64, session->client ? session->client->id.value : 0);
  msgpack_put_map(b, 13);
  put_number(b, "session", session->id.value);
  put_string(b, "agent", session->agent);
  put_string(b, "instance", session->instance);
  put_string(b, "client", client);
  put_string(b, "role", session->n_offers > 0 ? "instance" : "client");
  put_string(b, "site", session->site);
  put_number(b, "pid", session->pid);
  put_number(b, "connected_us", core->now_us - session->connected_us);
  put_number(b, "outstanding", session->client ? session->client->n_requests : 0);
  put_number(b, "messages_in", session->messages_in);
  put_number(b, "messages_out", session->messages_out);
  put_number(b, "bytes_in", session->bytes_in);
  put_number(b, "bytes_out", session->bytes_out);
}

static void answer_connections(Core *core, Request *request, Buffer *b) {
  Question question;
  Rows rows = {0};

  if (!read_question(core, request, 100, &question))
    return;
  rows.limit = (uint32_t)min_u64(question.limit, 1000);
  LIST_EACH (&core->sessions, Session, in_core, session) {
    if (session->state == SESSION_OPEN && rows_take(&rows))
      put_session(core, session, &rows.bytes);
  }
  msgpack_put_map(b, 2);
  put_number(b, "total", rows.total);
  put_rows(b, "connections", &rows);
  buffer_done(&rows.bytes);
  reply(core, request, b);
}

/* --- trace --- */

static void answer_trace(Core *core, Request *request, Buffer *b) {
  char text[REQUEST_ID_TEXT_SIZE];
  Question question;
  Rows rows = {0};
  RequestId id;

  if (!read_question(core, request, 0, &question))
    return;
  if (request_id_parse(question.request, &id) < 0) {
    request_fail(core, request, STATUS_INVALID, "request: wanted a request id such as 0123456789abcdef-1", 0);
    return;
  }
  rows.n = trace_rows(core, id, &rows.bytes);
  msgpack_put_map(b, 2);
  put_string(b, "request", request_id_format(id, text));
  put_rows(b, "steps", &rows);
  buffer_done(&rows.bytes);
  reply(core, request, b);
}

static const struct {
  const char *method;
  void (*answer)(Core *core, Request *request, Buffer *body);
} rows_of_pons[] = {
    {"ping", answer_ping},         {"info", answer_info},         {"stats", answer_stats},
    {"registry", answer_registry}, {"requests", answer_requests}, {"connections", answer_connections},
    {"trace", answer_trace},
};

void introspect_answer(Core *core, Request *request) {
  buffer_clear(&core->scratch);
  for (size_t i = 0; i < ELEMENTS(rows_of_pons); i++)
    if (text_is(request_method(request), rows_of_pons[i].method)) {
      rows_of_pons[i].answer(core, request, &core->scratch);
      return;
    }
  request_fail(core, request, STATUS_NO_METHOD, NULL, 0);
}
