/* Bytes of a stream go from the connection through the dialect to the caller in one turn. When the caller is behind, the
   connection is not read until it has caught up; a stream's end, good or bad, waits for the pieces before it. */
#include "agents/relay/relay.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "agents/footprint/footprint.h"

enum { VALUE_BYTES = 128, COLLECTED_MAX_BYTES = 128 << 20 };

/* Of the answers that are being put together in this process. One may have 16 MiB, and thousands are under way. */
static uint64_t collected_bytes;

typedef struct Relay {
  RelayRequest request;
  Call *call;
  OnRelayEnd *on_end;
  void *userdata;
  HttpTransfer *transfer;
  DialectRequest out;
  DialectStream stream;
  DialectFault fault; /* set = it has failed, whatever else comes */
  bool has_fault;
  void *frames; /* the framing's state */
  Buffer body;  /* a whole answer, or an error's */
  unsigned status;
  bool streams; /* the answer is a stream of events */
  bool ended;   /* the stream has, while pieces may still wait for the caller */
  char retry_after[VALUE_BYTES];
  char retry_after_ms[VALUE_BYTES];
  char error_type[VALUE_BYTES];
  char request_id[VALUE_BYTES];
  char location[VALUE_BYTES];
  ExecutorEnd work;
} Relay;

static const RelayStream *work_stream(const Relay *relay) {
  return relay->request.work ? relay->request.work->stream : NULL;
}

static const Framing *framing_of(const Relay *relay) {
  return work_stream(relay) ? work_stream(relay)->framing : relay->request.dialect->framing;
}

static bool is_success(const Relay *relay) {
  return relay->status / 100 == 2;
}

/* --- the end --- */

/* What a stream took of which the provider did not live to say so: a token for four bytes of what came of it, and what the
   request weighs. */
static void estimate(Relay *relay) {
  enum { BYTES_PER_TOKEN = 4 };
  ChatUsage *usage = &relay->work.usage;
  uint64_t output = (relay->stream.said_bytes + BYTES_PER_TOKEN - 1) / BYTES_PER_TOKEN;
  Footprint footprint;

  if (output == 0 || (relay->stream.finished && usage->has_output_tokens))
    return;
  usage->estimated = true;
  usage->has_output_tokens = true;
  usage->output_tokens = max_u64(usage->output_tokens, min_u64(output, UINT32_MAX));
  if (usage->has_input_tokens || footprint_measure(relay->request.asked, &footprint, NULL) != 0)
    return;
  usage->has_input_tokens = true;
  usage->input_tokens = min_u64(footprint.input_tokens, UINT32_MAX);
}

static void end(Relay *relay, RelayOutcome outcome) {
  const Framing *framing = framing_of(relay); /* on_end may free what request points at */

  http_cancel(&relay->transfer);
  collected_bytes -= relay->body.size;
  call_on_cancel(relay->call, NULL, NULL);
  call_on_writable(relay->call, NULL, NULL);
  if (relay->streams)
    relay->work.usage = relay->stream.usage;
  if (outcome != RELAY_DONE)
    estimate(relay);
  relay->on_end(relay->userdata, &(RelayEnd){.outcome = outcome, .fault = &relay->fault.fault, .work = relay->work});
  dialect_request_done(&relay->out);
  dialect_stream_done(&relay->stream);
  dialect_fault_done(&relay->fault);
  framing->done(relay->frames);
  free(relay->frames);
  buffer_done(&relay->body);
  free(relay);
}

/* code: for a program; may be NULL. */
static void set_fault(Relay *relay, Cause cause, const char *code, const char *message) {
  relay->has_fault = true;
  dialect_fault_set(
      &relay->fault,
      &(Fault){.cause = cause, .code = text_of(code), .message = text_of(message), .http_status = relay->status});
}

static void fail(Relay *relay, Cause cause, const char *message) {
  set_fault(relay, cause, NULL, message);
  end(relay, RELAY_FAILED);
}

static void on_cancel(void *userdata, Call *call) {
  (void)call;
  end(userdata, RELAY_UNWANTED);
}

/* --- a stream --- */

static void end_stream(Relay *relay) {
  const RelayStream *own = work_stream(relay);

  if (relay->has_fault)
    end(relay, RELAY_FAILED);
  else if (!(own ? own->is_whole : relay->request.dialect->stream_is_whole)(&relay->stream))
    fail(relay, CAUSE_CUT, "the stream ended in the middle of the answer");
  else
    end(relay, RELAY_DONE);
}

/* How much of events goes into one piece: whole events, or of one that is larger than a piece as much as ends with a character. */
static size_t piece_of(const Buffer *events, bool is_binary) {
  size_t most = LIMIT_BODY_BYTES / 2;
  size_t size = min_u64(events->size, most);

  if (events->size <= most || is_binary)
    return size;
  while (size > 0 && events->data[size - 1] != '\n')
    size--;
  if (size > 0)
    return size;
  for (size = most; size > 0 && (events->data[size] & 0xc0) == 0x80;)
    size--;
  return size;
}

/* Gives the caller what is ready. Returns 0, or what call_chunk says. Of a stream that has failed before its first piece
   nothing is shown, so that another may begin. */
static int pass_on(Relay *relay) {
  const RelayStream *own = work_stream(relay);
  Buffer *events = &relay->stream.events;

  if (relay->has_fault && !relay->work.sent)
    buffer_clear(events);
  while (events->size > 0) {
    size_t size = piece_of(events, own && own->is_binary);
    Text piece = {(const char *)events->data, size};
    int r = own ? own->pass(relay->call, piece) : call_chunk(relay->call, &(ChatPiece){.events = piece});

    if (r != 0)
      return r;
    relay->work.sent = true;
    memmove(events->data, events->data + size, events->size - size);
    events->size -= size;
  }
  return 0;
}

/* Goes on with the stream as far as the caller lets it. */
static void advance(Relay *relay) {
  int r = pass_on(relay);

  if (r != 0 && r != -EAGAIN)
    end(relay, RELAY_UNWANTED);
  else if (r == 0 && relay->ended)
    end_stream(relay);
  else if (relay->transfer)
    http_pause(relay->transfer, r != 0);
}

static void on_writable(void *userdata, Call *call) {
  (void)call;
  advance(userdata);
}

static void on_event(void *userdata, Text type, Text data) {
  Relay *relay = userdata;
  const RelayStream *own = work_stream(relay);

  if (relay->has_fault)
    return;
  relay->has_fault = (own ? own->event(relay->request.work->userdata, &relay->stream, type, data, &relay->fault)
                          : relay->request.dialect->stream_event(&relay->stream, type, data, &relay->fault)) != 0;
}

static void note_first(Relay *relay) {
  if (relay->work.first_us > 0)
    return;
  relay->work.first_us = clock_monotonic_us();
  http_progress(relay->transfer);
}

static void on_stream_body(Relay *relay, Bytes bytes) {
  const char *wrong = framing_of(relay)->feed(relay->frames, bytes, on_event, relay);

  if (wrong && !relay->has_fault)
    set_fault(relay, CAUSE_MALFORMED, NULL, wrong);
  if (relay->stream.events.size > 0)
    note_first(relay);
  if (relay->has_fault) {
    http_cancel(&relay->transfer);
    relay->ended = true;
  }
  advance(relay);
}

/* --- what comes over HTTP --- */

static void keep(char ret[VALUE_BYTES], Text value) {
  size_t size = min_u64(value.size, VALUE_BYTES - 1);

  if (size > 0)
    memcpy(ret, value.data, size);
  ret[size] = '\0';
}

/* Types are written in small letters, in large ones, and with parameters behind them. */
static bool is_type(Text content_type, const char *type) {
  size_t size = strlen(type);

  return content_type.size >= size && strncasecmp(content_type.data, type, size) == 0;
}

static void on_head(void *userdata, const HttpHead *head) {
  Relay *relay = userdata;
  const RelayStream *own = work_stream(relay);
  bool says_stream = is_type(head->content_type, framing_of(relay)->content_type);
  bool any_type = own && own->any_type && !is_type(head->content_type, "application/json");

  relay->status = head->status;
  relay->streams =
      relay->request.wants_stream && is_success(relay) && (says_stream || relay->request.trusts_streams || any_type);
  keep(relay->retry_after, head->retry_after);
  keep(relay->retry_after_ms, head->retry_after_ms);
  keep(relay->error_type, head->error_type);
  keep(relay->request_id, head->request_id);
  keep(relay->location, head->location);
}

static void on_body(void *userdata, Bytes bytes) {
  Relay *relay = userdata;

  if (relay->streams) {
    on_stream_body(relay, bytes);
    return;
  }
  note_first(relay);
  if (relay->body.size + bytes.size > LIMIT_REPLY_BYTES) {
    fail(relay, CAUSE_MALFORMED, "its answer is over 16 MiB");
  } else if (collected_bytes + bytes.size > COLLECTED_MAX_BYTES) {
    fail(relay, CAUSE_UNAVAILABLE, "128 MiB of answers are being put together here; ask for fewer at once");
  } else {
    buffer_append(&relay->body, bytes.data, bytes.size);
    collected_bytes += bytes.size;
  }
}

/* The provider's own name for the request, which its support asks for; a caller's mistake needs no support. */
static void add_request_id(Relay *relay) {
  _cleanup_(buffer_done) Buffer message = {0};
  Fault fault = relay->fault.fault;

  if (*relay->request_id == '\0' || !cause_counts(fault.cause))
    return;
  buffer_printf(&message, "%.*s (request %s)", TEXT_ARG(fault.message), relay->request_id);
  fault.message = (Text){(const char *)message.data, message.size};
  dialect_fault_set(&relay->fault, &fault);
}

static void refuse(Relay *relay, Text body) {
  relay->request.dialect->decode_error(&(DialectHead){.status = relay->status,
                                                      .retry_after = text_of(relay->retry_after),
                                                      .retry_after_ms = text_of(relay->retry_after_ms),
                                                      .error_type = text_of(relay->error_type),
                                                      .location = text_of(relay->location),
                                                      .now_s = clock_realtime_us() / US_PER_S},
                                       body, &relay->fault);
  add_request_id(relay);
  end(relay, RELAY_FAILED);
}

static void end_plain(Relay *relay) {
  const Dialect *dialect = relay->request.dialect;
  Text body = {(const char *)relay->body.data, relay->body.size};
  _cleanup_(buffer_done) Buffer response = {0};
  int r;

  if (!is_success(relay)) {
    refuse(relay, body);
    return;
  }
  if (relay->request.wants_stream && !relay->request.work && !relay->request.is_embedding && body.size == 0) {
    fail(relay, CAUSE_MALFORMED, "it was asked for a stream and sent nothing");
    return;
  }
  if (relay->request.work)
    r = relay->request.work->decode(relay->request.work->userdata, &relay->out.asked, body, &relay->work.usage,
                                    &relay->fault);
  else
    r = relay->request.is_embedding
            ? dialect->decode_embed(&relay->out.asked, body, &response, &relay->work.usage, &relay->fault)
            : dialect->decode_chat(&relay->out.asked, body, &response, &relay->work.usage, &relay->fault);
  if (r != 0) {
    end(relay, RELAY_FAILED);
  } else if (relay->request.wants_stream && !relay->request.work) {
    fail(relay, CAUSE_MALFORMED, "it was asked for a stream and sent a whole answer");
  } else {
    relay->work.response = (Text){(const char *)response.data, response.size};
    end(relay, RELAY_DONE);
  }
}

static Cause cause_of_error(HttpError error) {
  static const Cause causes[HTTP_END] = {
      [HTTP_RESOLVE] = CAUSE_TRANSPORT, [HTTP_CONNECT] = CAUSE_TRANSPORT,  [HTTP_CONNECT_SLOW] = CAUSE_TRANSPORT,
      [HTTP_PROXY] = CAUSE_TRANSPORT,   [HTTP_TLS] = CAUSE_TRANSPORT,      [HTTP_NO_HEAD] = CAUSE_STALL,
      [HTTP_NO_FIRST] = CAUSE_STALL,    [HTTP_IDLE] = CAUSE_STALL,         [HTTP_TOTAL] = CAUSE_STALL,
      [HTTP_CUT] = CAUSE_CUT,           [HTTP_PROTOCOL] = CAUSE_MALFORMED,
  };

  return causes[error];
}

static void on_transfer_end(void *userdata, HttpError error, const char *detail) {
  Relay *relay = userdata;
  char message[400];

  relay->transfer = NULL;
  /* Behind the end mark nothing is missing, however the connection ends. */
  if (error != HTTP_OK && !(relay->streams && relay->stream.done)) {
    snprintf(message, sizeof message, "%s: %s (%s)", relay->request.name, http_error_about(error), detail);
    set_fault(relay, cause_of_error(error), http_error_name(error), message);
  }
  if (relay->streams) {
    relay->ended = true;
    advance(relay);
  } else if (relay->has_fault) {
    end(relay, RELAY_FAILED);
  } else {
    end_plain(relay);
  }
}

/* --- the beginning --- */

/* Where the host of a URL begins, and where what is behind it does. */
static const char *find_host(const char *url, const char **ret_path) {
  const char *mark = strstr(url, "://");
  const char *host = mark ? mark + 3 : url;

  *ret_path = host + strcspn(host, "/?");
  return host;
}

/* The host of a URL with its port, if that is not the usual one of its scheme: what libcurl sends as Host. */
static Text host_of(const char *url) {
  Text usual = strncmp(url, "https:", 6) == 0 ? TEXT(":443") : TEXT(":80");
  const char *end;
  const char *host = find_host(url, &end);
  size_t size = (size_t)(end - host);

  if (size > usual.size && memcmp(end - usual.size, usual.data, usual.size) == 0)
    size -= usual.size;
  return (Text){host, size};
}

static const char *base_of(const Relay *relay) {
  return relay->out.base_url.size > 0 ? (const char *)relay->out.base_url.data : relay->request.settings->base_url;
}

static const char *method_of(const Relay *relay) {
  if (relay->out.method)
    return relay->out.method;
  return relay->out.body.size > 0 ? "POST" : "GET";
}

static int authorize(Relay *relay, Text path) {
  const RelayRequest *request = &relay->request;
  DialectSend send = {.settings = request->settings,
                      .method = method_of(relay),
                      .host = host_of(base_of(relay)),
                      .path = path,
                      .body = buffer_bytes(&relay->out.body),
                      .now_s = relay->out.asked.now_s};

  return dialect_authorize(request->dialect, &request->key, &send, &relay->out.headers, &relay->fault);
}

/* Points at each of the headers, and at NULL behind them. */
static void list_headers(const Buffer *headers, const char *ret[HTTP_HEADERS_MAX + 1]) {
  const char *at = (const char *)headers->data;
  const char *end = at + headers->size;
  size_t count = 0;

  for (; at < end && count < HTTP_HEADERS_MAX; at += strlen(at) + 1)
    ret[count++] = at;
  ret[count] = NULL;
}

static void put_accept(const Dialect *dialect, Buffer *headers) {
  buffer_printf(headers, "Accept: application/json, %s", dialect->framing->content_type);
  buffer_append(headers, "", 1);
}

/* Returns 0, DIALECT_E_FAULT, or negative errno. */
static int start(Relay *relay) {
  const RelayRequest *request = &relay->request;
  HttpHandler handler = {.on_head = on_head, .on_body = on_body, .on_end = on_transfer_end, .userdata = relay};
  _cleanup_(buffer_done) Buffer url = {0};
  const char *headers[HTTP_HEADERS_MAX + 1];
  const char *path;

  buffer_printf(&url, "%s%.*s", base_of(relay), (int)relay->out.path.size, (const char *)relay->out.path.data);
  buffer_append(&url, "", 1);
  find_host((const char *)url.data, &path);
  if (request->work)
    dialect_put_header(&relay->out.headers, "Accept", TEXT("*/*"));
  else
    put_accept(request->dialect, &relay->out.headers);
  if (relay->out.body.size > 0)
    dialect_put_header(&relay->out.headers, "Content-Type",
                       *relay->out.content_type ? text_of(relay->out.content_type) : TEXT("application/json"));
  dialect_put_header(&relay->out.headers, "User-Agent", TEXT("pons/" PONS_VERSION));
  if (authorize(relay, text_of(path)) != 0)
    return DIALECT_E_FAULT;
  list_headers(&relay->out.headers, headers);
  return http_start(request->http,
                    &(HttpRequest){.url = (const char *)url.data,
                                   .headers = headers,
                                   .body = buffer_bytes(&relay->out.body),
                                   .posts = strcmp(method_of(relay), "POST") == 0,
                                   .pauses = request->wants_stream,
                                   .limits = request->limits},
                    &handler, &relay->transfer);
}

/* Returns 0, or DIALECT_E_FAULT with the relay's fault filled. */
static int encode(Relay *relay) {
  const RelayRequest *request = &relay->request;
  const Dialect *dialect = request->dialect;

  relay->out.asked = (DialectAsked){
      .settings = request->settings,
      .model = request->upstream,
      .now_s = clock_realtime_us() / US_PER_S,
      .number = request_id_hash(call_id(relay->call)),
  };
  if (request->work)
    return request->work->encode(request->work->userdata, &relay->out, &relay->fault);
  if (!request->is_embedding)
    return dialect->encode_chat(request->request, &relay->out, &relay->fault);
  if (dialect->encode_embed)
    return dialect->encode_embed(request->request, &relay->out, &relay->fault);
  set_fault(relay, CAUSE_UNAVAILABLE, NULL, "the provider's API has no embeddings");
  return DIALECT_E_FAULT;
}

void relay_start(const RelayRequest *request, Call *call, OnRelayEnd *on_end, void *userdata) {
  Relay *relay = calloc(1, sizeof *relay);
  int r;

  if (!relay)
    abort();
  *relay = (Relay){.request = *request,
                   .call = call,
                   .on_end = on_end,
                   .userdata = userdata,
                   .work = {.began_us = clock_monotonic_us()}};
  relay->frames = calloc(1, framing_of(relay)->state_bytes);
  if (!relay->frames)
    abort();
  call_on_cancel(call, on_cancel, relay);
  call_on_writable(call, on_writable, relay);
  r = encode(relay);
  dialect_stream_begin(request->dialect, &relay->out.asked, &relay->stream);
  if (r == 0)
    r = start(relay);
  if (r > 0)
    end(relay, RELAY_FAILED);
  else if (r < 0)
    fail(relay, CAUSE_UNAVAILABLE, "there is no memory for another transfer");
}
