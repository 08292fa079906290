/* Connections and who is behind them. The socket numbers its connections and tells of each in the order in which things happened:
   up, its messages, down. So a dead process is noticed in the same millisecond, without a timeout, and what it said
   last has been heard by then. */
#include "bus/broker/broker-internal.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/base/log.h"

static Peer *find(const Broker *broker, uint32_t number) {
  for (TableLink *link = table_bucket(&broker->peers, number); link; link = link->next)
    if (link->hash == number)
      return CONTAINER_OF(link, Peer, link);
  return NULL;
}

static void on_up(Broker *broker, uint32_t number) {
  uint64_t now_us = loop_now_us(broker->loop);
  Peer *peer = peer_new(number);

  table_add(&broker->peers, &peer->link, number);
  peer->since_us = now_us;
  list_push(&broker->silent, &peer->in_silent);
  if (broker->peers.size > broker->connections_max) {
    peer->refused = true;
    core_count(broker->core, COUNTER_CONNECTIONS_REFUSED, 1);
    socket_hang_up(broker->socket, number);
    return;
  }
  connections_need_sweep(broker, now_us + TIME_HELLO_TIMEOUT_US);
}

/* Why a connection with keys has ended before it was one. */
static void note_refusal(Broker *broker, int error) {
  if (error != -EKEYREJECTED && error != -ENOKEY)
    return;
  core_count(broker->core, COUNTER_KEYS_REFUSED, 1);
  if (error == -ENOKEY && limiter_take(broker->told, 0, loop_now_us(broker->loop)))
    log_warning("PONS-KEY-MISSING", "%s",
                broker->admission ? "somebody without a key was refused; give it one with `pons keys add`"
                                  : "somebody with a key was refused: this broker has none; see keys.dir in pons.yaml");
}

static void on_down(Broker *broker, uint32_t number) {
  Peer *peer = find(broker, number);

  if (!peer)
    return;
  if (peer->session)
    core_disconnect(broker->core, TAKE(peer->session), loop_now_us(broker->loop));
  table_remove(&broker->peers, &peer->link);
  peer_destroy(&peer);
}

void connections_take_events(Broker *broker) {
  SocketEvent event;

  while (socket_next_event(broker->socket, &event) == 0) {
    if (event.type == SOCKET_UP)
      on_up(broker, event.peer);
    else if (event.type == SOCKET_REFUSED)
      core_count(broker->core, event.error == -EDQUOT ? COUNTER_KEYS_LIMITED : COUNTER_CONNECTIONS_REFUSED, 1);
    else if (event.type == SOCKET_DOWN) {
      note_refusal(broker, event.error);
      core_count(broker->core, COUNTER_SLOW_PEERS, event.error == -ENOBUFS);
      on_down(broker, event.peer);
    }
  }
}

/* Says whose it is. One whose key is not admitted any more is hung up on by the socket, and is nobody meanwhile. */
static void identify(Broker *broker, Peer *peer) {
  static const CoreIdentity nobody = {"that was revoked", 1, NULL};
  CoreIdentity identity = nobody;
  PublicKey key;

  if (socket_peer_key(broker->socket, peer->number, &key) != 0 ||
      admission_identify(broker->admission, key, &identity) != 0)
    identity.rights = broker->no_rights;
  core_identify(broker->core, peer->session, &identity, loop_now_us(broker->loop));
}

Peer *connections_find_peer(Broker *broker, uint32_t number) {
  Peer *peer = find(broker, number);

  if (!peer || peer->refused || !list_has(&peer->in_silent))
    return peer && peer->session ? peer : NULL;
  list_remove(&peer->in_silent);
  peer->session = core_connect(broker->core, peer, loop_now_us(broker->loop));
  if (broker->admission)
    identify(broker, peer);
  return peer;
}

void connections_identify_again(Broker *broker) {
  TABLE_EACH (&broker->peers, Peer, link, peer)
    if (peer->session)
      identify(broker, peer);
}

/* Returns when the next one is due. */
static uint64_t hang_up_due(Broker *broker, uint64_t now_us) {
  uint64_t next_us = TIME_NEVER;

  LIST_EACH (&broker->closing, Peer, in_closing, peer) {
    if (peer->hang_up_us > now_us) {
      next_us = min_u64(next_us, peer->hang_up_us);
      continue;
    }
    list_remove(&peer->in_closing);
    socket_hang_up(broker->socket, peer->number);
  }
  return next_us;
}

/* Those who have said nothing for too long. Returns when the next one has. */
static uint64_t hang_up_silent(Broker *broker, uint64_t now_us) {
  LIST_EACH (&broker->silent, Peer, in_silent, peer) {
    if (peer->since_us + TIME_HELLO_TIMEOUT_US > now_us)
      return peer->since_us + TIME_HELLO_TIMEOUT_US;
    list_remove(&peer->in_silent);
    socket_hang_up(broker->socket, peer->number);
  }
  return TIME_NEVER;
}

uint64_t connections_sweep(Broker *broker, uint64_t now_us) {
  uint64_t next_us = min_u64(hang_up_due(broker, now_us), hang_up_silent(broker, now_us));

  return out_retry(broker) ? min_u64(next_us, now_us + BLOCKED_SWEEP_US) : next_us;
}

void connections_done(Broker *broker) {
  TABLE_EACH (&broker->peers, Peer, link, peer) {
    table_remove(&broker->peers, &peer->link);
    peer_destroy(&peer);
  }
  table_done(&broker->peers);
}
