/* Requests for the fleet: the body goes out as it came, wrapped into the contract; the reply's JSON goes back as it came. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/gateway/asked.h"
#include "agents/gateway/gateway-internal.h"

/* --- sending --- */

static void refuse(HttpRequest *request, const AskedFault *fault) {
  respond_error(request, 400, fault->code, fault->param, "%s", fault->message);
}

static Text body_of(const HttpRequest *request) {
  return (Text){(const char *)request->body.data, request->body.size};
}

static void free_buffer(void *owner) {
  free(owner);
}

/* The body as the one field of ChatAsk or EmbedAsk, which look the same. */
static Block *wrap(HttpRequest *request, const MethodContract *method, ContractFault *fault) {
  ChatAsk value = {.request = body_of(request)};
  Buffer encoded = {0};

  buffer_reserve(&encoded, request->body.size + 32);
  if (contract_encode(method->request, &value, &encoded, fault) != 0) {
    buffer_done(&encoded);
    return NULL;
  }
  return block_adopt(buffer_bytes(&encoded), encoded.data, free_buffer);
}

static bool fill(HttpRequest *request, Ask *ask) {
  const Gateway *gateway = request->gateway;
  AskedFault fault;
  uint64_t longest_us = gateway->config->gateway.deadline_ms * US_PER_MS;

  if (asked_deadline(request_header(request, "x-pons-deadline-ms"), longest_us, &ask->deadline_us, &fault) == 0 &&
      asked_priority(request_header(request, "x-pons-priority"), &ask->priority, &fault) == 0)
    return true;
  refuse(request, &fault);
  return false;
}

void ask_send(HttpRequest *request, const MethodContract *method, bool stream, const AskHandler *handler) {
  _cleanup_(block_unref) Block *block = NULL;
  ContractFault fault;
  Trace trace;
  Ask ask = {.service = text_of(method->service),
             .method = text_of(method->method),
             .idempotent = (method->flags & METHOD_IDEMPOTENT) != 0,
             .attempts = 1, /* executors have tried what there is, and the client knows best whether to come again */
             .stream = stream,
             .manual_window = stream,
             .window_bytes = STREAM_WINDOW_BYTES};

  if (!fill(request, &ask))
    return;
  block = wrap(request, method, &fault);
  if (!block) {
    respond_error(request, 400, "invalid_request", fault.path, "%s", fault.message);
    return;
  }
  if (asked_trace(request_header(request, "traceparent"), &trace))
    ask.trace = &trace;
  ask.block = block;
  ask.body = block_bytes(block);
  request->asked = method;
  request->is_stream = stream;
  request->is_asking = true;
  metrics_add(&request->gateway->metrics, METRIC_BYTES_IN, 0, 0, (int64_t)request->body.size);
  request_let_go(request);
  client_ask(request->gateway->client, &ask, handler, &request->id);
}

/* --- replies --- */

void ask_count(Gateway *gateway, Text model, const ChatUsage *usage, const uint64_t *cost_nano_usd) {
  Metrics *metrics = &gateway->metrics;
  uint32_t place = metrics_model(metrics, model);

  metrics_add(metrics, METRIC_MODEL_REQUESTS, place, 0, 1);
  metrics_add(metrics, METRIC_MODEL_TOKENS, place, TOKENS_INPUT, (int64_t)usage->input_tokens);
  metrics_add(metrics, METRIC_MODEL_TOKENS, place, TOKENS_CACHED, (int64_t)usage->cached_tokens);
  metrics_add(metrics, METRIC_MODEL_TOKENS, place, TOKENS_OUTPUT, (int64_t)usage->output_tokens);
  metrics_add(metrics, METRIC_MODEL_TOKENS, place, TOKENS_REASONING, (int64_t)usage->reasoning_tokens);
  if (cost_nano_usd)
    metrics_add(metrics, METRIC_MODEL_COST, place, 0, (int64_t)*cost_nano_usd);
  else
    metrics_add(metrics, METRIC_MODEL_UNPRICED, place, 0, 1);
}

/* What every plain reply says of who did it. A value of a header has no control characters, whatever an agent wrote. */
static void add_text(HttpRequest *request, const char *name, Text text) {
  char value[160];
  size_t size = min_u64(text.size, sizeof value - 1);

  if (size == 0)
    return;
  for (size_t i = 0; i < size; i++)
    value[i] = (uint8_t)text.data[i] < 0x20 || text.data[i] == 0x7f ? '?' : text.data[i];
  value[size] = '\0';
  respond_header(request, name, value);
}

static void add_cost(HttpRequest *request, uint64_t nano_usd) {
  char value[40];

  snprintf(value, sizeof value, "%" PRIu64 ".%09" PRIu64, nano_usd / 1000000000, nano_usd % 1000000000);
  respond_header(request, "x-pons-cost-usd", value);
}

/* All the time that was not the executor's. */
static void add_overhead(HttpRequest *request, uint64_t took_us) {
  uint64_t all_us = clock_monotonic_us() - request->whole_us;
  uint64_t overhead_us = all_us > took_us ? all_us - took_us : 0;
  char value[24];

  metrics_observe(&request->gateway->metrics, METRIC_OVERHEAD, 0, overhead_us);
  snprintf(value, sizeof value, "%" PRIu64, overhead_us);
  respond_header(request, "x-pons-overhead-us", value);
}

bool ask_take(HttpRequest *request, const Answer *answer) {
  HttpFault fault;

  request->is_asking = false;
  if (!request->connection || request->is_dropped) {
    request_release(request);
    return false;
  }
  request->id = answer->id;
  if (answer->status == STATUS_OK)
    return true;
  fault_of_answer(answer, &fault);
  respond_fault(request, &fault);
  return false;
}

static void refuse_reply(HttpRequest *request, const ContractFault *fault) {
  respond_error(request, 502, "bad_reply", NULL, "%s.%s answered what does not fit its contract: %s: %s",
                request->asked->service, request->asked->method, fault->path, fault->message);
}

/* What both kinds of reply say. */
typedef struct Done {
  Text response;
  Text model;
  Text provider;
  Text executor;
  const ChatUsage *usage;
  const uint64_t *cost_nano_usd; /* NULL = unknown */
  uint64_t took_us;
} Done;

/* ChatReply and EmbedReply name them alike. */
#define DONE_OF(reply)                                                                                                 \
  (Done) {                                                                                                             \
    (reply).response, (reply).model, (reply).provider, (reply).executor, &(reply).usage,                               \
        (reply).has_cost_nano_usd ? &(reply).cost_nano_usd : NULL, (reply).took_us                                     \
  }

static void deliver(HttpRequest *request, const Done *done, Block *block) {
  respond_block(request, done->response, block);
  add_text(request, "x-pons-model", done->model);
  add_text(request, "x-pons-provider", done->provider);
  add_text(request, "x-pons-executor", done->executor);
  if (done->cost_nano_usd)
    add_cost(request, *done->cost_nano_usd);
  add_overhead(request, done->took_us);
  ask_count(request->gateway, done->model, done->usage, done->cost_nano_usd);
}

static void on_chat_end(void *userdata, const Answer *answer) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  HttpRequest *request = userdata;
  ContractFault fault = {.reason = 0};
  ChatReply reply;

  if (!ask_take(request, answer))
    return;
  if (answer_decode(request->asked, answer, &arena, &reply, &fault) != 0)
    refuse_reply(request, &fault);
  else if (!reply.has_response)
    respond_error(request, 502, "bad_reply", NULL, "the executor %.*s answered without a completion",
                  TEXT_ARG(reply.executor));
  else
    deliver(request, &DONE_OF(reply), answer->block);
}

static void on_embed_end(void *userdata, const Answer *answer) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  HttpRequest *request = userdata;
  ContractFault fault = {.reason = 0};
  EmbedReply reply;

  if (!ask_take(request, answer))
    return;
  if (answer_decode(request->asked, answer, &arena, &reply, &fault) != 0)
    refuse_reply(request, &fault);
  else
    deliver(request, &DONE_OF(reply), answer->block);
}

/* --- routes --- */

void answer_chat(HttpRequest *request) {
  AskedFault fault;
  bool stream;

  if (asked_chat(body_of(request), &stream, &fault) != 0)
    refuse(request, &fault);
  else if (stream)
    ask_send(request, request->gateway->chat, true,
             &(AskHandler){.on_chunk = stream_on_chunk, .on_end = stream_on_end, .userdata = request});
  else
    ask_send(request, request->gateway->chat, false, &(AskHandler){.on_end = on_chat_end, .userdata = request});
}

void answer_embeddings(HttpRequest *request) {
  AskedFault fault;

  if (asked_embeddings(body_of(request), &fault) != 0)
    refuse(request, &fault);
  else
    ask_send(request, request->gateway->embed, false, &(AskHandler){.on_end = on_embed_end, .userdata = request});
}
