/* What the core wants done, done: messages into packs, sessions hung up on, notes into the log. Nothing here may call the
   core, so a peer that can't be sent to is put on the way out (its connection is shut, and its end comes back as an
   event). */
#include "bus/broker/broker-internal.h"

#include "bus/base/log.h"
#include "bus/loop/crash.h"

#include <errno.h>

enum {
  HANG_UP_DELAY_US = 200000, /* what was sent last should arrive first */
  RETRIES = 16,              /* backlogs tried at the end of a turn; the sweep tries all */
};

static void hang_up(Broker *broker, Peer *peer, uint64_t delay_us) {
  if (peer->hang_up_us)
    return;
  peer->hang_up_us = loop_now_us(broker->loop) + delay_us;
  list_push(&broker->closing, &peer->in_closing);
  connections_need_sweep(broker, peer->hang_up_us);
}

/* Draws the consequence of what peer_push and its kin returned. */
static void settle(Broker *broker, Peer *peer, int r) {
  if (r == PEER_E_FULL && !peer->hang_up_us) {
    core_count(broker->core, COUNTER_SLOW_PEERS, 1);
    log_warning("PONS-PEER-SLOW", "a peer for which %zu bytes wait does not read and is hung up on",
                peer->backlog_bytes + socket_queued_bytes(broker->socket, peer->number));
  }
  if (r != 0 && r != -EAGAIN)
    hang_up(broker, peer, 0); /* nothing can be sent to it any more */
  if (!list_is_empty(&peer->backlog) && !list_has(&peer->in_blocked)) {
    list_push(&broker->blocked, &peer->in_blocked);
    connections_need_sweep(broker, loop_now_us(broker->loop) + BLOCKED_SWEEP_US);
  }
}

static void send(void *userdata, void *to, const Header *header, Bytes body, Block *block) {
  Broker *broker = userdata;
  Peer *peer = to;
  uint64_t lost;
  Inside *inside = inside_find(broker->insides, to);
  int r;

  if (inside) {
    inside_hear(inside, header, body, block);
    return;
  }
  lost = peer->events_lost;
  if (peer->hang_up_us)
    return;
  r = peer_push(peer, broker->socket, header, body, block);
  if (peer->events_lost > lost)
    core_count(broker->core, COUNTER_EVENTS_LOST, peer->events_lost - lost);
  if (peer->pack.count > 0 && !list_has(&peer->in_dirty))
    list_push(&broker->dirty, &peer->in_dirty);
  if (r != 0 || !list_is_empty(&peer->backlog))
    settle(broker, peer, r);
}

static void close_peer(void *userdata, void *to) {
  Broker *broker = userdata;
  Peer *peer = to;

  Inside *inside = inside_find(broker->insides, to);

  if (inside) {
    inside_close(inside);
    return;
  }
  peer->session = NULL;
  hang_up(broker, peer, HANG_UP_DELAY_US);
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
      [CORE_NOTE_DENIED] = {LOG_LEVEL_WARNING, "PONS-DENIED"},
  };

  (void)userdata;
  log_event(rows[what].level, rows[what].event, "%s", text);
}

static void in_hand(void *userdata, RequestId id) {
  (void)userdata;
  crash_request_set(id);
}

static void roster(void *userdata, const RosterEntry *entry, bool has_left, uint64_t ago_us) {
  const Broker *broker = userdata;

  if (broker->authority)
    authority_tell_instance(broker->authority, entry, has_left, ago_us);
}

static void event(void *userdata, const Header *header, Bytes body) {
  const Broker *broker = userdata;

  if (broker->authority)
    authority_tell_event(broker->authority, header, body);
}

CoreSink out_sink(Broker *broker) {
  return (CoreSink){.send = send,
                    .close = close_peer,
                    .in_hand = in_hand,
                    .note = note,
                    .roster = roster,
                    .event = event,
                    .userdata = broker};
}

/* Tries the backlogs of the first peers of the list and puts them behind the others. */
static void retry(Broker *broker, uint32_t n) {
  while (n-- > 0 && !list_is_empty(&broker->blocked)) {
    Peer *peer = LIST_FIRST(&broker->blocked, Peer, in_blocked);
    int r = peer_retry(peer, broker->socket);

    list_remove(&peer->in_blocked);
    if (r == -EAGAIN)
      list_push(&broker->blocked, &peer->in_blocked);
    else if (r < 0)
      hang_up(broker, peer, 0);
  }
}

/* What waits for a peer here and in the socket; nothing when it is hung up on already. */
static uint64_t waiting_bytes(const Broker *broker, const Peer *peer) {
  return peer->hang_up_us ? 0 : peer->backlog_bytes + socket_queued_bytes(broker->socket, peer->number);
}

/* Whether it may be too much for all together; what is on its way out is counted still. */
static bool is_much(const Broker *broker) {
  uint64_t all_bytes = socket_queued_bytes(broker->socket, 0);

  LIST_EACH (&broker->blocked, Peer, in_blocked, peer)
    all_bytes += peer->backlog_bytes;
  return all_bytes > LIMIT_OUTBOXES_BYTES;
}

/* Peers are bounded one by one; when all together are too much, who has the most of it goes. */
static void bound_all(Broker *broker) {
  uint64_t all_bytes = 0;
  uint64_t most_bytes = 0;
  Peer *most = NULL;

  if (!is_much(broker))
    return;
  TABLE_EACH (&broker->peers, Peer, link, peer) {
    uint64_t bytes = waiting_bytes(broker, peer);

    all_bytes += bytes;
    if (bytes > most_bytes) {
      most_bytes = bytes;
      most = peer;
    }
  }
  if (all_bytes > LIMIT_OUTBOXES_BYTES)
    settle(broker, most, PEER_E_FULL);
}

void out_flush(Broker *broker) {
  LIST_EACH (&broker->dirty, Peer, in_dirty, peer) {
    int r = peer_flush(peer, broker->socket);

    pack_end_turn(&peer->pack);
    list_remove(&peer->in_dirty);
    if (r != 0 || !list_is_empty(&peer->backlog))
      settle(broker, peer, r);
  }
  retry(broker, RETRIES);
  if (socket_queued_bytes(broker->socket, 0) > LIMIT_OUTBOXES_BYTES)
    bound_all(broker);
}

bool out_retry(Broker *broker) {
  uint32_t n = 0;

  LIST_EACH (&broker->blocked, Peer, in_blocked, peer)
    n++;
  retry(broker, n);
  bound_all(broker);
  return !list_is_empty(&broker->blocked);
}
