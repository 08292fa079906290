#include "agents/tiny_llama_service_enhanced/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/http/http.h"
#include "adapters/http/sse.h"
#include "adapters/openai/openai.h"

enum {
  CONNECTIONS = 64,
  CONNECT_MS = 5000,
  FIRST_MS = 600000, /* a model without a GPU reads a long prompt for minutes */
  IDLE_MS = 120000,
  TOTAL_MS = 1800000,
  PIECE_MAX_BYTES = LIMIT_BODY_BYTES - 64, /* beside msgpack's words around it */
  STATE_BYTES = 300,
};

struct Server {
  const ConfigLocalLlm *config;
  Http *http;
  char *key; /* "Authorization: Bearer …", or NULL */
  const char *state;
  char why[STATE_BYTES];
};

typedef struct Question {
  Server *server;
  Call *call;
  bool is_embedding;
  bool streams;
  OnServerEnd *on_end;
  void *userdata;
  HttpTransfer *transfer;
  DialectRequest request;
  Buffer url;
  unsigned status;
  char retry_after[64];
  Buffer body;
  Sse sse;
  DialectStream stream;
  DialectFault fault;
  bool has_fault;
  ServerEnd end;
} Question;

/* --- the end --- */

static void remember(Server *server, const Question *question, ServerOutcome outcome) {
  Cause cause = question->fault.fault.cause;

  if (outcome == SERVER_DONE)
    server->state = "up";
  else if (outcome == SERVER_FAILED && (cause == CAUSE_TRANSPORT || cause == CAUSE_STALL))
    server->state = "down";
  snprintf(server->why, sizeof server->why, "%.*s", TEXT_ARG(question->fault.fault.message));
}

static void end(Question *question, ServerOutcome outcome) {
  if (outcome != SERVER_UNWANTED)
    remember(question->server, question, outcome);
  call_on_cancel(question->call, NULL, NULL);
  call_on_writable(question->call, NULL, NULL);
  question->end.outcome = outcome;
  question->end.fault = &question->fault.fault;
  question->end.usage = question->streams ? question->stream.usage : question->end.usage;
  question->on_end(question->userdata, &question->end);
  http_cancel(&question->transfer);
  dialect_request_done(&question->request);
  dialect_stream_done(&question->stream);
  dialect_fault_done(&question->fault);
  sse_done(&question->sse);
  buffer_done(&question->url);
  buffer_done(&question->body);
  free(question);
}

static void fail(Question *question, Cause cause, const char *message) {
  dialect_fault_set(&question->fault, &(Fault){.cause = cause, .message = text_of(message)});
  end(question, SERVER_FAILED);
}

static void on_cancel(void *userdata, Call *call) {
  (void)call;
  end(userdata, SERVER_UNWANTED);
}

/* --- the stream --- */

/* Hands on what is ready. Returns false when the question has ended by that. */
static bool hand_on(Question *question) {
  Buffer *events = &question->stream.events;
  int r;

  if (events->size == 0)
    return true;
  if (events->size > PIECE_MAX_BYTES) {
    fail(question, CAUSE_MALFORMED, "the server sent an event that is too large to be handed on");
    return false;
  }
  r = call_chunk(question->call, &(ChatPiece){{(const char *)events->data, events->size}});
  if (r == -EAGAIN) {
    http_pause(question->transfer, true);
    return true;
  }
  if (r != 0) {
    end(question, SERVER_UNWANTED);
    return false;
  }
  question->end.sent = true;
  if (question->end.first_us == 0)
    question->end.first_us = clock_monotonic_us();
  buffer_clear(events);
  return true;
}

static void on_writable(void *userdata, Call *call) {
  Question *question = userdata;

  (void)call;
  if (question->transfer && hand_on(question) && question->stream.events.size == 0)
    http_pause(question->transfer, false);
}

static void on_event(void *userdata, Text type, Text data) {
  Question *question = userdata;

  if (!question->has_fault)
    question->has_fault = openai_dialect.stream_event(&question->stream, type, data, &question->fault) != 0;
}

static void on_head(void *userdata, const HttpHead *head) {
  Question *question = userdata;

  question->status = head->status;
  snprintf(question->retry_after, sizeof question->retry_after, "%.*s", TEXT_ARG(head->retry_after));
}

static void on_body(void *userdata, Bytes bytes) {
  Question *question = userdata;

  if (question->status == 200 && question->streams) {
    if (sse_feed(&question->sse, bytes, on_event, question) != 0)
      fail(question, CAUSE_MALFORMED, "the server sent an event of over a mebibyte");
    else if (question->has_fault)
      end(question, SERVER_FAILED);
    else
      hand_on(question);
    return;
  }
  buffer_append(&question->body, bytes.data, bytes.size);
  if (question->body.size > LIMIT_REQUEST_BYTES)
    fail(question, CAUSE_MALFORMED, "the server's answer is over 16 MiB");
}

/* --- the answer --- */

static Cause cause_of(HttpError error) {
  switch (error) {
  case HTTP_NO_ANSWER:
  case HTTP_IDLE:
  case HTTP_TOTAL:
    return CAUSE_STALL;
  case HTTP_CUT:
    return CAUSE_CUT;
  case HTTP_PROTOCOL:
    return CAUSE_MALFORMED;
  default:
    return CAUSE_TRANSPORT;
  }
}

static void end_whole(Question *question) {
  Text body = {(const char *)question->body.data, question->body.size};
  _cleanup_(buffer_done) Buffer response = {0};
  int r = (question->is_embedding ? openai_dialect.decode_embed : openai_dialect.decode_chat)(
      body, &response, &question->end.usage, &question->fault);

  question->end.first_us = clock_monotonic_us();
  question->end.response = (Text){(const char *)response.data, response.size};
  end(question, r == 0 ? SERVER_DONE : SERVER_FAILED);
}

static void on_transfer_end(void *userdata, HttpError error, const char *detail) {
  Question *question = userdata;
  const char *url = question->server->config->base_url;
  char message[STATE_BYTES];

  question->transfer = NULL;
  if (error != HTTP_OK) {
    snprintf(message, sizeof message, "the server at %s: %s (%s)", url, http_error_about(error), detail ? detail : "");
    fail(question, cause_of(error), message);
  } else if (question->status != 200) {
    openai_dialect.decode_error(&(DialectHead){.status = question->status,
                                               .retry_after = text_of(question->retry_after),
                                               .now_s = clock_realtime_us() / US_PER_S},
                                (Text){(const char *)question->body.data, question->body.size}, &question->fault);
    end(question, SERVER_FAILED);
  } else if (!question->streams) {
    end_whole(question);
  } else if (openai_dialect.stream_is_whole(&question->stream)) {
    end(question, SERVER_DONE);
  } else {
    fail(question, CAUSE_CUT, "the server's answer broke off before its end");
  }
}

/* --- asking --- */

/* The request, streaming as the caller does and not as its JSON says. Returns false when it is no JSON object. */
static bool encode(Question *question, Text request, Text model) {
  _cleanup_(buffer_done) Buffer with = {0};
  Json object;

  if (json_check(request, &object, NULL) != 0 || json_type(object) != JSON_OBJECT)
    return false;
  if (question->is_embedding) {
    openai_dialect.encode_embed(object, model, &question->request);
    return true;
  }
  json_put_with(&with, object, "stream", question->streams ? TEXT("true") : TEXT_NONE);
  if (json_check((Text){(const char *)with.data, with.size}, &object, NULL) != 0)
    return false;
  openai_dialect.encode_chat(object, model, &question->request);
  question->stream.hides_usage = question->request.hides_usage;
  return true;
}

static void start(Question *question) {
  Server *server = question->server;
  const char *const headers[] = {"Content-Type: application/json", server->key, NULL};
  HttpRequest request = {.headers = headers,
                         .body = buffer_bytes(&question->request.body),
                         .connect_ms = CONNECT_MS,
                         .first_ms = FIRST_MS,
                         .idle_ms = IDLE_MS,
                         .total_ms = TOTAL_MS};
  HttpHandler handler = {.on_head = on_head, .on_body = on_body, .on_end = on_transfer_end, .userdata = question};

  buffer_printf(&question->url, "%s%s", server->config->base_url, question->request.path);
  buffer_append(&question->url, "", 1);
  request.url = (const char *)question->url.data;
  if (http_start(server->http, &request, &handler, &question->transfer) < 0)
    fail(question, CAUSE_UNAVAILABLE, "there is no memory to ask the server");
}

void server_ask(Server *server, Call *call, Text request, Text model, bool is_embedding, OnServerEnd *on_end,
                void *userdata) {
  Question *question = calloc(1, sizeof *question);

  if (!question)
    abort();
  *question = (Question){.server = server,
                         .call = call,
                         .is_embedding = is_embedding,
                         .streams = !is_embedding && call_wants_stream(call),
                         .on_end = on_end,
                         .userdata = userdata,
                         .end = {.began_us = clock_monotonic_us()}};
  call_on_cancel(call, on_cancel, question);
  call_on_writable(call, on_writable, question);
  if (encode(question, request, model))
    start(question);
  else
    fail(question, CAUSE_CALLER, "the request is no JSON object");
}

/* --- making --- */

static int read_key(Server *server, Buffer *why) {
  _cleanup_(config_secret_destroy) char *secret = NULL;

  if (!server->config->key.file && !server->config->key.env)
    return 0;
  if (config_secret_read(&server->config->key, &secret, why) != 0)
    return -EINVAL;
  return asprintf(&server->key, "%s%s", openai_dialect.key_header, secret) < 0 ? -ENOMEM : 0;
}

int server_new(Loop *loop, const ConfigLocalLlm *config, Server **ret, Buffer *why) {
  _cleanup_(server_destroy) Server *server = calloc(1, sizeof *server);
  int r;

  if (!server)
    return -ENOMEM;
  server->config = config;
  server->state = "unmeasured";
  r = read_key(server, why);
  if (r == 0)
    r = http_new(loop, CONNECTIONS, &server->http);
  if (r == 0)
    *ret = TAKE(server);
  return r;
}

void server_destroy(Server **p) {
  Server *server = TAKE(*p);

  if (!server)
    return;
  http_destroy(&server->http);
  if (server->key)
    config_secret_destroy(&server->key);
  free(server);
}

const char *server_state(const Server *server, Buffer *why) {
  if (strcmp(server->state, "down") == 0)
    buffer_append(why, server->why, strlen(server->why));
  return server->state;
}
