/* The shell around the pair machine. Events come from the peer link, the store, the timer and clients' questions; its actions
   go out at once. Before any of them is looked at, a loop that was late says so. */
#include "bus/broker/authority-internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/broker/words.h"

enum { CREDIT = 256 };

#define VOTES "votes" /* the row of epochs and votes */

/* --- what the machine wants done --- */

static void persist(Authority *a, const PairAction *action) {
  const PairRecord *record = &action->record;
  uint64_t serial = 0;
  char text[80];
  int n = snprintf(text, sizeof text, "%llu %llu %u", (unsigned long long)record->seen,
                   (unsigned long long)record->vote_epoch, (unsigned)record->vote_for);

  if (!a->store || store_put(a->store, TEXT(VOTES), (Bytes){(const uint8_t *)text, (size_t)n}, &serial) < 0)
    return; /* the machine has been told, or will be, that the disk failed */
  if (a->n_writes == WRITES)
    a->n_writes--; /* what is on disk later is on disk with the next */
  a->writes[a->n_writes].store_serial = serial;
  a->writes[a->n_writes].pair_serial = action->serial;
  a->n_writes++;
}

/* A change of the table of leases goes into the log, by which it is acknowledged too. */
static void tell_lease(Authority *a, const PairMessage *message) {
  _cleanup_(buffer_done) Buffer body = {0};

  words_encode(message, &body);
  a->log.lease.position = loglink_append_bytes(a, CHANGE_LEASE, buffer_bytes(&body));
  a->log.lease.epoch = message->epoch;
  a->log.lease.number = message->position;
}

static void send_words(Authority *a, const PairAction *action) {
  _cleanup_(buffer_done) Buffer body = {0};
  const char *kind;

  if (!a->link || action->message->kind == PAIR_SAY_HAVE)
    return;
  if (action->message->kind == PAIR_SAY_REPLICATE) {
    tell_lease(a, action->message);
    return;
  }
  kind = words_encode(action->message, &body);
  peerlink_send(a->link, action->to, kind, buffer_bytes(&body));
}

static void count(Authority *a, Counter counter) {
  if (a->core)
    core_count(a->core, counter, 1);
}

static void step_down(Authority *a, const PairAction *action) {
  static const char *const why[] = {
      [PAIR_VOTES_OVER] = "its votes have run out",
      [PAIR_WAS_LATE] = "its loop was late",
      [PAIR_HIGHER_EPOCH] = "another leads in a higher epoch",
      [PAIR_HANDED_OVER] = "it has handed over",
      [PAIR_DISK_FAILED] = "its disk failed",
      [PAIR_SLEPT] = "its machine was suspended",
  };

  count(a, COUNTER_STEPPED_DOWN);
  keeper_step_down(a->keeper);
  a->handed_us = action->reason == PAIR_HANDED_OVER ? loop_now_us(a->loop) : 0;
  log_event(action->reason == PAIR_HANDED_OVER ? LOG_LEVEL_INFO : LOG_LEVEL_WARNING, "PONS-AUTHORITY-STEPS-DOWN",
            "%s leads no more in epoch %llu: %s", a->options.broker, (unsigned long long)action->epoch,
            why[action->reason]);
}

static void lead(Authority *a, const PairAction *action) {
  count(a, COUNTER_LED);
  log_info("PONS-AUTHORITY-LEADS", "%s leads in epoch %llu", a->options.broker, (unsigned long long)action->epoch);
  keeper_lead(a->keeper, action->epoch);
}

static void keep_answer(Authority *a, const PairAction *action) {
  a->answer = (AuthorityAnswer){.kind = action->kind, .refusal = action->refusal, .error = action->error};
  if (action->lease)
    a->answer.lease = *action->lease;
  if (action->kind == PAIR_DO_GRANT)
    count(a, COUNTER_LEASES_GRANTED);
}

static void on_act(void *userdata, const PairAction *action) {
  Authority *a = userdata;

  switch (action->kind) {
  case PAIR_DO_PERSIST:
    persist(a, action);
    break;
  case PAIR_DO_SEND:
    send_words(a, action);
    break;
  case PAIR_DO_LEAD:
    lead(a, action);
    break;
  case PAIR_DO_STEP_DOWN:
    step_down(a, action);
    break;
  case PAIR_DO_TAKE_CARE:
    log_warning("PONS-AUTHORITY-CARETAKER",
                "%s can reach nobody to lead with and keeps leases alive that may double; `pons lead` makes it lead",
                a->options.broker);
    break;
  case PAIR_DO_LEASE_OVER:
    log_info("PONS-LEASE-OVER", "lease %s of %016llx has run out", action->lease->name,
             (unsigned long long)action->lease->holder.value);
    break;
  case PAIR_DO_GRANT:
  case PAIR_DO_REFUSE:
  case PAIR_DO_RELEASED:
  case PAIR_DO_ANSWER:
    keep_answer(a, action);
    break;
  }
}

/* --- events --- */

bool authority_leads(const Authority *a) {
  PairState state = pair_state(a->pair);

  return state == PAIR_LEADER || state == PAIR_YIELDING;
}

/* In which epoch somebody leads, as far as this broker has heard. */
static uint64_t led_epoch(const Authority *a) {
  if (authority_leads(a))
    return pair_epoch(a->pair);
  return a->link ? peerlink_peer_leads(a->link) : 0;
}

static void settle(Authority *a) {
  PeerLinkNews news = {pair_seen(a->pair), authority_leads(a) ? pair_epoch(a->pair) : 0,
                       a->log.changes ? changes_last(a->log.changes) : 0};

  if (a->link)
    peerlink_tell(a->link, news);
  if (authority_leads(a) || (a->link && peerlink_is_up(a->link)))
    a->known = news.seen;
  if (a->core)
    core_set_epoch(a->core, led_epoch(a));
  loop_timer_set(a->timer, pair_next_us(a->pair));
}

static void step_at(Authority *a, const PairEvent *event, uint64_t now_us) {
  pair_step(a->pair, event, now_us);
  settle(a);
}

/* All that was counted by a clock that stood still is worth nothing: its own authority, and that the other broker was heard just now. */
static void wake(Authority *a, uint64_t slept_us, uint64_t now_us) {
  a->late++;
  count(a, COUNTER_LATE);
  log_warning("PONS-AUTHORITY-SLEPT", "the machine of %s was suspended for %llu ms: what it leads, it gives up",
              a->options.broker, (unsigned long long)(slept_us / US_PER_MS));
  step_at(a, &(PairEvent){.kind = PAIR_ON_SLEPT}, now_us);
  if (a->core)
    core_late(a->core, now_us);
  if (a->link)
    peerlink_slept(a->link, slept_us);
}

uint64_t authority_look(Authority *a) {
  uint64_t slept_us = clock_slept_us(&a->sleep);
  uint64_t now_us = loop_now_us(a->loop);
  uint64_t late_us = a->look_due_us && now_us > a->look_due_us ? now_us - a->look_due_us : 0;

  if (slept_us)
    wake(a, slept_us, now_us);
  if (late_us <= a->options.pair.late_us) {
    pair_tick(a->pair, now_us);
    settle(a);
    return now_us;
  }
  a->look_due_us = now_us;
  a->late++;
  count(a, COUNTER_LATE);
  if (a->core)
    core_late(a->core, now_us);
  log_warning("PONS-AUTHORITY-LATE", "%s was late by %llu ms: what it leads, it gives up", a->options.broker,
              (unsigned long long)(late_us / US_PER_MS));
  step_at(a, &(PairEvent){.kind = PAIR_ON_LATE, .late_us = late_us}, now_us);
  return now_us;
}

void authority_receive(Authority *a, const PairMessage *message) {
  pair_receive(a->pair, a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A, message, authority_look(a));
  settle(a);
}

const AuthorityAnswer *authority_step(Authority *a, const PairEvent *event) {
  step_at(a, event, authority_look(a));
  return &a->answer;
}

static void on_timer(void *userdata, uint64_t now_us _unused_) {
  Authority *a = userdata;

  if (a->link)
    peerlink_drain(a->link); /* a vote that waits in the socket was given in time */
  authority_look(a);
}

/* --- the store --- */

static void on_written(void *userdata, uint64_t serial) {
  Authority *a = userdata;
  uint32_t n = 0;
  uint64_t pair_serial = 0;

  while (n < a->n_writes && a->writes[n].store_serial <= serial)
    pair_serial = a->writes[n++].pair_serial;
  if (n > 0) {
    memmove(a->writes, a->writes + n, (a->n_writes - n) * sizeof *a->writes);
    a->n_writes -= n;
    authority_step(a, &(PairEvent){.kind = PAIR_ON_PERSISTED, .serial = pair_serial});
  }
  flagstore_on_written(a, serial);
}

static void on_failed(void *userdata, const char *text) {
  Authority *a = userdata;

  snprintf(a->disk, sizeof a->disk, "%s", text);
  log_error("PONS-AUTHORITY-DISK", "%s has no authority any more: %s: %s; repair the disk and start it again",
            a->options.broker, a->options.path, text);
  authority_step(a, &(PairEvent){.kind = PAIR_ON_PERSIST_FAILED});
  flagstore_on_failed(a);
}

typedef struct Loading {
  Authority *authority;
  PairRecord record;
} Loading;

static void on_row(void *userdata, Text key, Bytes value) {
  Loading *loading = userdata;
  unsigned long long seen;
  unsigned long long vote_epoch;
  unsigned vote_for;
  char text[80];

  snprintf(text, sizeof text, "%.*s", (int)min_u64(value.size, sizeof text - 1), (const char *)value.data);
  if (!text_is(key, VOTES))
    flagstore_load(loading->authority, value);
  else if (sscanf(text, "%llu %llu %u", &seen, &vote_epoch, &vote_for) == 3 && vote_for <= PAIR_NOBODY)
    loading->record = (PairRecord){seen, vote_epoch, (PairNode)vote_for};
}

static PairRecord open_store(Authority *a) {
  StoreHandler handler = {on_written, on_failed, .userdata = a};
  Loading loading = {.authority = a};

  if (store_open(&a->store, a->loop, a->options.path, &handler, a->disk) == 0) {
    store_each(a->store, on_row, &loading);
    return loading.record;
  }
  log_error("PONS-AUTHORITY-DISK", "%s has no authority: %s", a->options.broker, a->disk);
  return loading.record;
}

/* --- the link --- */

static void on_up(void *userdata, uint64_t seen) {
  Authority *a = userdata;
  uint64_t known = a->known;

  log_info("PONS-PEER-UP", "broker %s is linked", peerlink_peer(a->link));
  if (seen > known) {
    a->behind++;
    count(a, COUNTER_BEHIND);
    log_warning("PONS-AUTHORITY-BEHIND", "%s was behind: it knew of epoch %llu, %s of %llu", a->options.broker,
                (unsigned long long)known, peerlink_peer(a->link), (unsigned long long)seen);
  }
  authority_step(a, &(PairEvent){.kind = PAIR_ON_PEER_UP, .seen = seen});
  loglink_on_up(a);
  keptlink_on_up(a);
  keeper_linked(a->keeper, true);
}

static void on_down(void *userdata, uint64_t worked_us) {
  Authority *a = userdata;

  log_warning("PONS-PEER-DOWN", "broker %s is not linked any more", peerlink_peer(a->link));
  authority_step(a, &(PairEvent){.kind = PAIR_ON_PEER_DOWN});
  rosterlink_on_down(a, worked_us);
  keeper_linked(a->keeper, false);
  relay_sweep(a, TIME_NEVER);
  flagstore_sweep(a, TIME_NEVER);
}

static void on_refused(void *userdata, uint64_t sent_us) {
  authority_step(userdata, &(PairEvent){.kind = PAIR_ON_PEER_REFUSED, .sent_us = sent_us});
  rosterlink_on_refused(userdata, sent_us);
}

static void on_message(void *userdata, PairNode from, Text kind, Bytes body) {
  Authority *a = userdata;
  PairMessage message;

  if (words_decode(kind, body, &message)) {
    pair_receive(a->pair, from, &message, authority_look(a));
    settle(a);
  } else if (a->options.pair.node == PAIR_WITNESS || from == PAIR_WITNESS) {
    return;
  } else if (text_is(kind, "ask")) {
    relay_take_ask(a, body);
  } else if (text_is(kind, "answer")) {
    relay_take_answer(a, body);
  } else if (text_is(kind, "log")) {
    loglink_take(a, body);
  } else if (text_is(kind, "heard")) {
    loglink_take_heard(a, body);
  } else if (text_is(kind, "event")) {
    rosterlink_take_event(a, body);
  } else if (text_is(kind, "kept")) {
    keptlink_take(a, body);
  } else {
    keeper_hear(a->keeper, kind, body);
  }
}

static void on_beat(void *userdata, uint64_t due_us _unused_, uint64_t now_us) {
  Authority *a = userdata;

  authority_look(a);
  a->look_due_us = now_us + a->options.beat_us;
  relay_sweep(a, now_us);
  flagstore_sweep(a, now_us);
  loglink_on_beat(a, now_us);
  keptlink_on_beat(a, now_us);
  witness_on_beat(a, now_us);
  settle(a);
}

static int open_link(Authority *a, const char **ret_bad) {
  const AuthorityOptions *options = &a->options;
  PeerLinkHandler handler = {on_up, on_down, on_refused, on_message, on_beat, a};
  PeerLinkOptions link = {.node = options->pair.node,
                          .listen = options->listen,
                          .peer = options->peer,
                          .witness = options->witness,
                          .broker = options->broker,
                          .life = options->life,
                          .beat_us = options->beat_us,
                          .vote_us = options->pair.vote_us,
                          .key = options->key,
                          .gate = options->gate,
                          .peer_key = options->peer_key,
                          .witness_key = options->witness_key};

  return options->listen ? peerlink_new(&a->link, a->loop, &link, &handler, ret_bad) : 0;
}

const char *authority_endpoint(const Authority *a, char *ret, size_t size_bytes) {
  return a->link ? peerlink_endpoint(a->link, ret, size_bytes) : NULL;
}

void authority_ask_gate_again(Authority *a) {
  if (a->link)
    peerlink_ask_gate_again(a->link);
}

/* --- on the bus --- */

static void on_ask(void *userdata, const InsideAsk *ask) {
  authority_ask(
      userdata,
      &(AuthorityAsk){
          .id = ask->id, .client = ask->id.client, .service = ask->service, .method = ask->method, .body = ask->body});
}

static void on_durable_send(void *userdata, const char *kind, Bytes body) {
  Authority *a = userdata;

  if (a->link && peerlink_is_up(a->link))
    peerlink_send(a->link, a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A, kind, body);
}

static uint64_t on_durable_append(void *userdata, ChangeKind kind, Bytes body) {
  Authority *a = userdata;

  return kind == CHANGE_VERSIONS || (a->log.changes && changes_have_room(a->log.changes))
             ? loglink_append_bytes(a, kind, body)
             : 0;
}

static void on_durable_look(void *userdata) {
  authority_look(userdata);
}

void authority_enter(Authority *a, Core *core, const InsideSet **ret_insides) {
  static const char *const services[] = {"pons.lease", "pons.flags", "pons.authority", NULL};
  InsideHandler handler = {.on_ask = on_ask, .userdata = a};
  InsideOptions options = {.agent = "authority", .services = services, .credit = CREDIT};

  a->core = core;
  *ret_insides = &a->insides;
  inside_new(&a->inside, &options, &handler);
  inside_enter(a->inside, &a->insides, core, a->options.life, loop_now_us(a->loop));
  flagstore_tell_all(a);
  if (a->keeper)
    keeper_enter(a->keeper, core, &a->insides);
}

/* One of them may have asked the other. */
bool authority_turn(Authority *a) {
  bool any = false;

  while ((a->inside && inside_turn(a->inside, loop_now_us(a->loop))) || (a->keeper && keeper_turn(a->keeper)))
    any = true;
  loglink_flush(a);
  return any;
}

/* --- begun and ended --- */

void authority_stop(Authority *a) {
  keeper_stop(a->keeper);
  if (authority_leads(a) && a->link && peerlink_is_up(a->link))
    authority_step(a, &(PairEvent){.kind = PAIR_ON_OPERATOR_YIELD});
}

/* The peer still needs this node's vote, or it would have to lead by a refused port and wait for leases that it does not know. */
static bool is_followed(const Authority *a) {
  return !peerlink_is_up(a->link) || peerlink_peer_leads(a->link) > 0 ||
         loop_now_us(a->loop) >= a->handed_us + a->options.pair.handover_us;
}

bool authority_is_busy(const Authority *a) {
  return pair_state(a->pair) == PAIR_YIELDING || a->n_writes > 0 || (a->handed_us && !is_followed(a));
}

/* The port listens before the machine begins, so that a closed one has never promised anything. */
int authority_new(Authority **ret, Loop *loop, const AuthorityOptions *options, const char **ret_bad) {
  _cleanup_(authority_destroy) Authority *a = calloc(1, sizeof *a);
  PairSink sink = {on_act, a};
  PairRecord record;
  int r;

  *ret_bad = NULL;
  if (!a)
    abort();
  a->loop = loop;
  a->options = *options;
  list_init(&a->flag_writes);
  list_init(&a->relays);
  pair_new(&a->pair, &options->pair, &sink);
  if (options->peer)
    changes_new(&a->log.changes, options->life);
  if (options->keeper.path)
    keeper_new(
        &a->keeper, loop, &options->keeper,
        &(KeeperHandler){.send = on_durable_send, .append = on_durable_append, .look = on_durable_look, .userdata = a});
  r = loop_timer_new(loop, on_timer, a, &a->timer);
  if (r == 0)
    r = open_link(a, ret_bad);
  if (r < 0)
    return r;
  record = open_store(a);
  a->known = record.seen;
  authority_step(a, &(PairEvent){.kind = PAIR_ON_STARTED, .record = record, .life = options->life});
  if (!a->store)
    authority_step(a, &(PairEvent){.kind = PAIR_ON_PERSIST_FAILED});
  *ret = TAKE(a);
  return 0;
}

void authority_destroy(Authority **authority) {
  Authority *gone = TAKE(*authority);

  if (!gone)
    return;
  gone->core = NULL;
  peerlink_destroy(&gone->link);
  store_close(&gone->store);
  keeper_destroy(&gone->keeper);
  loop_timer_destroy(&gone->timer);
  relay_sweep(gone, TIME_NEVER);
  flagstore_done(gone);
  rosterlink_done(gone);
  changes_destroy(&gone->log.changes);
  inside_destroy(&gone->inside);
  if (gone->pair)
    pair_destroy(&gone->pair);
  free(gone);
}
