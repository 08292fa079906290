#include "agents/tiny_llama_service_enhanced/server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/http/http.h"
#include "adapters/openai/openai.h"

enum {
  CONNECTIONS = 64,
  CONNECT_MS = 5000,
  FIRST_MS = 600000, /* a model without a GPU reads a long prompt for minutes */
  IDLE_MS = 120000,
  TOTAL_MS = 1800000,
  STATE_BYTES = 300,
};

struct Server {
  const ConfigLocalLlm *config;
  Http *http;
  Buffer name; /* "the server at …", with its zero */
  char *key;   /* or NULL */
  DialectSettings settings;
  const char *state;
  char why[STATE_BYTES];
};

typedef struct Question {
  Server *server;
  OnRelayEnd *on_end;
  void *userdata;
} Question;

/* --- the end --- */

static void remember(Server *server, const RelayEnd *end) {
  Cause cause = end->fault->cause;

  if (end->outcome == RELAY_DONE)
    server->state = "up";
  else if (cause == CAUSE_TRANSPORT || cause == CAUSE_STALL)
    server->state = "down";
  snprintf(server->why, sizeof server->why, "%.*s", TEXT_ARG(end->fault->message));
}

static void on_relay_end(void *userdata, const RelayEnd *end) {
  Question *question = userdata;

  if (end->outcome != RELAY_UNWANTED)
    remember(question->server, end);
  question->on_end(question->userdata, end);
  free(question);
}

/* --- asking --- */

/* The request, streaming as the caller does and not as its JSON says; with holds it. Returns false when it is no JSON object. */
static bool prepare(Text request, bool is_embedding, bool streams, Buffer *with, Json *ret) {
  if (json_check(request, ret, NULL) != 0 || json_type(*ret) != JSON_OBJECT)
    return false;
  if (is_embedding)
    return true;
  json_put_with(with, *ret, "stream", streams ? TEXT("true") : TEXT_NONE);
  return json_check((Text){(const char *)with->data, with->size}, ret, NULL) == 0;
}

/* The server would take no notice of it, or answer what nobody expects. */
static bool is_stream_of_vectors(Json request, bool is_embedding) {
  bool streams = false;

  return is_embedding && json_get_bool(json_find(request, "stream"), &streams) == 0 && streams;
}

static void refuse(OnRelayEnd *on_end, void *userdata, const Fault *fault) {
  on_end(userdata, &(RelayEnd){.outcome = RELAY_FAILED, .fault = fault, .work = {.began_us = clock_monotonic_us()}});
}

void server_ask(Server *server, Call *call, Text request, Text model, bool is_embedding, OnRelayEnd *on_end,
                void *userdata) {
  _cleanup_(buffer_done) Buffer with = {0};
  RelayRequest relay = {.http = server->http,
                        .dialect = &openai_dialect,
                        .name = (const char *)server->name.data,
                        .settings = &server->settings,
                        .key = {.secret = server->key},
                        .limits = {.connect_ms = CONNECT_MS,
                                   .headers_ms = FIRST_MS,
                                   .first_ms = FIRST_MS,
                                   .idle_ms = IDLE_MS,
                                   .total_ms = TOTAL_MS},
                        .asked = request,
                        .upstream = model,
                        .is_embedding = is_embedding,
                        .wants_stream = !is_embedding && call_wants_stream(call),
                        .trusts_streams = true};
  Question *question;

  if (!prepare(request, is_embedding, relay.wants_stream, &with, &relay.request)) {
    refuse(on_end, userdata, &(Fault){.cause = CAUSE_CALLER, .message = TEXT("the request is no JSON object")});
    return;
  }
  if (is_stream_of_vectors(relay.request, is_embedding)) {
    refuse(on_end, userdata,
           &(Fault){.cause = CAUSE_CALLER,
                    .message = TEXT("embeddings do not come as a stream; leave 'stream' out"),
                    .param = TEXT("stream"),
                    .code = TEXT("unsupported_value")});
    return;
  }
  question = malloc(sizeof *question);
  if (!question)
    abort();
  *question = (Question){.server = server, .on_end = on_end, .userdata = userdata};
  relay_start(&relay, call, on_relay_end, question);
}

/* --- making --- */

static int read_key(Server *server, Buffer *why) {
  if (!server->config->key.file && !server->config->key.env)
    return 0;
  return config_secret_read(&server->config->key, &server->key, why) == 0 ? 0 : -EINVAL;
}

int server_new(Loop *loop, const ConfigLocalLlm *config, Server **ret, Buffer *why) {
  _cleanup_(server_destroy) Server *server = calloc(1, sizeof *server);
  int r;

  if (!server)
    return -ENOMEM;
  server->config = config;
  server->settings = (DialectSettings){.base_url = config->base_url};
  server->state = "unmeasured";
  buffer_printf(&server->name, "the server at %s", config->base_url);
  buffer_append(&server->name, "", 1);
  r = read_key(server, why);
  if (r == 0)
    r = http_new(loop, &(HttpOptions){.connections = CONNECTIONS}, &server->http);
  if (r == 0)
    *ret = TAKE(server);
  return r;
}

void server_destroy(Server **p) {
  Server *server = TAKE(*p);

  if (!server)
    return;
  http_destroy(&server->http);
  config_secret_destroy(&server->key);
  buffer_done(&server->name);
  free(server);
}

const char *server_state(const Server *server, Buffer *why) {
  if (strcmp(server->state, "down") == 0)
    buffer_append(why, server->why, strlen(server->why));
  return server->state;
}
