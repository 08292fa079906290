/* The process as an agent: its calls, its credit, its session, its end. */
#include "bus/agent/agent.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/agent/agent-internal.h"
#include "bus/loop/notify.h"

enum {
  CONCURRENCY_DEFAULT = 4,
  THREADS_MAX = 1024,
  ECHO_PATIENCE_US = 2000000, /* for the echo of DRAIN */
  HOLD_PATIENCE_US = 1000000, /* for who holds the process */
  LATE_LOOK_US = 100000,      /* whether a handler that was late has kept its call since */
  REFUSAL_QUIET_US = 60000000,
  EXIT_REFUSED = 3,
};

Loop *runtime_loop(Runtime *runtime) {
  return runtime->loop;
}

Client *runtime_client(Runtime *runtime) {
  return runtime->client;
}

Text runtime_instance(const Runtime *runtime) {
  return text_of(runtime->instance);
}

void runtime_set_state(Runtime *runtime, void *state) {
  runtime->state = state;
}

void *runtime_state(const Runtime *runtime) {
  return runtime->state;
}

bool runtime_is_here(const Runtime *runtime) {
  return pthread_equal(runtime->thread, pthread_self()) != 0;
}

/* --- the end --- */

static void on_left(void *userdata) {
  Runtime *runtime = userdata;

  loop_stop(runtime->loop, runtime->exit_status);
}

static void leave(Runtime *runtime) {
  feature_give_back(runtime);
  runtime->phase = PHASE_LEAVING;
  client_leave(runtime->client, on_left, runtime);
}

/* Somebody waits for what it has begun. */
static bool is_busy(const Runtime *runtime) {
  return runtime->held > 0 || runtime->works > 0;
}

static void check_drained(Runtime *runtime) {
  if (runtime->phase != PHASE_DRAINED || is_busy(runtime))
    return;
  if (runtime->holds == 0)
    leave(runtime);
  else
    loop_timer_set(runtime->drain_timer, clock_monotonic_us() + HOLD_PATIENCE_US);
}

void runtime_hold(Runtime *runtime) {
  runtime->holds++;
}

void runtime_release(Runtime *runtime) {
  if (--runtime->holds == 0)
    check_drained(runtime);
}

void runtime_begin_work(Runtime *runtime) {
  runtime->works++;
}

void runtime_end_work(Runtime *runtime) {
  runtime->works--;
  check_drained(runtime);
}

void runtime_drained(Runtime *runtime, uint32_t broker) {
  runtime->sessions[broker].drained = true;
  if (runtime->phase != PHASE_DRAINING)
    return;
  for (uint32_t i = 0; i < client_brokers(runtime->client); i++)
    if (!runtime->sessions[i].drained)
      return;
  runtime->phase = PHASE_DRAINED;
  check_drained(runtime);
}

/* No echo has come; or those who hold the process have had their time. */
static void on_impatient(void *userdata, uint64_t now_us) {
  Runtime *runtime = userdata;

  (void)now_us;
  if (runtime->phase == PHASE_DRAINING)
    for (uint32_t i = 0; i < client_brokers(runtime->client); i++)
      runtime_drained(runtime, i);
  else if (runtime->phase == PHASE_DRAINED && !is_busy(runtime))
    leave(runtime);
}

static void drain(Runtime *runtime) {
  Header header = {.kind = KIND_DRAIN};
  uint32_t brokers = client_brokers(runtime->client);

  if (runtime->phase != PHASE_SERVING)
    return;
  runtime->phase = PHASE_DRAINING;
  notify_stopping();
  if (runtime->agent->drain)
    runtime->agent->drain(runtime);
  loop_timer_set(runtime->drain_timer, clock_monotonic_us() + ECHO_PATIENCE_US);
  for (uint32_t i = 0; i < brokers; i++)
    runtime->sessions[i].drained = client_send(runtime->client, i, &header, BYTES_NONE, NULL) != 0;
  for (uint32_t i = 0; i < brokers; i++)
    if (runtime->sessions[i].drained)
      runtime_drained(runtime, i);
}

static void on_drain(void *userdata) {
  drain(userdata);
}

void runtime_drain(Runtime *runtime) {
  if (loop_post(runtime->loop, on_drain, runtime) < 0)
    log_error("PONS-AGENT-DRAIN", "there is no memory to begin the drain; send SIGTERM again");
}

/* --- calls --- */

static void on_deadline(void *userdata, uint64_t now_us) {
  Runtime *runtime = userdata;
  HeapEntry *first;

  while ((first = heap_first(&runtime->deadlines)) && first->at_us <= now_us) {
    heap_remove(&runtime->deadlines, first);
    if (call_stop(CONTAINER_OF(first, Call, deadline), STATUS_DEADLINE))
      heap_set(&runtime->deadlines, first, now_us + LATE_LOOK_US);
  }
  first = heap_first(&runtime->deadlines);
  runtime->deadline_timer_us = first ? first->at_us : TIME_NEVER;
  loop_timer_set(runtime->deadline_timer, runtime->deadline_timer_us);
}

void runtime_list(Runtime *runtime, Call *call) {
  table_add(&runtime->calls, &call->link, request_id_hash(call->id));
  list_push(&runtime->running, &call->in_runtime);
  runtime->held++;
  runtime->sessions[call->broker].held++;
  call->is_listed = true;
  heap_set(&runtime->deadlines, &call->deadline, call->due_us);
  if (call->due_us < runtime->deadline_timer_us) {
    runtime->deadline_timer_us = call->due_us;
    loop_timer_set(runtime->deadline_timer, call->due_us);
  }
}

void runtime_unlist(Runtime *runtime, Call *call) {
  if (!list_has(&call->in_runtime))
    return;
  table_remove(&runtime->calls, &call->link);
  list_remove(&call->in_runtime);
  heap_remove(&runtime->deadlines, &call->deadline);
  runtime->held--;
  call->is_listed = false;
  brokers_release(call);
  check_drained(runtime);
}

/* --- the hooks --- */

static void on_flush(void *userdata) {
  pool_flush(userdata);
}

static void on_state(void *userdata, ClientState state, Status status, const char *text) {
  Runtime *runtime = userdata;

  if (state == CLIENT_CONNECTING)
    log_info("PONS-AGENT-ALONE", "%s: %s", runtime->instance, text);
  else if (state == CLIENT_REFUSED)
    log_error("PONS-AGENT-REFUSED", "%s is refused by the broker: %s", runtime->instance, text);
  else if (state == CLIENT_OPEN && status != STATUS_OK)
    log_warning("PONS-AGENT-REFUSED-BY-ONE", "%s is refused by one broker and serves at the other: %s",
                runtime->instance, text);
  if (state == CLIENT_REFUSED && status != STATUS_LIMIT)
    loop_stop(runtime->loop, EXIT_REFUSED);
}

/* --- making --- */

/* The key that proves who this is; the file is read by its path, so no secret stands in an environment or a command line. */
/* Of what it says or wants to hear without being answered. Whoever is refused one event is refused many: said once a minute. */
static void on_refusal(void *userdata, Status status, const char *text) {
  Runtime *runtime = userdata;
  uint64_t now_us = clock_monotonic_us();

  (void)status;
  if (runtime->refusal_told_us && now_us < runtime->refusal_told_us + REFUSAL_QUIET_US)
    return;
  runtime->refusal_told_us = now_us;
  log_warning("PONS-AGENT-NOT-HEARD", "%s: a broker refuses what it publishes or subscribes to: %s", runtime->instance,
              text);
}

static int read_key(Runtime *runtime, KeyPair **ret) {
  const char *path = runtime->options->key;
  int r = path ? key_read(path, ret) : 0;

  if (r == 0)
    return 0;
  log_error("PONS-AGENT-KEY", "%s: the key file %s can't be used: %s", runtime->name, path, key_error(r));
  return -ENOKEY;
}

static int make_client(Runtime *runtime) {
  _cleanup_(key_unref) KeyPair *key = NULL;
  const AgentOptions *options = runtime->options;
  ClientOptions from = {
      .endpoint = options->endpoint,
      .agent = text_of(runtime->name),
      .site = text_of(options->site),
      .library = text_of("pons-agent " PONS_VERSION),
      .calls = runtime->calls_made,
      .calls_count = runtime->calls_made_count,
      .incarnation_us = clock_realtime_us(),
      .on_state = on_state,
      .on_refusal = on_refusal,
      .userdata = runtime,
  };
  InstanceHooks hooks = {
      .on_open = brokers_on_open,
      .on_message = serve_message,
      .on_lost = brokers_on_lost,
      .on_flush = on_flush,
      .userdata = runtime,
  };
  HelloService *services;
  int r = read_key(runtime, &key);

  if (r < 0)
    return r;
  from.key = key;
  r = client_new(runtime->loop, &from, &runtime->client);
  if (r < 0)
    return r;
  runtime->executions = client_id(runtime->client).value;
  instance_format(from.agent, client_id(runtime->client), runtime->instance);
  services = methods_hello(runtime, &hooks.services_count);
  hooks.services = services;
  r = client_serve(runtime->client, &hooks);
  methods_hello_done(services, hooks.services_count);
  return r;
}

static uint32_t concurrency_of(const Agent *agent, const AgentOptions *options) {
  uint32_t wanted = options->concurrency ? options->concurrency : agent->concurrency;

  return wanted ? (uint32_t)min_u64(wanted, LIMIT_CREDIT) : CONCURRENCY_DEFAULT;
}

static bool has_inline(const Runtime *runtime) {
  for (size_t i = 0; i < runtime->methods_count; i++)
    if (runtime->methods_list[i].row->inline_)
      return true;
  return false;
}

int runtime_new(const Agent *agent, const AgentOptions *options, Runtime **ret) {
  _cleanup_(runtime_destroy) Runtime *runtime = calloc(1, sizeof *runtime);
  uint32_t concurrency = concurrency_of(agent, options);
  int r;

  if (!runtime)
    return -ENOMEM;
  runtime->agent = agent;
  runtime->options = options;
  runtime->thread = pthread_self();
  runtime->deadline_timer_us = TIME_NEVER;
  list_init(&runtime->running);
  list_init(&runtime->expired);
  memory_start(&runtime->memory, clock_monotonic_us());
  snprintf(runtime->name, sizeof runtime->name, "%s", options->name);
  r = methods_init(runtime);
  if (r == 0)
    r = methods_find_calls(runtime);
  if (r == 0)
    r = pool_init(runtime, (uint32_t)min_u64(concurrency, THREADS_MAX));
  if (r == 0)
    r = loop_new(&runtime->loop);
  if (r == 0)
    r = loop_timer_new(runtime->loop, on_deadline, runtime, &runtime->deadline_timer);
  if (r == 0)
    r = loop_timer_new(runtime->loop, on_impatient, runtime, &runtime->drain_timer);
  if (r == 0)
    r = loop_timer_new(runtime->loop, brokers_on_patience, runtime, &runtime->patience);
  if (r == 0)
    r = make_client(runtime);
  if (r == 0)
    r = feature_init(runtime);
  if (r < 0)
    return r;
  credit_init(&runtime->credit, concurrency, has_inline(runtime));
  *ret = TAKE(runtime);
  return 0;
}

static void drop_keeper(Call *call) {
  if (atomic_exchange(&call->keeper, false))
    call_unref(call);
}

/* What was never answered: kept calls of an agent that was stopped. */
static void drop_calls(Runtime *runtime) {
  LIST_EACH (&runtime->running, Call, in_runtime, call) {
    list_remove(&call->in_runtime);
    drop_keeper(call);
    call_unref(call);
  }
  LIST_EACH (&runtime->expired, Call, in_expired, call) {
    list_remove(&call->in_expired);
    drop_keeper(call);
  }
}

void runtime_destroy(Runtime **p) {
  Runtime *runtime = TAKE(*p);

  if (!runtime)
    return;
  pool_done(runtime);
  feature_done(runtime);
  client_destroy(&runtime->client);
  drop_calls(runtime);
  loop_timer_destroy(&runtime->deadline_timer);
  loop_timer_destroy(&runtime->drain_timer);
  loop_timer_destroy(&runtime->patience);
  loop_destroy(&runtime->loop);
  memory_done(&runtime->memory);
  heap_done(&runtime->deadlines);
  table_done(&runtime->calls);
  methods_done(runtime);
  free(runtime->calls_made);
  buffer_done(&runtime->scratch);
  buffer_done(&runtime->header);
  free(runtime);
}
