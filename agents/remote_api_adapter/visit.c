/* A visit tries one candidate after the other, each try by a relay of its own. What the failure of a try leads to is in
   agents/contracts/causes.def: somebody else at once, else the same one again after a back-off, else the end. */
#include "agents/remote_api_adapter/visit.h"

#include <stdio.h>
#include <stdlib.h>

#include "agents/relay/relay.h"
#include "bus/base/ids.h"
#include "bus/json/json.h"

typedef struct Visit {
  Remote *remote;
  Call *call;
  Json request;
  bool is_embedding;
  bool wants_stream;    /* the caller's JSON says so */
  const WorkKind *kind; /* of other work; NULL: a completion or embeddings */
  const void *ask;
  uint64_t held_bytes; /* of the request */
  RelayWork work;
  RelayStream stream; /* of work in pieces */
  DialectMade made;
  Task task;
  ModelSeen *model; /* of the candidate that is being tried */
  uint64_t began_us;
  int key;             /* of its provider, that is being tried */
  uint32_t generation; /* of that key's value */
  uint32_t tried;      /* keys, a bit for each */
  uint32_t renewed;    /* of them, those that were found to have a new value */
  uint32_t tries;      /* of it */
  uint32_t rounds;     /* of these, how often after a wait, and the first */
  DialectFault first;  /* what the first of them failed with */
  LoopTimer *again;
} Visit;

static void try_candidate(Visit *visit);
static void begin_round(Visit *visit, uint64_t now_us);
static void ask(Visit *visit);

/* --- the end --- */

static void end_visit(Visit *visit) {
  visit->remote->running--;
  visit->remote->held_bytes -= visit->held_bytes;
  loop_timer_destroy(&visit->again);
  dialect_fault_done(&visit->first);
  dialect_made_done(&visit->made);
  free(visit);
}

static void note(Visit *visit, const Fault *fault) {
  if (!visit->model)
    return;
  visit->model->seen = !fault ? SEEN_UP : cause_counts(fault->cause) ? SEEN_DOWN : visit->model->seen;
  if (fault && visit->model->seen == SEEN_DOWN)
    snprintf(visit->model->why, sizeof visit->model->why, "%.*s",
             TEXT_ARG(text_at_most(fault->message, sizeof visit->model->why - 1)));
}

/* The candidate has failed; the next one is tried, here or elsewhere, or the call has its answer. */
static void give_up(Visit *visit, const Fault *fault, ExecutorEnd end) {
  end.tries = visit->tries;
  if (executor_fail(visit->remote->executor, visit->call, &visit->task, fault, &end))
    try_candidate(visit);
  else
    end_visit(visit);
}

/* --- again --- */

static void on_again(void *userdata, uint64_t now_us) {
  Visit *visit = userdata;

  call_on_cancel(visit->call, NULL, NULL);
  begin_round(visit, now_us);
  ask(visit);
}

static void on_cancel(void *userdata, Call *call) {
  Visit *visit = userdata;

  executor_unwanted(visit->remote->executor, call, &visit->task, &(ExecutorEnd){.began_us = visit->began_us});
  end_visit(visit);
}

/* Whether the candidate is asked again: it may help, nobody else is left who could be asked now, and there is time. */
static bool is_tried_again(Visit *visit, Cause cause, uint64_t retry_after_us, uint64_t *ret_wait_us) {
  Provider *provider = visit->model->provider;
  uint64_t now_us = clock_monotonic_us();
  uint64_t deadline_us = call_deadline_us(visit->call);

  return cause_again(cause) && !executor_has_next(visit->remote->executor, &visit->task, cause) &&
         backoff_step(&provider->budget,
                      &(BackoffAsk){.tries = visit->rounds,
                                    .tries_most = provider->config->attempts,
                                    .longest_us = provider->config->wait_ms * US_PER_MS,
                                    .retry_after_us = retry_after_us,
                                    .left_us = deadline_us - min_u64(deadline_us, now_us),
                                    .random = random_u64()},
                      ret_wait_us);
}

static void ask_later(Visit *visit, uint64_t wait_us) {
  if (!visit->again && loop_timer_new(visit->remote->loop, on_again, visit, &visit->again) < 0)
    abort();
  call_on_cancel(visit->call, on_cancel, visit);
  loop_timer_set(visit->again, clock_monotonic_us() + wait_us);
}

/* --- another key --- */

/* The key was refused. Whether there is another to be tried now: a new value of the same one, or the next one. */
static bool take_other_key(Visit *visit, const Fault *fault, bool sent) {
  Keys *keys = &visit->model->provider->keys;
  uint64_t now_us = clock_monotonic_us();
  uint32_t bit = visit->key == KEY_NONE ? 0 : 1U << visit->key;

  if (!bit || !cause_key(fault->cause))
    return false;
  if (keys_fail(keys, visit->key, visit->generation, fault->cause, fault->retry_after_us, now_us) &&
      !(visit->renewed & bit)) {
    visit->renewed |= bit;
    return !sent;
  }
  if (sent)
    return false;
  visit->key = keys_take(keys, visit->tried, now_us);
  if (visit->key != KEY_NONE)
    visit->tried |= 1U << visit->key;
  return visit->key != KEY_NONE;
}

/* What is told of a failure: which key it was, and no key's value, whatever the provider repeats of it. */
static void tell(const Visit *visit, const Fault *fault, DialectFault *ret) {
  const Keys *keys = &visit->model->provider->keys;
  _cleanup_(buffer_done) Buffer message = {0};
  Fault told = *fault;

  if (visit->key != KEY_NONE && (fault->cause == CAUSE_AUTH || fault->cause == CAUSE_QUOTA)) {
    buffer_printf(&message, "%.*s (key %s)", TEXT_ARG(fault->message), keys_name(keys, visit->key));
    told.message = (Text){(const char *)message.data, message.size};
  }
  dialect_fault_set(ret, &told);
  keys_redact(keys, (char *)ret->texts.data, ret->texts.size);
}

/* A try has failed. Of several at one candidate the first says why, unless the caller can mend it, and the last when to come
   again. */
static void fail(Visit *visit, const Fault *raw, const ExecutorEnd *end) {
  _cleanup_(dialect_fault_done) DialectFault told = {.texts = {0}};
  const Fault *fault = &told.fault;
  uint64_t wait_us;

  tell(visit, raw, &told);
  note(visit, fault);
  if (visit->tries == 1)
    dialect_fault_set(&visit->first, fault);
  if (take_other_key(visit, fault, end->sent)) {
    ask(visit);
    return;
  }
  if (!end->sent && is_tried_again(visit, fault->cause, fault->retry_after_us, &wait_us)) {
    ask_later(visit, wait_us);
    return;
  }
  if (visit->tries > 1 && cause_whose(fault->cause) != CAUSE_WHOSE_CALLER) {
    visit->first.fault.retry_after_us = fault->retry_after_us;
    fault = &visit->first.fault;
  }
  give_up(visit, fault, *end);
}

static void fail_unasked(Visit *visit, Cause cause, const char *message) {
  Fault fault = {.cause = cause, .message = text_of(message)};

  note(visit, &fault);
  give_up(visit, &fault, (ExecutorEnd){.began_us = clock_monotonic_us()});
}

static void reply(Visit *visit, const ExecutorEnd *end) {
  ChatFailure failures[TASK_FAILURES_MAX];
  WorkDone done;

  if (!visit->kind) {
    executor_reply(visit->remote->executor, visit->call, &visit->task, end);
    return;
  }
  executor_done(visit->remote->executor, visit->call, &visit->task, end, failures, &done);
  visit->kind->reply(visit->call, visit->ask, &visit->made, &done);
}

static void on_relay_end(void *userdata, const RelayEnd *relay) {
  Visit *visit = userdata;
  ExecutorEnd end = relay->work;

  end.began_us = visit->began_us;
  if (relay->outcome == RELAY_FAILED) {
    fail(visit, relay->fault, &end);
    return;
  }
  if (relay->outcome == RELAY_DONE) {
    note(visit, NULL);
    if (visit->key != KEY_NONE)
      keys_work(&visit->model->provider->keys, visit->key, visit->generation);
    backoff_earn(&visit->model->provider->budget);
    if (visit->tries > 1)
      task_note(&visit->task, &visit->first.fault, visit->tries - 1);
    end.provider = text_of(visit->model->provider->config->name);
    reply(visit, &end);
  } else {
    executor_unwanted(visit->remote->executor, visit->call, &visit->task, &end);
  }
  end_visit(visit);
}

/* --- trying --- */

static void ask(Visit *visit) {
  Provider *provider = visit->model->provider;
  const ConfigProvider *config = provider->config;

  visit->tries++;
  visit->generation = keys_generation(&provider->keys, visit->key);
  relay_start(&(RelayRequest){.http = provider->http,
                              .dialect = provider->dialect,
                              .name = config->name,
                              .settings = &provider->settings,
                              .key = keys_value(&provider->keys, visit->key),
                              .limits = {.connect_ms = config->connect_ms,
                                         .headers_ms = config->headers_ms,
                                         .first_ms = config->first_ms,
                                         .idle_ms = config->idle_ms,
                                         .total_ms = config->total_ms},
                              .work = visit->kind ? &visit->work : NULL,
                              .request = visit->request,
                              .asked = visit->request.text,
                              .upstream = text_of(visit->model->config->upstream),
                              .is_embedding = visit->is_embedding,
                              .wants_stream = visit->wants_stream},
              visit->call, on_relay_end, visit);
}

/* All keys may be tried again. */
static void begin_round(Visit *visit, uint64_t now_us) {
  visit->rounds++;
  visit->key = keys_take(&visit->model->provider->keys, 0, now_us);
  visit->tried = visit->key == KEY_NONE ? 0 : 1U << visit->key;
}

static void try_candidate(Visit *visit) {
  char message[128];

  visit->tries = visit->rounds = visit->renewed = 0;
  visit->key = KEY_NONE;
  visit->began_us = clock_monotonic_us();
  visit->model = providers_find_model(&visit->remote->providers, task_model(&visit->task));
  if (!visit->model) {
    fail_unasked(visit, CAUSE_UNAVAILABLE, "this machine's pons.yaml has no model of RemoteApiAdapter with this name");
    return;
  }
  if (visit->kind && strcmp(visit->model->config->kind, visit->kind->models) != 0) {
    snprintf(message, sizeof message, "it is a model of kind %s, and this is work for one of kind %s",
             visit->model->config->kind, visit->kind->models);
    fail_unasked(visit, CAUSE_UNAVAILABLE, message);
    return;
  }
  begin_round(visit, visit->began_us);
  if (keys_are_missing(&visit->model->provider->keys))
    fail_unasked(visit, CAUSE_AUTH, "its key can't be read on this machine; the adapter's log says why");
  else
    ask(visit);
}

/* A request stays for as long as somebody else may have to be asked, and once more in the provider's words. A broker keeps it only
   until the first piece of the answer, so what bounds the broker does not bound us. NULL: there is no room, and the call is
   answered. */
static Visit *new_visit(Remote *remote, Call *call) {
  enum { HELD_MAX_BYTES = 128 << 20 };
  uint64_t bytes = call_body(call).size;
  Visit *visit;

  if (remote->held_bytes + bytes > HELD_MAX_BYTES) {
    call_error_full(call, STATUS_OVERLOADED, NULL, US_PER_S,
                    "the adapter has 128 MiB of requests under way; ask again later, or start another one");
    return NULL;
  }
  visit = calloc(1, sizeof *visit);
  if (!visit)
    abort();
  *visit = (Visit){.remote = remote, .call = call, .held_bytes = bytes};
  remote->held_bytes += bytes;
  remote->running++;
  return visit;
}

/* --- other work --- */

static int encode_work(void *userdata, DialectRequest *ret, DialectFault *ret_fault) {
  Visit *visit = userdata;

  dialect_made_done(&visit->made); /* of a try that failed before its first piece */
  visit->made = (DialectMade){.text = TEXT_NONE};
  return visit->kind->encode(visit->model->provider->dialect, visit->ask, ret, ret_fault);
}

static int decode_work(void *userdata, const DialectAsked *asked, Text body, ChatUsage *ret_usage,
                       DialectFault *ret_fault) {
  Visit *visit = userdata;

  dialect_made_done(&visit->made);
  visit->made = (DialectMade){.text = TEXT_NONE};
  return visit->kind->decode(visit->model->provider->dialect, asked, body, &visit->made, ret_usage, ret_fault);
}

static int on_event(void *userdata, DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  Visit *visit = userdata;

  return visit->kind->event(visit->model->provider->dialect, stream, type, data, &visit->made, ret_fault);
}

static bool is_whole(const DialectStream *stream) {
  return stream->finished;
}

void visit_begin_work(Remote *remote, Call *call, const WorkKind *kind, Text model, const void *ask) {
  Visit *visit = new_visit(remote, call);
  Text fallback;

  if (!visit)
    return;
  visit->kind = kind;
  visit->ask = ask;
  visit->wants_stream = kind->event != NULL;
  visit->work = (RelayWork){.encode = encode_work, .decode = decode_work, .userdata = visit};
  if (kind->event) {
    visit->stream = (RelayStream){.framing = kind->framing,
                                  .event = on_event,
                                  .is_whole = is_whole,
                                  .pass = kind->pass,
                                  .is_binary = kind->framing == &framing_raw,
                                  .any_type = kind->framing == &framing_raw};
    visit->work.stream = &visit->stream;
  }
  if (!executor_begin(remote->executor, call, model, &visit->task)) {
    end_visit(visit);
    return;
  }
  for (size_t i = 0; kind->fallback(ask, i, &fallback); i++)
    task_add(&visit->task, fallback);
  call_keep(call);
  try_candidate(visit);
}

/* --- completions and embeddings --- */

/* Only completions come in pieces. A provider would ignore it or answer what nobody here expects. */
static void refuse_stream(Visit *visit) {
  call_fail(visit->call, &(CallFault){.status = STATUS_REFUSED,
                                      .message = TEXT("embeddings do not come as a stream; leave 'stream' out"),
                                      .path = TEXT("stream"),
                                      .code = TEXT("unsupported_value")});
  end_visit(visit);
}

void visit_begin(Remote *remote, Call *call, Text request) {
  static const char *const names[] = {"stream", "model"};
  Visit *visit = new_visit(remote, call);
  _cleanup_(buffer_done) Buffer model = {0};
  Json found[ELEMENTS(names)];
  JsonFault fault;

  if (!visit)
    return;
  visit->is_embedding = text_is(call_method(call), "embed");
  if (json_check(request, &visit->request, &fault) != 0 || json_type(visit->request) != JSON_OBJECT) {
    call_error_full(call, STATUS_REFUSED, "request", 0, "the request is not a JSON object");
    end_visit(visit);
    return;
  }
  json_find_each(visit->request, names, ELEMENTS(names), found);
  json_get_bool(found[0], &visit->wants_stream);
  if (visit->is_embedding && visit->wants_stream) {
    refuse_stream(visit);
    return;
  }
  json_get_string(found[1], &model);
  if (!executor_begin(remote->executor, call, buffer_text(&model), &visit->task)) {
    end_visit(visit);
    return;
  }
  call_keep(call);
  try_candidate(visit);
}
