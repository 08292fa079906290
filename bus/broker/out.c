/* What the core wants done, done: messages into packs, sessions hung up on, notes into the log. Nothing here may call the
   core, so a peer that can't be sent to is put on the way out (its descriptor is shut, and its end comes back as a monitor
   event). */
#include "bus/broker/broker-internal.h"

#include "bus/base/log.h"
#include "bus/loop/crash.h"

#include <errno.h>

enum { HANG_UP_DELAY_US = 200000 /* what was sent last should arrive first */ };

static void hang_up(Broker *broker, Peer *peer, uint64_t delay_us) {
  if (peer->hang_up_us)
    return;
  peer->hang_up_us = loop_now_us(broker->loop) + delay_us;
  list_push(&broker->closing, &peer->in_closing);
  connections_need_sweep(broker);
}

/* Nothing can be sent to it any more. */
static void give_up(Broker *broker, Peer *peer, int error) {
  peer->unreachable = error == -EHOSTUNREACH;
  hang_up(broker, peer, 0);
}

/* Draws the consequence of what peer_push and its kin returned. */
static void settle(Broker *broker, Peer *peer, int r) {
  if (r == PEER_E_FULL) {
    core_count(broker->core, COUNTER_SLOW_PEERS, 1);
    log_warning("PONS-PEER-SLOW", "a peer did not read %d MiB and is hung up on", LIMIT_OUTBOX_BYTES >> 20);
  }
  if (r != 0 && r != -EAGAIN)
    give_up(broker, peer, r);
  if (!list_is_empty(&peer->backlog) && !list_has(&peer->in_blocked)) {
    list_push(&broker->blocked, &peer->in_blocked);
    connections_need_sweep(broker);
  }
}

static void send(void *userdata, void *to, const Header *header, Bytes body, Block *block) {
  Broker *broker = userdata;
  Peer *peer = to;
  uint64_t lost = peer->events_lost;
  int r;

  if (peer->hang_up_us)
    return;
  if (header->kind == KIND_EVENT && (lost > 0 || peer->backlog_events >= LIMIT_OUTBOX_EVENTS)) {
    Header told = *header;

    told.number = lost + (peer->backlog_events >= LIMIT_OUTBOX_EVENTS); /* the one that makes room for this one */
    r = peer_push(peer, broker->socket, &told, body, block);
  } else {
    r = peer_push(peer, broker->socket, header, body, block);
  }
  if (peer->events_lost > lost)
    core_count(broker->core, COUNTER_EVENTS_LOST, peer->events_lost - lost);
  if (peer->pack.count > 0 && !list_has(&peer->in_dirty))
    list_push(&broker->dirty, &peer->in_dirty);
  if (r != 0 || !list_is_empty(&peer->backlog))
    settle(broker, peer, r);
}

static void close_peer(void *userdata, void *to) {
  Peer *peer = to;

  peer->session = NULL;
  hang_up(userdata, peer, HANG_UP_DELAY_US);
}

static void note(void *userdata, CoreNote what, const char *text) {
  static const struct {
    LogLevel level;
    const char *event;
  } rows[] = {
      [CORE_NOTE_SESSION_OPEN] = {LOG_LEVEL_DEBUG, "PONS-SESSION-OPEN"},
      [CORE_NOTE_SESSION_LOST] = {LOG_LEVEL_INFO, "PONS-SESSION-LOST"},
      [CORE_NOTE_SESSION_REFUSED] = {LOG_LEVEL_WARNING, "PONS-SESSION-REFUSED"},
      [CORE_NOTE_MALFORMED] = {LOG_LEVEL_WARNING, "PONS-MALFORMED"},
      [CORE_NOTE_CONTRACT_MISMATCH] = {LOG_LEVEL_WARNING, "PONS-CONTRACT-MISMATCH"},
  };

  (void)userdata;
  log_event(rows[what].level, rows[what].event, "%s", text);
}

static void in_hand(void *userdata, RequestId id) {
  (void)userdata;
  crash_request_set(id);
}

CoreSink out_sink(Broker *broker) {
  return (CoreSink){.send = send, .close = close_peer, .in_hand = in_hand, .note = note, .userdata = broker};
}

void out_flush(Broker *broker) {
  LIST_EACH (&broker->dirty, Peer, in_dirty, peer) {
    int r = peer_flush(peer, broker->socket);

    list_remove(&peer->in_dirty);
    if (r != 0 || !list_is_empty(&peer->backlog))
      settle(broker, peer, r);
  }
}

bool out_retry(Broker *broker) {
  LIST_EACH (&broker->blocked, Peer, in_blocked, peer) {
    int r = peer_retry(peer, broker->socket);

    if (r == -EAGAIN)
      continue;
    list_remove(&peer->in_blocked);
    if (r < 0)
      give_up(broker, peer, r);
  }
  return !list_is_empty(&broker->blocked);
}
