/* A visit tries one candidate after the other. Bytes of a stream go from the provider's connection through the dialect to the
   caller in one turn; when the caller is behind, the connection is not read until it has caught up. */
#include "agents/remote_api_adapter/visit.h"

#include <stdio.h>
#include <stdlib.h>

#include "adapters/http/sse.h"
#include "bus/json/json.h"

typedef struct Visit {
  Remote *remote;
  Call *call;
  Json request;
  bool is_embedding;
  bool wants_stream; /* the caller's JSON says so */
  Task task;
  ExecutorEnd end;

  /* of the candidate that is being tried */
  ModelSeen *model;
  HttpTransfer *transfer;
  DialectRequest out;
  DialectStream stream;
  DialectFault fault; /* set = the candidate has failed, whatever else comes */
  bool has_fault;
  Sse sse;
  Buffer body; /* a whole answer, or an error's */
  unsigned status;
  bool streams; /* the answer is a stream of events */
  uint64_t retry_after_us;
  char retry_after[128];
  char retry_after_ms[128];
  bool ended; /* the transfer has, while pieces still wait for the caller */
} Visit;

static void try_candidate(Visit *visit);

/* --- the end --- */

static void forget_candidate(Visit *visit) {
  http_cancel(&visit->transfer);
  dialect_request_done(&visit->out);
  dialect_stream_done(&visit->stream);
  sse_done(&visit->sse);
  buffer_done(&visit->body);
  dialect_fault_done(&visit->fault);
  visit->out = (DialectRequest){.path = NULL};
  visit->stream = (DialectStream){.done = false};
  visit->fault = (DialectFault){.texts = {0}};
  visit->has_fault = visit->streams = visit->ended = false;
  visit->status = 0;
  visit->retry_after[0] = visit->retry_after_ms[0] = '\0';
}

static void end_visit(Visit *visit) {
  forget_candidate(visit);
  visit->remote->running--;
  free(visit);
}

static void note(Visit *visit, const Fault *fault) {
  if (!visit->model)
    return;
  visit->model->seen = !fault ? SEEN_UP : cause_counts(fault->cause) ? SEEN_DOWN : visit->model->seen;
  if (fault && visit->model->seen == SEEN_DOWN)
    snprintf(visit->model->why, sizeof visit->model->why, "%.*s", TEXT_ARG(fault->message));
}

/* The candidate has failed; the next one is tried, here or elsewhere, or the call has its answer. fault borrows from the visit. */
static void fail(Visit *visit, const Fault *fault) {
  bool again;

  note(visit, fault);
  visit->end.usage = visit->stream.usage;
  again = executor_fail(visit->remote->executor, visit->call, &visit->task, fault, &visit->end);
  forget_candidate(visit);
  if (again)
    try_candidate(visit);
  else
    end_visit(visit);
}

static void fail_with(Visit *visit, Cause cause, const char *message) {
  fail(visit, &(Fault){.cause = cause, .message = text_of(message), .http_status = visit->status});
}

static void succeed(Visit *visit, const Buffer *response, const ChatUsage *usage) {
  note(visit, NULL);
  visit->end.usage = *usage;
  visit->end.provider = text_of(visit->model->provider->config->name);
  visit->end.response = response ? (Text){(const char *)response->data, response->size} : TEXT_NONE;
  executor_reply(visit->remote->executor, visit->call, &visit->task, &visit->end);
  end_visit(visit);
}

static void on_cancel(void *userdata, Call *call) {
  Visit *visit = userdata;

  http_cancel(&visit->transfer);
  visit->end.usage = visit->stream.usage;
  executor_unwanted(visit->remote->executor, call, &visit->task, &visit->end);
  end_visit(visit);
}

/* --- a stream --- */

/* What becomes of the visit when the stream and all its pieces are through. */
static void end_stream(Visit *visit) {
  if (visit->has_fault)
    fail(visit, &visit->fault.fault);
  else if (!visit->model->provider->dialect->stream_is_whole(&visit->stream))
    fail_with(visit, CAUSE_CUT, "the stream ended in the middle of the answer");
  else
    succeed(visit, NULL, &visit->stream.usage);
}

/* How much of events goes into one piece: whole events, or of one that is larger than a piece as much as ends with a character. */
static size_t piece_of(const Buffer *events) {
  size_t most = LIMIT_BODY_BYTES / 2;
  size_t size = min_u64(events->size, most);

  if (events->size <= most)
    return size;
  while (size > 0 && events->data[size - 1] != '\n')
    size--;
  if (size > 0)
    return size;
  for (size = most; size > 0 && (events->data[size] & 0xc0) == 0x80;)
    size--;
  return size;
}

/* Gives the caller what is ready. Returns false when it is behind: then on_writable goes on. Of a stream that has failed before
   its first piece nothing is shown, so that another may begin. */
static bool pass_on(Visit *visit) {
  Buffer *events = &visit->stream.events;

  if (visit->has_fault && !visit->end.sent)
    buffer_clear(events);
  while (events->size > 0) {
    size_t size = piece_of(events);

    if (call_chunk(visit->call, &(ChatPiece){.events = {(const char *)events->data, size}}) != 0)
      return false;
    visit->end.sent = true;
    memmove(events->data, events->data + size, events->size - size);
    events->size -= size;
  }
  return true;
}

static void on_writable(void *userdata, Call *call) {
  Visit *visit = userdata;

  (void)call;
  if (!pass_on(visit))
    return;
  if (visit->ended)
    end_stream(visit);
  else if (visit->transfer)
    http_pause(visit->transfer, false);
}

static void on_event(void *userdata, Text type, Text data) {
  Visit *visit = userdata;

  if (!visit->has_fault)
    visit->has_fault = visit->model->provider->dialect->stream_event(&visit->stream, type, data, &visit->fault) != 0;
}

static void set_fault(Visit *visit, Cause cause, const char *message) {
  visit->has_fault = true;
  dialect_fault_set(&visit->fault, &(Fault){.cause = cause, .message = text_of(message), .http_status = visit->status});
}

/* --- what comes from the provider --- */

static void on_head(void *userdata, const HttpHead *head) {
  Visit *visit = userdata;

  visit->status = head->status;
  visit->streams = visit->wants_stream && head->status == 200 && head->content_type.size >= 17 &&
                   memcmp(head->content_type.data, "text/event-stream", 17) == 0;
  snprintf(visit->retry_after, sizeof visit->retry_after, "%.*s", TEXT_ARG(head->retry_after));
  snprintf(visit->retry_after_ms, sizeof visit->retry_after_ms, "%.*s", TEXT_ARG(head->retry_after_ms));
}

/* Ends the transfer from inside one of its callbacks; what follows is done in on_end's place, by a turn of its own. */
static void stop_stream(Visit *visit) {
  http_cancel(&visit->transfer);
  visit->ended = true;
  if (pass_on(visit))
    end_stream(visit);
}

static void on_stream_body(Visit *visit, Bytes bytes) {
  if (sse_feed(&visit->sse, bytes, on_event, visit) != 0 && !visit->has_fault)
    set_fault(visit, CAUSE_MALFORMED, "an event of its stream is over 1 MiB");
  if (visit->end.first_us == 0 && visit->stream.events.size > 0)
    visit->end.first_us = clock_monotonic_us();
  if (visit->has_fault)
    stop_stream(visit);
  else if (!pass_on(visit))
    http_pause(visit->transfer, true);
}

static void on_body(void *userdata, Bytes bytes) {
  Visit *visit = userdata;

  if (visit->streams) {
    on_stream_body(visit, bytes);
    return;
  }
  if (visit->end.first_us == 0)
    visit->end.first_us = clock_monotonic_us();
  if (visit->body.size + bytes.size > LIMIT_REPLY_BYTES) {
    http_cancel(&visit->transfer);
    fail_with(visit, CAUSE_MALFORMED, "its answer is over 16 MiB");
    return;
  }
  buffer_append(&visit->body, bytes.data, bytes.size);
}

static void end_plain(Visit *visit) {
  const Dialect *dialect = visit->model->provider->dialect;
  Text body = {(const char *)visit->body.data, visit->body.size};
  _cleanup_(buffer_done) Buffer response = {0};
  ChatUsage usage = {.estimated = false};
  int r;

  if (visit->status != 200) {
    dialect->decode_error(&(DialectHead){.status = visit->status,
                                         .retry_after = text_of(visit->retry_after),
                                         .retry_after_ms = text_of(visit->retry_after_ms),
                                         .now_s = clock_realtime_us() / US_PER_S},
                          body, &visit->fault);
    fail(visit, &visit->fault.fault);
    return;
  }
  if (visit->wants_stream && !visit->is_embedding && visit->body.size == 0) {
    fail_with(visit, CAUSE_MALFORMED, "it was asked for a stream and sent nothing");
    return;
  }
  r = visit->is_embedding ? dialect->decode_embed(body, &response, &usage, &visit->fault)
                          : dialect->decode_chat(body, &response, &usage, &visit->fault);
  if (r != 0)
    fail(visit, &visit->fault.fault);
  else if (visit->wants_stream)
    fail_with(visit, CAUSE_MALFORMED, "it was asked for a stream and sent a whole answer");
  else
    succeed(visit, &response, &usage);
}

static Cause cause_of_error(HttpError error) {
  static const Cause causes[HTTP_END] = {
      [HTTP_RESOLVE] = CAUSE_TRANSPORT, [HTTP_CONNECT] = CAUSE_TRANSPORT,  [HTTP_TLS] = CAUSE_TRANSPORT,
      [HTTP_NO_ANSWER] = CAUSE_STALL,   [HTTP_IDLE] = CAUSE_STALL,         [HTTP_TOTAL] = CAUSE_STALL,
      [HTTP_CUT] = CAUSE_CUT,           [HTTP_PROTOCOL] = CAUSE_MALFORMED,
  };

  return causes[error];
}

static void on_end(void *userdata, HttpError error, const char *detail) {
  Visit *visit = userdata;
  char message[400];

  visit->transfer = NULL;
  /* Behind the end mark nothing is missing, however the connection ends. */
  if (error != HTTP_OK && !(visit->streams && visit->stream.done)) {
    snprintf(message, sizeof message, "%s: %s (%s)", visit->model->provider->config->name, http_error_about(error),
             detail);
    set_fault(visit, cause_of_error(error), message);
  }
  if (!visit->streams && visit->has_fault) {
    fail(visit, &visit->fault.fault);
  } else if (!visit->streams) {
    end_plain(visit);
  } else {
    visit->ended = true;
    if (pass_on(visit))
      end_stream(visit);
  }
}

/* --- trying --- */

static bool start(Visit *visit) {
  static const char user_agent[] = "User-Agent: pons/" PONS_VERSION;
  static const HttpHandler handler = {.on_head = on_head, .on_body = on_body, .on_end = on_end};
  const Provider *provider = visit->model->provider;
  const ConfigProvider *config = provider->config;
  const char *headers[] = {"Content-Type: application/json", "Accept: application/json, text/event-stream", user_agent,
                           provider->key_header, NULL};
  HttpHandler mine = handler;
  char url[1200];

  snprintf(url, sizeof url, "%s%s", config->base_url, visit->out.path);
  mine.userdata = visit;
  return http_start(provider->http,
                    &(HttpRequest){.url = url,
                                   .headers = headers,
                                   .body = buffer_bytes(&visit->out.body),
                                   .connect_ms = config->connect_ms,
                                   .first_ms = config->first_ms,
                                   .idle_ms = config->idle_ms,
                                   .total_ms = config->total_ms},
                    &mine, &visit->transfer) == 0;
}

static void try_candidate(Visit *visit) {
  Text upstream;

  visit->end.began_us = clock_monotonic_us();
  visit->end.first_us = 0;
  visit->model = providers_find_model(&visit->remote->providers, task_model(&visit->task));
  if (!visit->model) {
    fail_with(visit, CAUSE_UNAVAILABLE, "this machine's pons.yaml has no model of RemoteApiAdapter with this name");
    return;
  }
  if (visit->model->provider->trouble.size > 0) {
    fail_with(visit, CAUSE_AUTH, "its key can't be read on this machine; the adapter's log says why");
    return;
  }
  upstream = text_of(visit->model->config->upstream);
  if (visit->is_embedding)
    visit->model->provider->dialect->encode_embed(visit->request, upstream, &visit->out);
  else
    visit->model->provider->dialect->encode_chat(visit->request, upstream, &visit->out);
  visit->stream.hides_usage = visit->out.hides_usage;
  if (!start(visit))
    fail_with(visit, CAUSE_UNAVAILABLE, "the adapter has no memory for another transfer");
}

void visit_begin(Remote *remote, Call *call, Text request) {
  Visit *visit = calloc(1, sizeof *visit);
  _cleanup_(buffer_done) Buffer model = {0};
  JsonFault fault;

  if (!visit)
    abort();
  *visit = (Visit){.remote = remote, .call = call, .is_embedding = text_is(call_method(call), "embed")};
  if (json_check(request, &visit->request, &fault) != 0 || json_type(visit->request) != JSON_OBJECT) {
    call_error_full(call, STATUS_REFUSED, "request", 0, "the request is not a JSON object");
    free(visit);
    return;
  }
  json_get_bool(json_find(visit->request, "stream"), &visit->wants_stream);
  json_get_string(json_find(visit->request, "model"), &model);
  remote->running++;
  if (!executor_begin(remote->executor, call, (Text){(const char *)model.data, model.size}, &visit->task)) {
    end_visit(visit);
    return;
  }
  call_keep(call);
  call_on_cancel(call, on_cancel, visit);
  call_on_writable(call, on_writable, visit);
  try_candidate(visit);
}
