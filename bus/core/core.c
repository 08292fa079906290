/* The way in: one message is decoded, checked against the session's state, and given to the file whose concept it is, by
   the table of kinds below. Everything that follows from it happens before core_receive returns; what a session leaves
   behind is swept at the end of the step, so that no function has to fear that its session was freed under it. */
#include "bus/core/core-internal.h"

#include "bus/wire/pack.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MALFORMED_MAX = 3 };

/* --- made and freed --- */

CoreOptions core_options_default(void) {
  return (CoreOptions){
      .name = "broker",
      .site = "local",
      .incarnation = 1,
      .seed = 1,
      .ping_interval_us = TIME_PING_INTERVAL_US,
      .ping_timeout_us = TIME_PING_TIMEOUT_US,
      .idle_interval_us = TIME_IDLE_INTERVAL_US,
      .limits = {.client_requests = LIMIT_CLIENT_REQUESTS,
                 .client_bytes = LIMIT_CLIENT_BYTES,
                 .all_bytes = LIMIT_ALL_BYTES,
                 .service_queue = LIMIT_SERVICE_QUEUE,
                 .sessions = LIMIT_SESSIONS,
                 .subscriptions = LIMIT_SUBSCRIPTIONS,
                 .topics = LIMIT_TOPICS},
  };
}

int core_new(Core **ret, const CoreOptions *options, const CoreSink *sink, uint64_t now_us) {
  Core *core = calloc(1, sizeof *core);

  if (!core)
    abort();
  core->options = *options;
  core->sink = *sink;
  core->now_us = now_us;
  core->started_us = now_us;
  core->random = options->seed ? options->seed : 1;
  core->last_session = options->incarnation << 16;
  list_init(&core->sessions);
  list_init(&core->over);
  list_init(&core->gaps);
  list_init(&core->wild);
  list_init(&core->kept);
  events_start(core);
  list_init(&core->probing);
  list_init(&core->askers);
  list_init(&core->pumps);
  roster_start(core);
  core->trace = calloc(LIMIT_TRACE_STEPS, sizeof *core->trace);
  core->names = calloc(TRACE_NAMES, sizeof *core->names);
  if (!core->trace || !core->names)
    abort();
  *ret = core;
  return 0;
}

void core_destroy(Core **core) {
  Core *gone = TAKE(*core);

  if (!gone)
    return;
  gone->stopped = true;
  gone->sink.note = NULL;
  LIST_EACH (&gone->sessions, Session, in_core, session)
    session_end(gone, session, true, false);
  session_sweep(gone);
  TABLE_EACH (&gone->clients, Client, link, client) {
    client->losses = 0;
    core_stop_timer(gone, &client->grace);
    client_lost(gone, client, true);
  }
  events_done(gone);
  roster_done(gone);
  table_done(&gone->clients);
  table_done(&gone->services);
  table_done(&gone->requests);
  heap_done(&gone->timers);
  buffer_done(&gone->scratch);
  free(gone->trace);
  free(gone->names);
  free(gone);
}

/* --- what the files of the core share --- */

void core_set_timer(Core *core, Timer *timer, uint64_t at_us) {
  heap_set(&core->timers, &timer->entry, at_us);
}

void core_stop_timer(Core *core, Timer *timer) {
  heap_remove(&core->timers, &timer->entry);
}

uint32_t core_random(Core *core, uint32_t n) {
  uint64_t x = core->random;

  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  core->random = x;
  return (uint32_t)((x * UINT64_C(0x2545f4914f6cdd1d)) >> 32) % n;
}

void core_note(Core *core, CoreNote note, const char *format, ...) {
  char text[512];
  va_list arguments;

  if (!core->sink.note)
    return;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  core->sink.note(core->sink.userdata, note, text);
}

void core_send(Core *core, Session *session, const Header *header, Bytes body, Block *block) {
  if (session->state == SESSION_OVER || core->stopped)
    return;
  core->counters[COUNTER_MESSAGES_OUT]++;
  core->counters[COUNTER_BYTES_OUT] += body.size;
  session->messages_out++;
  session->bytes_out += body.size;
  core->sink.send(core->sink.userdata, session->peer, header, body, block);
}

void core_put_error(const Core *core, Buffer *body, Status status, const char *message, const char *path,
                    uint64_t retry_after_us) {
  msgpack_put_map(body, 2 + (path && *path ? 1u : 0u) + (retry_after_us ? 1u : 0u));
  msgpack_put_text(body, TEXT("message"));
  msgpack_put_text(body, text_of(message && *message ? message : status_about(status)));
  if (path && *path) {
    msgpack_put_text(body, TEXT("path"));
    msgpack_put_text(body, text_of(path));
  }
  if (retry_after_us) {
    msgpack_put_text(body, TEXT("retry_after_us"));
    msgpack_put_uint(body, retry_after_us);
  }
  msgpack_put_text(body, TEXT("origin"));
  msgpack_put_text(body, text_of(core->options.name));
}

void core_send_error(Core *core, Session *session, RequestId id, Status status, const char *message, const char *path,
                     uint64_t retry_after_us) {
  Header header = {.kind = KIND_ERROR, .id = id, .status = status};
  _cleanup_(buffer_done) Buffer body = {0};

  core_put_error(core, &body, status, message, path, retry_after_us);
  core_send(core, session, &header, buffer_bytes(&body), NULL);
}

/* --- one message --- */

/* Counts and answers a message that can't be used. What it names must end all the same: the client of an id that comes
   with an ERROR takes that for the end of its request, and an instance has let go of what it answered. */
static void refuse_message(Core *core, Session *session, const Header *header, Status status, const char *what) {
  RequestId id = header->kind == KIND_PUBLISH ? (RequestId){{0}, 0} : header->id; /* those are counted apart */

  core->counters[COUNTER_MALFORMED]++;
  answer_spoilt(core, session, header);
  if (!request_refuse_named(core, session, id, status, what))
    core_send_error(core, session, id, status, what, NULL, 0);
}

/* The same for one that is not of the protocol; the third costs the peer its session. */
static void refuse_malformed(Core *core, Session *session, const Header *header, const char *what) {
  refuse_message(core, session, header, STATUS_MALFORMED, what);
  if (++session->malformed < MALFORMED_MAX)
    return;
  core_note(core, CORE_NOTE_MALFORMED, "%s sent %d messages that are not of the protocol and is hung up on",
            session->state == SESSION_NEW ? "a peer" : session->instance, MALFORMED_MAX);
  session_end(core, session, false, true);
}

typedef struct Incoming {
  const Header *header;
  Bytes body;
  Block *block;
} Incoming;

static void on_hello(Core *core, Session *session, const Incoming *in) {
  refuse_malformed(core, session, in->header, "a session says HELLO once");
}

static void on_bye(Core *core, Session *session, const Incoming *in) {
  (void)in;
  session_end(core, session, true, true);
}

static void on_ping(Core *core, Session *session, const Incoming *in) {
  Header pong = {.kind = KIND_PONG, .number = in->header->number};

  core_send(core, session, &pong, BYTES_NONE, NULL);
}

static void on_pong(Core *core, Session *session, const Incoming *in) {
  once_answered(core, session, in->header);
  if (session->suspect)
    session_ping(core, session); /* this one was sent before the suspicion */
}

static void on_request(Core *core, Session *session, const Incoming *in) {
  request_receive(core, session, in->header, in->body, in->block);
}

static void on_chunk(Core *core, Session *session, const Incoming *in) {
  if (!request_receive_part(core, session, in->header, in->body, in->block))
    answer_chunk(core, session, in->header, in->body, in->block);
}

static void on_reply(Core *core, Session *session, const Incoming *in) {
  answer_reply(core, session, in->header, in->body, in->block);
}

static void on_cancel(Core *core, Session *session, const Incoming *in) {
  Request *request = request_find(core, in->header->id);

  if (request && request->client == session->client && in->header->attempt >= request->attempt)
    request_cancel(core, request);
  else
    core->counters[COUNTER_STRAY]++;
}

static void on_forward(Core *core, Session *session, const Incoming *in) {
  answer_forward(core, session, in->header, in->body);
}

static void on_nack(Core *core, Session *session, const Incoming *in) {
  answer_nack(core, session, in->header);
}

static void on_have(Core *core, Session *session, const Incoming *in) {
  probe_have(core, session, in->header, in->body);
}

static void on_pass(Core *core, Session *session, const Incoming *in) {
  probe_pass(core, session, in->header);
}

static void on_credit(Core *core, Session *session, const Incoming *in) {
  session_credit(core, session, in->header);
}

static void on_window(Core *core, Session *session, const Incoming *in) {
  answer_window(core, session, in->header);
}

static void on_publish(Core *core, Session *session, const Incoming *in) {
  events_publish(core, session, in->header, in->body, in->block);
}

static void on_subscribe(Core *core, Session *session, const Incoming *in) {
  events_subscribe(core, session, in->header);
}

static void on_unsubscribe(Core *core, Session *session, const Incoming *in) {
  events_unsubscribe(core, session, in->header);
}

static void on_drain(Core *core, Session *session, const Incoming *in) {
  session_drain(core, session);
  if (in->header->flags & FLAG_CLEAN)
    session_switch_off(core, session);
}

/* Kinds without a line are not for a broker of this version. */
static void (*const handlers[KIND_END])(Core *core, Session *session, const Incoming *in) = {
    [KIND_HELLO] = on_hello,         [KIND_BYE] = on_bye,
    [KIND_PING] = on_ping,           [KIND_PONG] = on_pong,
    [KIND_REQUEST] = on_request,     [KIND_CHUNK] = on_chunk,
    [KIND_REPLY] = on_reply,         [KIND_ERROR] = on_reply,
    [KIND_CANCEL] = on_cancel,       [KIND_FORWARD] = on_forward,
    [KIND_NACK] = on_nack,           [KIND_CREDIT] = on_credit,
    [KIND_WINDOW] = on_window,       [KIND_PUBLISH] = on_publish,
    [KIND_SUBSCRIBE] = on_subscribe, [KIND_UNSUBSCRIBE] = on_unsubscribe,
    [KIND_DRAIN] = on_drain,         [KIND_HAVE] = on_have,
    [KIND_PASS] = on_pass,
};

/* A newer peer may say something about a request that goes on: then the id stays out of the ERROR. */
static void refuse_kind(Core *core, Session *session, const Header *header) {
  bool is_alive = request_find(core, header->id) != NULL;

  core->counters[COUNTER_UNSUPPORTED]++;
  core_send_error(core, session, is_alive ? (RequestId){{0}, 0} : header->id, STATUS_UNSUPPORTED, NULL, NULL, 0);
}

static void refuse_header(Core *core, Session *session, const Header *header, int error) {
  if (error == HEADER_E_TOO_LARGE)
    refuse_message(core, session, header, STATUS_TOO_LARGE, "a field of the header is over its limit");
  else if (error == HEADER_E_KIND)
    refuse_kind(core, session, header);
  else
    refuse_malformed(core, session, header, "the header can't be read, or lacks a field of its kind");
}

static void before_hello(Core *core, Session *session, const Incoming *in) {
  if (in->header->kind == KIND_HELLO) {
    session_hello(core, session, in->body);
    return;
  }
  core->counters[COUNTER_BEFORE_HELLO]++;
  if (!session->no_hello_told)
    core_send_error(core, session, in->header->id, STATUS_NO_HELLO, NULL, NULL, 0);
  session->no_hello_told = true;
}

static void receive_pack(Core *core, Session *session, const Header *header, Bytes rest);

/* Takes one message; is_packed = it came inside a PACK. */
static void receive_one(Core *core, Session *session, Bytes header_bytes, Bytes body, Block *block, bool is_packed) {
  Header header;
  Incoming in = {&header, body, block};
  int r = header_decode(header_bytes, &header);

  if (r == 0 && header.kind == KIND_PACK && !is_packed) {
    receive_pack(core, session, &header, body);
    return;
  }
  core->counters[COUNTER_MESSAGES_IN]++;
  core->counters[COUNTER_BYTES_IN] += body.size;
  session->messages_in++;
  session->bytes_in += body.size;
  if (core->sink.in_hand)
    core->sink.in_hand(core->sink.userdata, header.id);
  if (r != 0)
    refuse_header(core, session, &header, r);
  else if (body.size > LIMIT_BODY_BYTES)
    refuse_message(core, session, &header, STATUS_TOO_LARGE, "the body is over 258048 bytes; send it in CHUNKs");
  else if (session->state == SESSION_NEW)
    before_hello(core, session, &in);
  else if (handlers[header.kind])
    handlers[header.kind](core, session, &in);
  else if (kind_from_broker(header.kind))
    refuse_malformed(core, session, &header, "only a broker sends this kind, and a PACK is never in a PACK");
  else
    refuse_kind(core, session, &header);
}

/* Bodies are copied out of it when they are kept: one small request must not hold 64 KiB. */
static void receive_pack(Core *core, Session *session, const Header *header, Bytes rest) {
  int r = rest.size > LIMIT_PACK_BYTES ? PACK_E_MALFORMED : 0;

  for (int n = 0; session->state != SESSION_OVER && r == 0; n++) {
    Bytes packed;
    Bytes body;

    r = pack_next(&rest, &packed, &body);
    if (r == 0 && n == LIMIT_PACK_MESSAGES)
      r = PACK_E_MALFORMED;
    if (r == 0)
      receive_one(core, session, packed, body, NULL, true);
  }
  if (r == PACK_E_MALFORMED)
    refuse_malformed(core, session, header, "the PACK can't be read, or is over 256 messages or 65536 bytes");
}

/* A sign of life. Returns whether the peer had been silent for so long that `once` work may wait for it. */
static bool hear(Core *core, Session *session) {
  bool was_silent = core->now_us - session->heard_us > TIME_SILENT_ONCE_US;

  session->heard_us = core->now_us;
  if (session->pinged_us && session->n_executing > 0)
    session_watch(core, session);
  session->pinged_us = 0;
  session->n_late = 0;
  return was_silent;
}

/* A turn of the loop that comes so much later than something was due. */
enum { LATE_US = 50000 };

void core_late(Core *core, uint64_t now_us) {
  core->now_us = now_us;
  core->late = ++core->serial;
}

static void begin_step(Core *core, uint64_t now_us) {
  const HeapEntry *due = heap_first(&core->timers);

  core->now_us = now_us;
  if (!due || now_us <= due->at_us + LATE_US || due->at_us == core->late_for_us)
    return;
  core->late_for_us = due->at_us; /* once, though a tick may come only after many messages */
  core_late(core, now_us);
}

void core_end_step(Core *core) {
  dispatch_fill_gaps(core);
  probe_flush(core);
  session_sweep(core);
}

void core_receive(Core *core, Session *session, int frames, Bytes header, Bytes body, Block *block, uint64_t now_us) {
  Header none = {0};
  bool was_silent;

  begin_step(core, now_us);
  core->message++;
  was_silent = hear(core, session);
  if (frames > 2)
    refuse_malformed(core, session, &none, "a message has one or two frames");
  else
    receive_one(core, session, header, body, block, false);
  if (was_silent && session->state == SESSION_OPEN)
    dispatch_pump_instance(core, session); /* not before: what it said may be DRAIN or BYE */
  core_end_step(core);
}

/* --- connections and time --- */

Session *core_connect(Core *core, void *peer, uint64_t now_us) {
  Session *session = calloc(1, sizeof *session);

  if (!session)
    abort();
  core->now_us = now_us;
  session->peer = peer;
  session->connected_us = now_us;
  session->heard_us = now_us;
  list_init(&session->executing);
  list_init(&session->subscriptions);
  list_init(&session->probes);
  queue_init(&session->pinned);
  list_push(&core->sessions, &session->in_core);
  core->n_sessions++;
  session->timer.on_due = session_on_timer;
  core_set_timer(core, &session->timer, now_us + TIME_HELLO_TIMEOUT_US);
  return session;
}

void core_disconnect(Core *core, Session *session, uint64_t now_us) {
  core->now_us = now_us;
  if (session->state == SESSION_OPEN)
    core_note(core, CORE_NOTE_SESSION_LOST, "%s is lost: its connection is gone", session->instance);
  session_end(core, session, false, false);
  core_end_step(core);
}

void core_tick(Core *core, uint64_t now_us) {
  HeapEntry *entry;

  begin_step(core, now_us);
  while ((entry = heap_first(&core->timers)) && entry->at_us <= now_us) {
    Timer *timer = CONTAINER_OF(entry, Timer, entry);

    heap_remove(&core->timers, entry);
    timer->on_due(core, timer, now_us);
  }
  core_end_step(core);
}

uint64_t core_next_us(const Core *core) {
  const HeapEntry *entry = heap_first(&core->timers);

  return entry ? entry->at_us : TIME_NEVER;
}

void core_drain(Core *core, uint64_t now_us) {
  core->now_us = now_us;
  core->draining = true;
  LIST_EACH (&core->sessions, Session, in_core, session) {
    if (session->state == SESSION_OPEN)
      session_send_away(core, session);
  }
}

bool core_is_idle(const Core *core) {
  return core->n_unanswered == 0;
}

void core_stop(Core *core, uint64_t now_us) {
  Header bye = {.kind = KIND_BYE, .flags = core_is_idle(core) ? FLAG_CLEAN : 0};

  core->now_us = now_us;
  core->draining = true;
  LIST_EACH (&core->sessions, Session, in_core, session) {
    if (session->state == SESSION_OPEN)
      core_send(core, session, &bye, BYTES_NONE, NULL);
  }
  core->stopped = true; /* BYE was the last word to everybody: what the ends of the sessions bring about is not told */
  LIST_EACH (&core->sessions, Session, in_core, session)
    session_end(core, session, true, true);
  session_sweep(core);
}
