/* A connection's life: HELLO, life signs, CREDIT, DRAIN, the end. */
#include "bus/core/core-internal.h"
#include "bus/wire/next.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  LATE_US = 50000, /* a timer this late means that we were late, not the peer */
  LATE_MAX = 3,    /* as often in a row a peer is asked anew; a broker that is always late must give up its dead too */
};

/* --- HELLO --- */

/* Copies a text that the contract has bounded. */
static void set_name(char *to, size_t room, Text text) {
  snprintf(to, room, "%.*s", TEXT_ARG(text));
}

static void refuse(Core *core, Session *session, Status status, const char *message, const char *path) {
  core->counters[COUNTER_SESSIONS_REFUSED]++;
  core_note(core, CORE_NOTE_SESSION_REFUSED, "a peer's HELLO was refused: %s: %s", status_name(status),
            message ? message : status_about(status));
  core_send_error(core, session, (RequestId){{0}, 0}, status, message, path, 0);
  session_end(core, session, true, true);
}

/* The service of this name is the broker itself, and those below it are what else is in its process. */
static bool offers_reserved(const Session *session, const Hello *hello) {
  for (size_t i = 0; i < hello->services.count; i++) {
    Text service = hello->services.items[i].service;

    if (text_is(service, "pons") || (!session->trusted && service.size >= 5 && memcmp(service.data, "pons.", 5) == 0))
      return true;
  }
  return false;
}

void core_trust(Session *session) {
  session->trusted = true;
}

/* Whether a service is offered twice: then `service@*` could not tell the two answers apart. */
static bool offers_twice(const Hello *hello) {
  for (size_t i = 1; i < hello->services.count; i++)
    for (size_t k = 0; k < i; k++)
      if (text_equal(hello->services.items[i].service, hello->services.items[k].service))
        return true;
  return false;
}

/* Fills in who the session is. */
static void introduce(Core *core, Session *session, const Hello *hello) {
  set_name(session->agent, sizeof session->agent, hello->agent);
  set_name(session->site, sizeof session->site, hello->has_site ? hello->site : text_of(core->options.site));
  session->incarnation = hello->incarnation;
  session->features = hello->has_features ? hello->features : 0;
  session->pid = hello->has_pid ? hello->pid : 0;
  instance_format(hello->agent, (ClientId){hello->client}, session->instance);
  session->id.value = ++core->last_session;
  session->state = SESSION_OPEN;
  session->client = client_ref(core, (ClientId){hello->client});
  session->client->fingerprint = session->identity.fingerprint;
}

void core_set_epoch(Core *core, uint64_t epoch) {
  core->epoch = epoch;
}

void core_set_behind(Core *core, uint64_t other, uint64_t own) {
  core->peer_behind = other;
  core->own_behind = own;
}

static void put_pair(Buffer *buffer, const char *key, uint64_t value) {
  msgpack_put_text(buffer, text_of(key));
  msgpack_put_uint(buffer, value);
}

/* The peer itself reads them in WELCOME; this is for everybody else. */
static void tell_mismatches(Core *core, const Session *session, uint32_t n, Bytes rows) {
  Buffer *body = &core->scratch;

  core_note(core, CORE_NOTE_CONTRACT_MISMATCH, "%s disagrees with others on %u contracts; see `pons status`",
            session->instance, n);
  buffer_clear(body);
  msgpack_put_array(body, n);
  msgpack_put_raw(body, rows);
  events_tell(core, "pons.contract.mismatch", buffer_bytes(body));
}

static void send_welcome(Core *core, Session *session, uint64_t version) {
  const CoreOptions *options = &core->options;
  Header header = {.kind = KIND_WELCOME, .session = session->id};
  _cleanup_(buffer_done) Buffer rows = {0};
  uint32_t n = registry_mismatches(core, session, &rows);
  Buffer *body = &core->scratch;

  buffer_clear(body);
  msgpack_put_map(body, 14 + core->warming);
  put_pair(body, "version", version);
  put_pair(body, "session", session->id.value);
  msgpack_put_text(body, TEXT("broker"));
  msgpack_put_text(body, text_of(options->name));
  msgpack_put_text(body, TEXT("site"));
  msgpack_put_text(body, text_of(options->site));
  put_pair(body, "incarnation", options->incarnation);
  put_pair(body, "epoch", core->epoch);
  put_pair(body, "ping_interval_us", options->ping_interval_us);
  put_pair(body, "ping_timeout_us", options->ping_timeout_us);
  put_pair(body, "idle_interval_us", options->idle_interval_us);
  put_pair(body, "body_max_bytes", LIMIT_BODY_BYTES);
  put_pair(body, "outstanding_max", options->limits.client_requests);
  put_pair(body, "kept_max_bytes", options->limits.client_bytes);
  put_pair(body, "features", FEATURE_PROBE);
  if (core->warming) {
    msgpack_put_text(body, TEXT("warming"));
    msgpack_put_bool(body, true);
  }
  msgpack_put_text(body, TEXT("mismatches"));
  msgpack_put_array(body, n);
  msgpack_put_raw(body, buffer_bytes(&rows));
  next_add_field(body);
  session->warm_wanted = core->warming;
  session->answered = ++core->serial; /* whatever it says by this session it says after WELCOME */
  core_send(core, session, &header, buffer_bytes(body), NULL);
  if (NEXT)
    core_send(core, session, &(Header){.kind = (Kind)KIND_NEXT}, BYTES_NONE, NULL);
  if (n > 0)
    tell_mismatches(core, session, n, buffer_bytes(&rows));
}

void session_send_away(Core *core, Session *session) {
  Header goaway = {.kind = KIND_GOAWAY};

  if (!session->away_told)
    core_send(core, session, &goaway, BYTES_NONE, NULL);
  session->away_told = true;
}

/* Whether a living session with the same client id is another process's: then two would answer to one name. */
static bool is_another(const Session *old, const Hello *hello) {
  return (old->pid && hello->has_pid && hello->pid != old->pid) ||
         (hello->has_site && !text_is(hello->site, old->site));
}

/* Ends an older session of the same process. */
static Status take_over(Core *core, const Session *session, const Hello *hello) {
  Client *client = client_ref(core, (ClientId){hello->client});
  Session *old = client->session;

  if (client->fingerprint && client->fingerprint != session->identity.fingerprint)
    return STATUS_FOREIGN_ID; /* whoever knows a client's id must not get its answers */
  if (!old) {
    client_sweep(core, client);
    return STATUS_OK;
  }
  if (is_another(old, hello))
    return STATUS_FOREIGN_ID;
  if (hello->incarnation < old->incarnation)
    return STATUS_STALE;
  session_end(core, old, false, true);
  return STATUS_OK;
}

static void open_session(Core *core, Session *session, const Hello *hello) {
  uint64_t version = min_u64(hello->version, PROTOCOL_VERSION);

  introduce(core, session, hello);
  trace_name(core, session);
  registry_add(core, session, hello);
  roster_add(core, session);
  core->counters[COUNTER_SESSIONS_OPENED]++;
  core_note(core, CORE_NOTE_SESSION_OPEN, "%s is here with %u services", session->instance, session->n_offers);
  core_set_timer(core, &session->timer, core->now_us + core->options.idle_interval_us * 3 + US_PER_S);
  send_welcome(core, session, version);
  if (core->draining)
    session_send_away(core, session);
  client_attach(core, session->client, session);
  probe_ask_newcomer(core, session);
}

void session_hello(Core *core, Session *session, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  ContractFault fault;
  uint64_t lowest;
  Status status;
  Hello hello;

  if (contract_decode(CONTRACT(Hello), body, &arena, &hello, &fault) != 0) {
    refuse(core, session, STATUS_INVALID, fault.message, fault.path);
    return;
  }
  lowest = hello.has_min_version ? hello.min_version : hello.version;
  if (offers_reserved(session, &hello))
    refuse(core, session, STATUS_BAD_NAME, "the service `pons` is the broker itself, and so is all below it",
           "services");
  else if (offers_twice(&hello))
    refuse(core, session, STATUS_INVALID, "a service is offered twice", "services");
  else if (!may_serve(core, session, &hello))
    refuse(core, session, STATUS_DENIED, core->denial, "services");
  else if (hello.version < PROTOCOL_VERSION_MIN || lowest > PROTOCOL_VERSION)
    refuse(core, session, STATUS_UNSUPPORTED_VERSION, NULL, NULL);
  else if (core->n_sessions > core->options.limits.sessions)
    refuse(core, session, STATUS_LIMIT, "the broker has as many sessions as it may; raise broker.limits.sessions",
           NULL);
  else if ((status = take_over(core, session, &hello)) != STATUS_OK)
    refuse(core, session, status,
           status == STATUS_FOREIGN_ID ? "this client id is another process's; choose one anew" : NULL,
           status == STATUS_FOREIGN_ID ? "client" : NULL);
  else
    open_session(core, session, &hello);
}

/* --- life signs --- */

void session_ping(Core *core, Session *session) {
  Header ping = {.kind = KIND_PING, .number = core->serial + 1};

  if (session->pinged_us)
    return;
  core->serial++;
  session->pinged_us = core->now_us;
  core_send(core, session, &ping, BYTES_NONE, NULL);
  core_set_timer(core, &session->timer, core->now_us + core->options.ping_timeout_us);
}

void session_watch(Core *core, Session *session) {
  uint64_t at = core->now_us + core->options.ping_interval_us;

  if (session->timer.entry.at_us > at)
    core_set_timer(core, &session->timer, at);
}

static void lose(Core *core, Session *session, const char *why) {
  core_note(core, CORE_NOTE_SESSION_LOST, "%s is lost: %s",
            session->state == SESSION_NEW ? "a peer" : session->instance, why);
  session_end(core, session, false, true);
}

/* Decides by what was heard; a late turn of our own loop proves nothing about the peer, which is asked anew. */
static void check_life(Core *core, Session *session, bool late) {
  const CoreOptions *options = &core->options;
  uint64_t idle_us = options->idle_interval_us * 3 + US_PER_S;
  uint64_t quiet_us;

  if (session->trusted) { /* it lives as long as we do */
    session->heard_us = core->now_us;
    session->pinged_us = 0;
  }
  quiet_us = core->now_us - session->heard_us;
  if (late && session->pinged_us && session->n_late < LATE_MAX) {
    session->n_late++;
    session->pinged_us = 0;
    session_ping(core, session);
  } else if (session->pinged_us && core->now_us >= session->pinged_us + options->ping_timeout_us) {
    lose(core, session, "it does not answer PING");
  } else if (session->pinged_us) {
    core_set_timer(core, &session->timer, session->pinged_us + options->ping_timeout_us);
  } else if (session->n_executing > 0 && quiet_us >= options->ping_interval_us) {
    session_ping(core, session);
  } else if (session->n_executing > 0) {
    core_set_timer(core, &session->timer, session->heard_us + options->ping_interval_us);
  } else if (quiet_us >= idle_us && late) {
    session_ping(core, session);
  } else if (quiet_us >= idle_us) {
    lose(core, session, "it was silent for three idle intervals");
  } else {
    core_set_timer(core, &session->timer, session->heard_us + idle_us);
  }
}

void session_on_timer(Core *core, Timer *timer, uint64_t now_us) {
  Session *session = CONTAINER_OF(timer, Session, timer);
  bool late = now_us > timer->entry.at_us + LATE_US;

  if (session->state == SESSION_NEW)
    lose(core, session, "it said no HELLO");
  else
    check_life(core, session, late);
}

/* --- instances --- */

/* How long an instance that was lost before must wait until it is given work again. */
static uint64_t readmit_at(const Core *core, const Client *client) {
  uint64_t wait = TIME_READMIT_FIRST_US;

  if (client->losses == 0 || core->now_us - client->lost_us > TIME_HORIZON_US)
    return 0;
  for (uint32_t i = 1; i < client->losses && wait < TIME_READMIT_LONGEST_US; i++)
    wait *= 2;
  return client->lost_us + min_u64(wait, TIME_READMIT_LONGEST_US);
}

static void tell_instance(Core *core, const Session *session, const char *topic) {
  Buffer *body = &core->scratch;

  buffer_clear(body);
  msgpack_put_map(body, 2);
  msgpack_put_text(body, TEXT("instance"));
  msgpack_put_text(body, text_of(session->instance));
  msgpack_put_text(body, TEXT("services"));
  msgpack_put_array(body, session->n_offers);
  for (uint32_t i = 0; i < session->n_offers; i++)
    msgpack_put_text(body, text_of(session->offers[i].service->name));
  events_tell(core, topic, buffer_bytes(body));
}

static void admit(Core *core, Session *session) {
  session->ready = true;
  dispatch_note_room(session);
  if (session->n_offers > 0)
    tell_instance(core, session, "pons.instance.up");
  roster_check_warm(core);
  dispatch_pump_instance(core, session);
}

static void on_readmit(Core *core, Timer *timer, uint64_t now_us) {
  (void)now_us;
  admit(core, CONTAINER_OF(timer, Session, readmit));
}

/* Off: nobody waits for this instance, and what others offer is all there is. */
static void switch_weights(Session *session, bool off) {
  if (session->switched_off == off)
    return;
  session->switched_off = off;
  for (uint32_t i = 0; i < session->n_offers; i++)
    session->offers[i].weight = off ? 0 : session->offers[i].told_weight;
}

void session_switch_off(Core *core, Session *session) {
  switch_weights(session, true);
  for (uint32_t i = 0; i < session->n_offers && session->state == SESSION_OPEN; i++)
    dispatch_settle_queue(core, session->offers[i].service);
}

void session_credit(Core *core, Session *session, const Header *header) {
  uint64_t at;

  if (header->session.value != session->id.value) {
    core->counters[COUNTER_STRAY]++;
    return;
  }
  session->credit = header->credit;
  if (header->credit > 0 && session->switched_off) { /* by FIFO it was said after DRAIN; who drains for good stays so */
    session->draining = false;
    switch_weights(session, false);
  }
  dispatch_note_room(session);
  if (session->ready) {
    dispatch_pump_instance(core, session);
    return;
  }
  at = readmit_at(core, session->client);
  session->readmit.on_due = on_readmit;
  if (at > core->now_us)
    core_set_timer(core, &session->readmit, at);
  else
    admit(core, session);
}

/* What waited for this instance alone is told that it takes nothing more. */
static void return_pinned(Core *core, Session *session, Status status) {
  int band;

  while ((band = queue_best_band(&session->pinned, 0)) >= 0) {
    Request *request = LIST_FIRST(&session->pinned.bands[band], Request, in_holder);

    queue_remove(core, request);
    request_returned(core, request, status);
  }
}

void session_take_no_more(Core *core, Session *session) {
  session->draining = true;
  dispatch_note_room(session);
  return_pinned(core, session, STATUS_DRAINING);
}

void session_drain(Core *core, Session *session) {
  Header echo = {.kind = KIND_DRAIN};

  session_take_no_more(core, session);
  core_send(core, session, &echo, BYTES_NONE, NULL);
}

/* --- the end --- */

/* Takes everything off the session that executes there and gives it on. The registry must have forgotten the session
   in between, or it would be picked again. */
static void settle_work(Core *core, Session *session) {
  List lost;

  list_init(&lost);
  LIST_EACH (&session->executing, Request, in_holder, request) {
    request_release(core, request);
    list_push(&lost, &request->in_holder);
  }
  return_pinned(core, session, STATUS_NO_SERVICE);
  registry_remove(core, session);
  LIST_EACH (&lost, Request, in_holder, request) {
    list_remove(&request->in_holder);
    request_lost(core, request);
  }
}

static void count_loss(const Core *core, Client *client) {
  if (core->now_us - client->lost_us > TIME_HORIZON_US)
    client->losses = 0;
  client->losses++;
  client->lost_us = core->now_us;
}

void session_end(Core *core, Session *session, bool clean, bool tell) {
  bool was_ready = session->ready;

  if (session->state == SESSION_OVER)
    return;
  session->state = SESSION_OVER; /* first of all: nothing is sent to it any more */
  if (was_ready && session->n_offers > 0)
    tell_instance(core, session, "pons.instance.down");
  session->ready = false;
  dispatch_note_room(session);
  core_stop_timer(core, &session->timer);
  core_stop_timer(core, &session->readmit);
  if (session->client && !core->stopped)
    roster_remove(core, session);
  if (session->client && was_ready && !clean)
    count_loss(core, session->client);
  if (session->client && !clean)
    core->counters[COUNTER_SESSIONS_LOST]++;
  events_forget_session(core, session);
  if (session->client && session->client->session == session)
    client_lost(core, TAKE(session->client), clean);
  settle_work(core, session);
  probe_forget_session(core, session);
  list_remove(&session->in_core);
  list_remove(&session->in_pumps);
  core->n_sessions--;
  list_push(&core->over, &session->in_core);
  if (tell)
    core->sink.close(core->sink.userdata, session->peer);
}

void session_sweep(Core *core) {
  LIST_EACH (&core->over, Session, in_core, session) {
    list_remove(&session->in_core);
    free(session);
  }
}
