/* The log of changes on the peer link (bus/core/changes.h): leases, flags, instances and durable requests leave in one order, with positions,
   and come in it. What each kind does with a change is its own affair; here they are only brought there, and acknowledged together. */
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/broker/authority-internal.h"
#include "bus/broker/words.h"
#include "bus/wire/arena.h"

enum {
  AT_ONCE = 64,          /* changes in one message */
  AT_ONCE_BYTES = 65536, /* and about their bytes */
  ASK_US = 500000,       /* how often the peer is asked to go on */
  SETTLE_US = 100000,
  FORGET_US = 2000000, /* how often all is asked for, when something could not be taken */
};

static PairNode peer_of(const Authority *a) {
  return a->options.pair.node == PAIR_A ? PAIR_B : PAIR_A;
}

/* --- out --- */

uint64_t loglink_append_bytes(Authority *a, ChangeKind kind, Bytes body) {
  return a->log.changes ? changes_append(a->log.changes, kind, body, loop_now_us(a->loop)) : 0;
}

uint64_t loglink_append(Authority *a, ChangeKind kind, const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer body = {0};

  if (!a->log.changes)
    return 0;
  if (contract_encode(contract, value, &body, NULL) != 0)
    abort();
  return loglink_append_bytes(a, kind, buffer_bytes(&body));
}

static int send_message(Authority *a, const char *kind, const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer body = {0};

  if (contract_encode(contract, value, &body, NULL) != 0)
    abort();
  return peerlink_send(a->link, peer_of(a), kind, buffer_bytes(&body));
}

/* What the peer needs to be level with this broker, or only who is here. */
static void tell(Authority *a, bool all) {
  uint64_t now_us = loop_now_us(a->loop);
  RosterHistory history = core_history(a->core, now_us);
  PeerBegins begins = {text_of(a->options.site)};
  PeerLevel level = {history.own_for_us, history.both_for_us, history.apart_for_us};

  a->log.settled_us = now_us + SETTLE_US;
  loglink_append(a, all ? CHANGE_SNAPSHOT : CHANGE_RESUME, CONTRACT(PeerBegins), &begins);
  if (all) {
    a->log.lease.position = 0;
    pair_tell(a->pair, now_us);
    flagstore_tell_peer(a);
  }
  keeper_tell(a->keeper, all);
  rosterlink_tell_all(a);
  loglink_append(a, CHANGE_LEVEL, CONTRACT(PeerLevel), &level);
}

/* Sends one message of changes. Returns false when there is nothing to be sent, or it can't be. */
static bool send_some(Authority *a) {
  uint64_t now_us = loop_now_us(a->loop);
  PeerChange rows[AT_ONCE];
  PeerLog log = {.life = a->options.life, .changes = {rows, 0}};
  size_t bytes = 0;
  Change change;

  while (log.changes.count < AT_ONCE && bytes < AT_ONCE_BYTES && changes_next(a->log.changes, &change, now_us)) {
    if (log.changes.count == 0)
      log.position = change.position;
    else if (bytes + change.body.size > 2 * AT_ONCE_BYTES || change.position != log.position + log.changes.count)
      break;
    rows[log.changes.count++] = (PeerChange){text_of(change_word(change.kind)), change.body};
    bytes += change.body.size;
    changes_sent(a->log.changes, now_us);
  }
  if (log.changes.count == 0)
    return false;
  return send_message(a, "log", CONTRACT(PeerLog), &log) == 0;
}

void loglink_refuse(Authority *a, ChangeKind kind, uint64_t position) {
  if (a->log.refused[kind] == 0)
    a->log.refused[kind] = position;
}

static ChangesHeard heard_now(const Authority *a) {
  ChangesHeard heard = changes_heard(a->log.changes);

  heard.done[CHANGE_FLAG] = flagstore_taken(a, heard.heard);
  heard.done[CHANGE_DURABLE] = keeper_done(a->keeper, heard.heard);
  for (int kind = 0; kind < CHANGE_KINDS; kind++)
    if (a->log.refused[kind])
      heard.done[kind] = min_u64(heard.done[kind], a->log.refused[kind] - 1);
  return heard;
}

static bool is_same(const ChangesHeard *a, const ChangesHeard *b) {
  return a->life == b->life && a->heard == b->heard && memcmp(a->done, b->done, sizeof a->done) == 0;
}

/* Who could not be told is told at the end of the next turn. */
static void say_heard(Authority *a) {
  ChangesHeard heard = heard_now(a);
  PeerHeard message = {.life = heard.life,
                       .position = heard.heard,
                       .has_lease = heard.done[CHANGE_LEASE] != heard.heard,
                       .lease = heard.done[CHANGE_LEASE],
                       .has_flag = heard.done[CHANGE_FLAG] != heard.heard,
                       .flag = heard.done[CHANGE_FLAG],
                       .has_durable = heard.done[CHANGE_DURABLE] != heard.heard,
                       .durable = heard.done[CHANGE_DURABLE],
                       .has_again = a->log.again,
                       .again = a->log.again,
                       .has_told_life = true,
                       .told_life = heard.own_life,
                       .has_told = true,
                       .told = heard.own_last};

  if (!a->log.again && is_same(&heard, &a->log.said))
    return;
  if (send_message(a, "heard", CONTRACT(PeerHeard), &message) != 0)
    return;
  a->log.said = heard;
  a->log.again = false;
}

static void show_behind(const Authority *a) {
  uint64_t done;

  core_set_behind(a->core, changes_behind(a->log.changes, loop_now_us(a->loop)).positions, loglink_lag(a, &done));
}

void loglink_flush(Authority *a) {
  if (!a->log.changes || !a->core)
    return;
  show_behind(a);
  if (!peerlink_is_up(a->link))
    return;
  if (changes_are_lost(a->log.changes) && loop_now_us(a->loop) >= a->log.settled_us)
    tell(a, true);
  while (send_some(a))
    continue;
  say_heard(a);
}

/* --- in --- */

static void take_lease(Authority *a, Bytes body, uint64_t position) {
  PairMessage message;

  if (pair_state(a->pair) == PAIR_MUTE) /* which copies nothing */
    loglink_refuse(a, CHANGE_LEASE, position);
  else if (words_decode(TEXT("lease"), body, &message))
    authority_receive(a, &message);
}

/* What comes before the next LEVEL is what this broker lacks. */
static void lose_level(Authority *a) {
  a->log.level = a->log.whole = false;
  a->log.taken = a->log.flags_taken = 0;
  a->log.asked_us = loop_now_us(a->loop);
}

/* One that comes while the link is up, as far as this broker knows: it stood still, and has missed more than the other keeps. */
static void take_snapshot(Authority *a, Bytes body) {
  if (a->log.level)
    lose_level(a);
  a->log.whole = true;
  memset(a->log.refused, 0, sizeof a->log.refused);
  flagstore_take_snapshot(a);
  keeper_take(a->keeper, CHANGE_SNAPSHOT, 0, BYTES_NONE);
  rosterlink_take_begins(a, body);
}

static void count_behind(Authority *a) {
  a->behind++;
  if (a->core)
    core_count(a->core, COUNTER_BEHIND, 1);
}

/* Whether this broker was behind is known when it is level. */
static void take_level(Authority *a, Bytes body, uint64_t position) {
  rosterlink_take_level(a, body);
  keeper_take(a->keeper, CHANGE_LEVEL, 0, BYTES_NONE);
  if (a->log.level || !peerlink_is_up(a->link))
    return;
  a->log.level = true;
  log_info("PONS-LOG-LEVEL", "%s is level with %s at position %llu: it has heard %llu changes%s", a->options.broker,
           peerlink_peer(a->link), (unsigned long long)position, (unsigned long long)a->log.taken,
           a->log.whole ? ", all that there is" : ", from where the link was lost");
  if (a->log.flags_taken == 0)
    return;
  count_behind(a);
  log_info("PONS-AUTHORITY-BEHIND", "%s was behind: it takes over %u flags of %s", a->options.broker,
           a->log.flags_taken, peerlink_peer(a->link));
}

static void take_change(Authority *a, ChangeKind kind, Bytes body, uint64_t position) {
  a->log.taken += !a->log.level;
  a->log.asked_us = loop_now_us(a->loop); /* what was asked for is on its way, however long that takes */
  switch (kind) {
  case CHANGE_SNAPSHOT:
    take_snapshot(a, body);
    break;
  case CHANGE_RESUME:
    rosterlink_take_begins(a, body);
    break;
  case CHANGE_LEVEL:
    take_level(a, body, position);
    break;
  case CHANGE_LEASE:
    take_lease(a, body, position);
    break;
  case CHANGE_FLAG:
    a->log.flags_taken += flagstore_take(a, position, body) && !a->log.level;
    break;
  case CHANGE_INSTANCE:
    rosterlink_take_instance(a, body);
    break;
  case CHANGE_VERSIONS:
  case CHANGE_DURABLE:
    if (!keeper_take(a->keeper, kind, position, body))
      loglink_refuse(a, kind, position);
    break;
  case CHANGE_KINDS: /* of a later version */
    break;
  }
}

static void ask_again(Authority *a, uint64_t now_us) {
  if (now_us < a->log.asked_us + ASK_US)
    return;
  a->log.asked_us = now_us;
  a->log.again = true;
}

void loglink_take(Authority *a, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  PeerLog log;

  if (!a->log.changes || !a->core || contract_decode(CONTRACT(PeerLog), body, &arena, &log, NULL) != 0)
    return;
  for (size_t i = 0; i < log.changes.count; i++) {
    const PeerChange *change = &log.changes.items[i];
    ChangeKind kind = change_of(change->kind);
    int r = changes_hear(a->log.changes, log.life, log.position + i, kind);

    if (r == 0)
      take_change(a, kind, change->body, log.position + i);
    else if (r == CHANGES_E_GAP)
      ask_again(a, loop_now_us(a->loop));
  }
  flagstore_on_heard(a);
}

/* The peer has copied the table of leases as far as it was told. */
static void note_leases(Authority *a) {
  PairMessage have = {.kind = PAIR_SAY_HAVE, .epoch = a->log.lease.epoch, .position = a->log.lease.number};

  if (a->log.lease.position == 0 || changes_done(a->log.changes, CHANGE_LEASE) < a->log.lease.position)
    return;
  a->log.lease.position = 0;
  authority_receive(a, &have);
}

void loglink_take_heard(Authority *a, Bytes body) {
  ChangesHeard heard = {0};
  ChangesAnswer answer;
  PeerHeard message;

  if (!a->log.changes || !a->core || contract_decode(CONTRACT(PeerHeard), body, NULL, &message, NULL) != 0)
    return;
  heard = (ChangesHeard){.life = message.life, .heard = message.position, .again = message.again};
  if (message.has_told_life && message.has_told) {
    heard.own_life = message.told_life;
    heard.own_last = message.told;
  }
  for (int kind = 0; kind < CHANGE_KINDS; kind++)
    heard.done[kind] = message.position;
  if (message.has_lease)
    heard.done[CHANGE_LEASE] = message.lease;
  if (message.has_flag)
    heard.done[CHANGE_FLAG] = message.flag;
  if (message.has_durable)
    heard.done[CHANGE_DURABLE] = message.durable;
  answer = changes_take_heard(a->log.changes, &heard, loop_now_us(a->loop));
  if (answer != CHANGES_NOTHING)
    tell(a, answer == CHANGES_TELL_ALL);
  note_leases(a);
  flagstore_on_heard(a);
  rosterlink_on_heard(a);
  keeper_take_done(a->keeper, changes_done(a->log.changes, CHANGE_DURABLE));
}

/* --- the link --- */

void loglink_on_up(Authority *a) {
  uint64_t now_us = loop_now_us(a->loop);

  if (!a->log.changes)
    return;
  changes_linked(a->log.changes, peerlink_peer_life(a->link), now_us);
  lose_level(a);
  a->log.again = true;
  a->log.up_us = now_us;
  a->log.settled_us = now_us + SETTLE_US;
}

/* Something could not be taken, and might be now: a flag that a later one was in the way of, or for which there was no room. A disk that has
   failed takes nothing until this broker is started again. */
static bool is_short(const Authority *a) {
  return keeper_is_short(a->keeper) || (a->log.refused[CHANGE_FLAG] && !*a->disk);
}

/* What the peer was asked may not have reached it. */
void loglink_on_beat(Authority *a, uint64_t now_us) {
  if (!a->log.changes || !peerlink_is_up(a->link))
    return;
  if (is_short(a) && now_us >= a->log.forgot_us + FORGET_US) {
    a->log.forgot_us = now_us;
    changes_forget(a->log.changes);
    a->log.again = true;
  }
  if (!a->roster.begun || !a->log.level)
    ask_again(a, now_us);
  loglink_flush(a);
}

uint64_t loglink_lag(const Authority *a, uint64_t *ret_done) {
  ChangesHeard heard = heard_now(a);
  uint64_t told = peerlink_peer_told(a->link);

  *ret_done = min_u64(heard.heard,
                      min_u64(heard.done[CHANGE_LEASE], min_u64(heard.done[CHANGE_FLAG], heard.done[CHANGE_DURABLE])));
  return told > *ret_done ? told - *ret_done : 0;
}
