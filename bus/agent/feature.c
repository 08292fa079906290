/* Whether this process serves now. The flag agent.NAME switches an agent off and on, and a singleton serves only while it holds its
   lease. Off, it says DRAIN and takes nothing new; on again, it says CREDIT. The process stays, so it is there again in a round
   trip. An agent that is switched off gives its lease back: another may have it. */
#include <stdio.h>

#include "bus/agent/agent-internal.h"

static bool says_off(const FlagState *flag) {
  Text value = text_of(flag->value);

  return flag->is_set && (text_is(value, "off") || text_is(value, "false") || text_is(value, "0"));
}

bool feature_is_off(const Runtime *runtime) {
  return runtime->feature.off || (runtime->feature.singleton && !runtime->feature.held);
}

static void say(Runtime *runtime) {
  Header drain = {.kind = KIND_DRAIN, .flags = FLAG_CLEAN};
  bool off = feature_is_off(runtime);

  if (off == runtime->feature.said_off || runtime->phase != PHASE_SERVING)
    return;
  runtime->feature.said_off = off;
  brokers_tell_status(runtime);
  if (!off) {
    runtime_grant(runtime);
    return;
  }
  for (uint32_t i = 0; i < client_brokers(runtime->client); i++)
    client_send(runtime->client, i, &drain, BYTES_NONE, NULL);
}

/* --- the lease --- */

static void on_held(void *userdata, LeaseToken token) {
  Runtime *runtime = userdata;

  log_info("PONS-AGENT-HOLDS", "%s holds the lease %s (token %llu.%llu) and serves", runtime->instance,
           runtime->feature.singleton, (unsigned long long)token.epoch, (unsigned long long)token.counter);
  runtime->feature.held = true;
  if (runtime->agent->on_lease)
    runtime->agent->on_lease(runtime, true);
  say(runtime);
}

/* What was not begun is for the next holder, and what was is told to stop: the youngest first, or a thread that has stopped would begin what
   waits. What is done is told to the end: DRAINING would have it done again. */
static void stop_calls(Runtime *runtime) {
  for (List *at = runtime->running.previous, *older; at != &runtime->running; at = older) {
    Call *call = CONTAINER_OF(at, Call, in_runtime);

    older = at->previous;
    if (!call->sending)
      call_stop(call, STATUS_DRAINING);
  }
}

static void stop_holding(Runtime *runtime) {
  runtime->feature.held = false;
  say(runtime);
  stop_calls(runtime);
  if (runtime->agent->on_lease)
    runtime->agent->on_lease(runtime, false);
}

static void on_lost(void *userdata, const char *why) {
  Runtime *runtime = userdata;

  log_warning("PONS-AGENT-LEASE-LOST", "%s has lost the lease %s and serves no more: %s", runtime->instance,
              runtime->feature.singleton, why);
  stop_holding(runtime);
}

static int make_lease(Runtime *runtime) {
  ClientLeaseOptions options = {.name = text_of(runtime->feature.singleton),
                                .may_double = runtime->agent->may_double,
                                .on_held = on_held,
                                .on_lost = on_lost,
                                .userdata = runtime};

  return runtime->feature.singleton == NULL ? 0 : client_lease_new(runtime->client, &options, &runtime->feature.lease);
}

void feature_give_back(Runtime *runtime) {
  bool held = runtime->feature.held;

  if (runtime->feature.lease)
    client_lease_want(runtime->feature.lease, false);
  if (held)
    stop_holding(runtime);
}

bool runtime_holds(Runtime *runtime, LeaseToken *ret) {
  return runtime->feature.lease && client_lease_check(runtime->feature.lease, ret);
}

bool feature_may_begin(Runtime *runtime) {
  return !runtime->feature.singleton || runtime_holds(runtime, NULL);
}

/* --- the flag --- */

static void on_flag(void *userdata, const FlagState *flag) {
  Runtime *runtime = userdata;
  bool off = says_off(flag);

  if (off == runtime->feature.off || runtime->phase != PHASE_SERVING)
    return;
  runtime->feature.off = off;
  log_info("PONS-AGENT-FLAG", "%s is switched %s by the flag agent.%s", runtime->instance, off ? "off" : "on",
           runtime->name);
  if (off)
    feature_give_back(runtime);
  else if (runtime->feature.lease)
    client_lease_want(runtime->feature.lease, true);
  say(runtime);
}

/* --- begun and ended --- */

int feature_init(Runtime *runtime) {
  char name[LIMIT_NAME_BYTES + 8];
  const char *option = runtime->options->singleton;
  int r;

  runtime->feature.singleton = option ? option : runtime->agent->singleton;
  runtime->feature.said_off = feature_is_off(runtime);
  snprintf(name, sizeof name, "agent.%s", runtime->name);
  r = make_lease(runtime);
  if (r < 0 || !name_is_valid(text_of(name)))
    return r; /* there is no such flag */
  return client_flag_watch(runtime->client, text_of(name), on_flag, runtime, &runtime->feature.flag);
}

void feature_done(Runtime *runtime) {
  client_lease_destroy(&runtime->feature.lease);
  client_flag_unwatch(&runtime->feature.flag);
}
