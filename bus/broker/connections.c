/* Connections as descriptors. libzmq tells through its monitor which descriptor was accepted and which is gone, and each
   message carries the descriptor it came by: so a dead process is noticed in the same millisecond, without a timeout.

   A descriptor number is used again as soon as it is free. Before a message of an unknown routing id makes a peer, all
   monitor events are taken in; the I/O thread has told of the old connection's end before it could read from the new one,
   so the descriptor then belongs to the new one alone. But what the old one sent last may still lie in the ROUTER, with
   the same descriptor. libzmq counts routing ids up, so of two on one descriptor the later is the one that is there. */
#include "bus/broker/broker-internal.h"

#include <stdlib.h>

enum {
  SILENT_SWEEP_US = 1000000, /* while somebody has said nothing yet */
  UNREAD_US = 50000,         /* the end of a connection is put off for so long when there is always something to read */
};

static Connection *at(Broker *broker, int fd) {
  size_t index = (size_t)fd;

  if (index >= broker->connections_room) {
    size_t room = broker->connections_room ? broker->connections_room : 64;

    while (room <= index)
      room *= 2;
    broker->connections = realloc(broker->connections, room * sizeof(Connection));
    if (!broker->connections)
      abort();
    memset(broker->connections + broker->connections_room, 0, (room - broker->connections_room) * sizeof(Connection));
    broker->connections_room = room;
  }
  return &broker->connections[index];
}

static uint64_t id_hash(uint32_t routing_id) {
  return routing_id * UINT64_C(0x9e3779b97f4a7c15) >> 20;
}

void connections_drop(Broker *broker, Peer *peer) {
  Session *session = TAKE(peer->session);

  if (session)
    core_disconnect(broker->core, session, loop_now_us(broker->loop));
  if (peer->fd >= 0 && at(broker, peer->fd)->peer == peer) {
    at(broker, peer->fd)->peer = NULL;
    broker->n_silent++; /* until its descriptor goes down */
  }
  table_remove(&broker->peers, &peer->link);
  peer_destroy(&peer);
}

static void on_up(Broker *broker, int fd) {
  Connection *connection = at(broker, fd);

  if (connection->up)
    return;
  connection->up = true;
  connection->refused = broker->n_connections >= broker->connections_max;
  connection->since_us = loop_now_us(broker->loop);
  broker->n_connections++;
  broker->n_silent++;
  if (connection->refused) {
    broker->n_refused++;
    core_count(broker->core, COUNTER_CONNECTIONS_REFUSED, 1);
  }
  /* not here: the end of this connection may be among the events that follow, and the descriptor another's */
  connections_need_sweep(broker, connection->since_us + (connection->refused ? 0 : SILENT_SWEEP_US));
}

/* The descriptor may be somebody else's in a moment, but what its peer sent last (a reply, BYE) is still to be read. */
static void on_down(Broker *broker, int fd) {
  Connection *connection = at(broker, fd);
  Peer *peer = connection->peer;

  if (!connection->up)
    return;
  if (peer) {
    if (peer->session)
      core_lose_connection(broker->core, peer->session, loop_now_us(broker->loop));
    peer->fd = -1;
    peer->ended_us = loop_now_us(broker->loop);
    connections_need_sweep(broker, peer->ended_us + UNREAD_US);
    list_push(&broker->ended, &peer->in_ended);
  } else {
    broker->n_silent--;
  }
  broker->n_connections--;
  broker->n_refused -= connection->refused;
  connection->up = false;
  connection->peer = NULL;
}

void connections_drop_ended(Broker *broker, uint64_t before_us) {
  LIST_EACH (&broker->ended, Peer, in_ended, peer)
    if (peer->ended_us < before_us)
      connections_drop(broker, peer);
}

void connections_take_events(Broker *broker) {
  SocketEvent event;

  while (socket_next_event(broker->socket, &event) == 0) {
    if (event.type == SOCKET_UP)
      on_up(broker, event.fd);
    else if (event.type == SOCKET_DOWN)
      on_down(broker, event.fd);
    else if (event.type == SOCKET_REFUSED)
      core_count(broker->core, COUNTER_CONNECTIONS_REFUSED, 1);
  }
}

static Peer *find(const Broker *broker, uint32_t routing_id) {
  uint64_t hash = id_hash(routing_id);

  for (TableLink *link = table_bucket(&broker->peers, hash); link; link = link->next) {
    Peer *peer = CONTAINER_OF(link, Peer, link);

    if (peer->routing_id == routing_id)
      return peer;
  }
  return NULL;
}

/* The count begins anywhere and wraps. */
static bool is_later(uint32_t routing_id, uint32_t than) {
  return (int32_t)(routing_id - than) > 0;
}

Peer *connections_find_peer(Broker *broker, const SocketMessage *message) {
  Peer *peer = find(broker, message->peer);
  Connection *connection;

  if (peer)
    return peer;
  connections_take_events(broker);
  if (message->fd < 0 || !socket_has_named(broker->socket, message->peer))
    return NULL;
  connection = at(broker, message->fd);
  if (!connection->up || (connection->has_newest && !is_later(message->peer, connection->newest)))
    return NULL; /* it has gone again */
  if (connection->peer)
    connections_drop(broker, connection->peer); /* made of an older one's late words */
  connection->newest = message->peer;
  connection->has_newest = true;
  peer = peer_new(message->peer, message->fd);
  peer->session = core_connect(broker->core, peer, loop_now_us(broker->loop));
  connection->peer = peer;
  broker->n_silent--;
  table_add(&broker->peers, &peer->link, id_hash(peer->routing_id));
  return peer;
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
    if (!peer->unreachable)
      socket_hang_up(broker->socket, peer->fd);
    else if (!list_has(&peer->in_ended))
      connections_drop(broker, peer);
  }
  return next_us;
}

static void hang_up_strangers(Broker *broker, uint64_t now_us) {
  for (size_t fd = 0; fd < broker->connections_room; fd++) {
    Connection *connection = &broker->connections[fd];

    if (connection->up &&
        (connection->refused || (!connection->peer && now_us - connection->since_us > TIME_HELLO_TIMEOUT_US)))
      socket_hang_up(broker->socket, (int)fd);
  }
}

uint64_t connections_sweep(Broker *broker, uint64_t now_us) {
  uint64_t next_us;

  connections_take_events(broker); /* or a descriptor is shut that is another's by now */
  connections_drop_ended(broker, now_us - UNREAD_US);
  next_us = hang_up_due(broker, now_us);
  if (!list_is_empty(&broker->ended))
    next_us = min_u64(next_us, now_us + UNREAD_US);
  if (out_retry(broker))
    next_us = min_u64(next_us, now_us + BLOCKED_SWEEP_US);
  if (broker->n_silent == 0 && broker->n_refused == 0)
    return next_us;
  hang_up_strangers(broker, now_us);
  return min_u64(next_us, now_us + SILENT_SWEEP_US);
}

void connections_done(Broker *broker) {
  TABLE_EACH (&broker->peers, Peer, link, peer) {
    table_remove(&broker->peers, &peer->link);
    peer_destroy(&peer);
  }
  table_done(&broker->peers);
  free(TAKE(broker->connections));
}
