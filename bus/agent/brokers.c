/* The sessions with the brokers. Each is granted the whole credit, for the broker that nobody prefers has nothing to give
   most of the time; what comes beyond that is returned BUSY. Two brokers that both have work for us would play that game for
   every call, so from the first BUSY on each is granted half, until one of them has had nothing for a second. */
#include <stdlib.h>

#include "bus/agent/agent-internal.h"
#include "bus/loop/notify.h"

enum {
  CONTENDED_US = 1000000, /* of one broker alone until it has the whole credit again */
  READY_US = 200000,      /* the second broker is waited for, before READY is said */
  ORPHAN_US = 2000000, /* a stream without a broker until it is stopped: as long as its client may need to ask again */
};

static BrokerSession *session_of(const Call *call) {
  return &call->runtime->sessions[call->broker];
}

static bool is_orphan(const Call *call) {
  return !session_of(call)->is_open || session_of(call)->era != call->era;
}

bool brokers_any(const Runtime *runtime) {
  return runtime->sessions[0].is_open || runtime->sessions[1].is_open;
}

static bool has_all(const Runtime *runtime) {
  for (uint32_t i = 0; i < client_brokers(runtime->client); i++)
    if (!runtime->sessions[i].is_open)
      return false;
  return true;
}

/* --- which broker a call belongs to --- */

void brokers_take(Call *call, uint32_t broker) {
  call->broker = (uint8_t)broker;
  call->era = session_of(call)->era;
}

void brokers_move(Call *call, uint32_t broker) {
  if (call->is_listed) {
    session_of(call)->held--;
    call->runtime->sessions[broker].held++;
  }
  brokers_take(call, broker);
}

void brokers_send(Call *call, const Header *header, Bytes body, Block *block) {
  Runtime *runtime = call->runtime;
  uint32_t other = 1 - call->broker;

  if (call->mute)
    return;
  if (is_orphan(call) && runtime->sessions[other].is_open)
    brokers_move(call, other);
  client_send(runtime->client, call->broker, header, body, block);
}

/* --- credit --- */

/* Above what was granted by as much as was on its way when the credit became smaller. */
bool brokers_are_full(const Runtime *runtime) {
  const Credit *credit = &runtime->credit;
  uint32_t prefetch = client_brokers(runtime->client) > 1 ? (uint32_t)max_u64(credit->prefetch, credit->prefetch_before)
                                                          : CREDIT_PREFETCH_MAX;

  return runtime->held >= credit->concurrency + prefetch;
}

static uint32_t share_of(const Runtime *runtime, uint32_t broker) {
  uint32_t all = credit_value(&runtime->credit);

  return runtime->contended ? (uint32_t)max_u64(1, (all + 1 - broker) / 2) : all;
}

static void grant(Runtime *runtime, uint32_t broker) {
  BrokerSession *session = &runtime->sessions[broker];
  Header header = {.kind = KIND_CREDIT, .session = session->id, .credit = share_of(runtime, broker)};

  if (!session->is_open || runtime->phase != PHASE_SERVING)
    return;
  if (feature_is_off(runtime)) {
    header = (Header){.kind = KIND_DRAIN, .flags = FLAG_CLEAN};
    client_send(runtime->client, broker, &header, BYTES_NONE, NULL);
    return;
  }
  session->refused = false;
  client_send(runtime->client, broker, &header, BYTES_NONE, NULL);
}

void runtime_grant(Runtime *runtime) {
  for (uint32_t i = 0; i < client_brokers(runtime->client); i++)
    grant(runtime, i);
}

void brokers_refuse(Runtime *runtime, uint32_t broker) {
  const BrokerSession *other = &runtime->sessions[1 - broker];

  runtime->sessions[broker].refused = true;
  if (!other->is_open || other->held == 0)
    return;
  runtime->contended_us = loop_now_us(runtime->loop);
  if (runtime->contended)
    return;
  runtime->contended = true;
  grant(runtime, 1 - broker);
}

static void end_contention(Runtime *runtime) {
  if (!runtime->contended)
    return;
  runtime->contended = false;
  runtime_grant(runtime);
}

void brokers_release(Call *call) {
  Runtime *runtime = call->runtime;
  BrokerSession *session = session_of(call);

  session->held--;
  if (runtime->contended && (runtime->sessions[0].held == 0 || runtime->sessions[1].held == 0) &&
      loop_now_us(runtime->loop) >= runtime->contended_us + CONTENDED_US)
    end_contention(runtime);
  if (runtime->held >= credit_value(&runtime->credit))
    return;
  for (uint32_t i = 0; i < client_brokers(runtime->client); i++)
    if (runtime->sessions[i].refused)
      grant(runtime, i);
}

/* --- a session comes --- */

static const char *status_text(const Runtime *runtime) {
  if (!feature_is_off(runtime))
    return "serving";
  return runtime->feature.off ? "switched off" : "standing by for its lease";
}

/* The turn that sent CREDIT is over. */
static void on_credit_sent(void *userdata) {
  Runtime *runtime = userdata;

  if (runtime->agent->ready && runtime->agent->ready(userdata) < 0)
    loop_stop(runtime->loop, EXIT_FAILURE);
  else
    notify_ready(status_text(runtime));
}

void brokers_tell_status(const Runtime *runtime) {
  if (runtime->was_ready && brokers_any(runtime))
    notify_status("%s", status_text(runtime));
}

static void say_ready(Runtime *runtime) {
  if (runtime->was_ready) {
    notify_status("%s", status_text(runtime));
    return;
  }
  runtime->was_ready = true;
  loop_post(runtime->loop, on_credit_sent, runtime);
}

void brokers_on_open(void *userdata, uint32_t broker, SessionId id, Text name) {
  Runtime *runtime = userdata;
  BrokerSession *session = &runtime->sessions[broker];

  session->id = id;
  session->is_open = true;
  session->era++;
  log_info("PONS-AGENT-OPEN", "%s serves at broker %.*s", runtime->instance, TEXT_ARG(name));
  grant(runtime, broker);
  if (runtime->was_ready || has_all(runtime))
    say_ready(runtime);
  else
    loop_timer_set(runtime->patience, loop_now_us(runtime->loop) + READY_US);
}

/* --- and goes --- */

/* Its body is not here and will not come: it was not begun, and who asks hears that. */
static void drop_unfinished(Call *call) {
  call->mute = true;
  call_stop(call, STATUS_CANCELLED);
}

static void stop_orphans(Runtime *runtime) {
  LIST_EACH (&runtime->running, Call, in_runtime, call) {
    if (is_orphan(call) && call->chunks > 0)
      call_stop(call, STATUS_CANCELLED);
  }
}

void brokers_on_patience(void *userdata, uint64_t now_us) {
  Runtime *runtime = userdata;

  (void)now_us;
  if (!runtime->was_ready && brokers_any(runtime))
    say_ready(runtime);
  stop_orphans(runtime);
}

/* What was streaming has lost its reader, until the other broker asks for it; the rest is answered to the other broker, or into
   the next session, where the broker may ask for it. */
void brokers_on_lost(void *userdata, uint32_t broker, const char *why) {
  Runtime *runtime = userdata;

  log_info("PONS-AGENT-SESSION", "%s has lost a broker: %s", runtime->instance, why);
  runtime->sessions[broker].is_open = false;
  LIST_EACH (&runtime->running, Call, in_runtime, call) {
    if (call->broker == broker && call->assembling)
      drop_unfinished(call);
  }
  if (brokers_any(runtime)) {
    end_contention(runtime);
    loop_timer_set(runtime->patience, loop_now_us(runtime->loop) + ORPHAN_US);
  } else {
    if (client_brokers(runtime->client) == 1)
      stop_orphans(runtime);
    else
      loop_timer_set(runtime->patience, loop_now_us(runtime->loop) + ORPHAN_US);
    notify_status("no broker");
  }
  runtime_drained(runtime, broker);
}
