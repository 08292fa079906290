/* The service `pons`: what the broker says of itself. The bodies are written row by row, since core knows no contracts of
   agents; a test holds them against agents/contracts/pons.def. A list stops before the body would pass its limit and says
   so by `more`. */
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

/* Writes {key: rows, more: bool}. */
static void put_rows(Buffer *b, const char *key, uint32_t n, const Buffer *rows, bool more) {
  put_key(b, key);
  msgpack_put_array(b, n);
  msgpack_put_raw(b, buffer_bytes(rows));
  put_key(b, "more");
  msgpack_put_bool(b, more);
}

/* --- ping, info, stats --- */

static void answer_ping(Core *core, Request *request, Buffer *b) {
  msgpack_put_map(b, 4);
  put_string(b, "broker", core->options.name);
  put_string(b, "site", core->options.site);
  put_number(b, "now_us", core->now_us);
  put_number(b, "uptime_us", core->now_us - core->started_us);
  reply(core, request, b);
}

static void put_limit(Buffer *b, const char *name, uint64_t value) {
  msgpack_put_map(b, 2);
  put_string(b, "name", name);
  put_number(b, "value", value);
}

static void answer_info(Core *core, Request *request, Buffer *b) {
  const CoreOptions *options = &core->options;
  const CoreLimits *limits = &options->limits;

  msgpack_put_map(b, 8);
  put_string(b, "name", options->name);
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
  put_limit(b, "client_requests", limits->client_requests);
  put_limit(b, "client_bytes", limits->client_bytes);
  put_limit(b, "all_bytes", limits->all_bytes);
  put_limit(b, "service_queue", limits->service_queue);
  put_limit(b, "sessions", limits->sessions);
  put_limit(b, "subscriptions", limits->subscriptions);
  put_limit(b, "topics", limits->topics);
  reply(core, request, b);
}

/* What is now, beside the counters of what was. */
static void put_gauges(const Core *core, Buffer *b) {
  put_limit(b, "now_sessions", core->n_sessions);
  put_limit(b, "now_services", core->services.size);
  put_limit(b, "now_requests", core->n_unanswered);
  put_limit(b, "now_queued", core->n_queued);
  put_limit(b, "now_kept_bytes", core->kept_bytes);
  put_limit(b, "now_topics", core->topics.size);
}

static void answer_stats(Core *core, Request *request, Buffer *b) {
  msgpack_put_map(b, 1);
  put_key(b, "counters");
  msgpack_put_array(b, COUNTER_END + 6);
  for (int i = 0; i < COUNTER_END; i++) {
    char name[64];
    size_t k = 0;

    for (const char *from = counter_name((Counter)i); *from && k + 1 < sizeof name; from++)
      name[k++] = *from == '_' ? '_' : (char)(*from | 0x20);
    name[k] = '\0';
    put_limit(b, name, core->counters[i]);
  }
  put_gauges(core, b);
  reply(core, request, b);
}

/* --- registry --- */

static void put_method(Buffer *b, const OfferMethod *method) {
  uint32_t n = !!(method->flags & METHOD_IDEMPOTENT) + !!(method->flags & METHOD_STREAMING) + !!(method->flags & METHOD_ONCE);

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
    return "starting";
  return session->pinged_us && core->now_us > session->pinged_us ? "suspect" : "ready";
}

static void put_offer(const Core *core, const Offer *offer, Buffer *b) {
  const Session *session = offer->session;

  msgpack_put_map(b, 13);
  put_string(b, "service", offer->service->name);
  put_string(b, "version", offer->version);
  put_string(b, "instance", session->instance);
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
  _cleanup_(buffer_done) Buffer rows = {0};
  _cleanup_(buffer_done) Buffer mismatches = {0};
  uint32_t n = 0;
  uint32_t n_mismatches = registry_mismatches(core, NULL, &mismatches);
  bool more = false;

  LIST_EACH(&core->sessions, Session, in_core, session) {
    for (uint32_t i = 0; i < session->n_offers && !more; i++) {
      more = rows.size + mismatches.size > ROWS_BYTES;
      if (more)
        break;
      put_offer(core, &session->offers[i], &rows);
      n++;
    }
  }
  msgpack_put_map(b, 3);
  put_rows(b, "instances", n, &rows, more);
  put_key(b, "mismatches");
  msgpack_put_array(b, n_mismatches);
  msgpack_put_raw(b, buffer_bytes(&mismatches));
  reply(core, request, b);
}

/* --- requests --- */

static const char *request_state_name(const Request *request) {
  static const char *const names[] = {"receiving", "queued", "executing", "cancelled", "collecting", "answered"};

  return names[request->state];
}

static void put_request(const Core *core, const Request *request, Buffer *b) {
  char id[REQUEST_ID_TEXT_SIZE];

  msgpack_put_map(b, 9);
  put_string(b, "id", request_id_format(request->id, id));
  put_string(b, "service", request->service ? request->service->name : "");
  put_key(b, "method");
  msgpack_put_text(b, request_method(request));
  put_string(b, "state", request_state_name(request));
  put_number(b, "attempt", request->attempt);
  put_number(b, "hop", request->hop);
  put_number(b, "age_us", core->now_us - request->received_us);
  put_number(b, "remaining_us", request->due_us > core->now_us ? request->due_us - core->now_us : 0);
  put_string(b, "instance", request->worker ? request->worker->instance : "");
}

static void answer_requests(Core *core, Request *asked, Buffer *b) {
  _cleanup_(buffer_done) Buffer rows = {0};
  uint32_t n = 0;
  bool more = false;

  TABLE_EACH(&core->requests, Request, link, request) {
    more = more || rows.size > ROWS_BYTES;
    if (request == asked || more)
      continue;
    put_request(core, request, &rows);
    n++;
  }
  msgpack_put_map(b, 2);
  put_rows(b, "requests", n, &rows, more);
  reply(core, asked, b);
}

/* --- connections --- */

static void put_session(const Core *core, const Session *session, Buffer *b) {
  char client[17];

  snprintf(client, sizeof client, "%016" PRIx64, session->client ? session->client->id.value : 0);
  msgpack_put_map(b, 12);
  put_number(b, "session", session->id.value);
  put_string(b, "agent", session->agent);
  put_string(b, "instance", session->instance);
  put_string(b, "client", client);
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
  _cleanup_(buffer_done) Buffer rows = {0};
  uint32_t n = 0;
  bool more = false;

  LIST_EACH(&core->sessions, Session, in_core, session) {
    more = more || rows.size > ROWS_BYTES;
    if (session->state != SESSION_OPEN || more)
      continue;
    put_session(core, session, &rows);
    n++;
  }
  msgpack_put_map(b, 2);
  put_rows(b, "connections", n, &rows, more);
  reply(core, request, b);
}

/* --- trace --- */

/* The text of the one field {"request": TEXT}, or none. */
static Text read_request_field(Bytes body) {
  MsgpackReader reader = msgpack_reader(body);
  uint32_t n;
  Text key;
  Text value;

  if (msgpack_get_map(&reader, &n) != 0 || n != 1 || msgpack_get_text(&reader, &key) != 0 || !text_is(key, "request"))
    return TEXT_NONE;
  return msgpack_get_text(&reader, &value) == 0 ? value : TEXT_NONE;
}

static void answer_trace(Core *core, Request *request, Buffer *b) {
  _cleanup_(buffer_done) Buffer rows = {0};
  RequestId id;
  uint32_t n;

  if (request_id_parse(read_request_field(block_bytes(request->part)), &id) < 0) {
    request_fail(core, request, STATUS_INVALID, "request: wanted a request id such as 0123456789abcdef-1", 0);
    return;
  }
  n = trace_rows(core, id, &rows);
  msgpack_put_map(b, 3);
  put_number(b, "now_us", core->now_us);
  put_rows(b, "steps", n, &rows, false);
  reply(core, request, b);
}

static const struct {
  const char *method;
  void (*answer)(Core *core, Request *request, Buffer *body);
} rows_of_pons[] = {
    {"ping", answer_ping},         {"info", answer_info},
    {"stats", answer_stats},       {"registry", answer_registry},
    {"requests", answer_requests}, {"connections", answer_connections},
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
