/* A visit tries one candidate after the other, each by a relay of its own. */
#include "agents/remote_api_adapter/visit.h"

#include <stdio.h>
#include <stdlib.h>

#include "agents/relay/relay.h"
#include "bus/json/json.h"

typedef struct Visit {
  Remote *remote;
  Call *call;
  Json request;
  bool is_embedding;
  bool wants_stream; /* the caller's JSON says so */
  Task task;
  ModelSeen *model; /* of the candidate that is being tried */
} Visit;

static void try_candidate(Visit *visit);

/* --- the end --- */

static void end_visit(Visit *visit) {
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

/* The candidate has failed; the next one is tried, here or elsewhere, or the call has its answer. */
static void fail(Visit *visit, const Fault *fault, const ExecutorEnd *end) {
  note(visit, fault);
  if (executor_fail(visit->remote->executor, visit->call, &visit->task, fault, end))
    try_candidate(visit);
  else
    end_visit(visit);
}

static void fail_unasked(Visit *visit, Cause cause, const char *message) {
  fail(visit, &(Fault){.cause = cause, .message = text_of(message)}, &(ExecutorEnd){.began_us = clock_monotonic_us()});
}

static void on_relay_end(void *userdata, const RelayEnd *relay) {
  Visit *visit = userdata;
  ExecutorEnd end = relay->work;

  if (relay->outcome == RELAY_FAILED) {
    fail(visit, relay->fault, &end);
    return;
  }
  if (relay->outcome == RELAY_DONE) {
    note(visit, NULL);
    end.provider = text_of(visit->model->provider->config->name);
    executor_reply(visit->remote->executor, visit->call, &visit->task, &end);
  } else {
    executor_unwanted(visit->remote->executor, visit->call, &visit->task, &end);
  }
  end_visit(visit);
}

/* --- trying --- */

static void ask(Visit *visit) {
  const Provider *provider = visit->model->provider;
  const ConfigProvider *config = provider->config;

  relay_start(&(RelayRequest){.http = provider->http,
                              .dialect = provider->dialect,
                              .name = config->name,
                              .base_url = config->base_url,
                              .key_header = provider->key_header,
                              .connect_ms = config->connect_ms,
                              .first_ms = config->first_ms,
                              .idle_ms = config->idle_ms,
                              .total_ms = config->total_ms,
                              .request = visit->request,
                              .upstream = text_of(visit->model->config->upstream),
                              .is_embedding = visit->is_embedding,
                              .wants_stream = visit->wants_stream},
              visit->call, on_relay_end, visit);
}

static void try_candidate(Visit *visit) {
  visit->model = providers_find_model(&visit->remote->providers, task_model(&visit->task));
  if (!visit->model)
    fail_unasked(visit, CAUSE_UNAVAILABLE, "this machine's pons.yaml has no model of RemoteApiAdapter with this name");
  else if (visit->model->provider->trouble.size > 0)
    fail_unasked(visit, CAUSE_AUTH, "its key can't be read on this machine; the adapter's log says why");
  else
    ask(visit);
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
  try_candidate(visit);
}
