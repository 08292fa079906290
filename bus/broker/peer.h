/* What:      one connection as the broker's shell sees it: its number, what waits to be sent to it.
 * Owns:      its pack and backlog.
 * May use:   base, wire, core, loop.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md, "Packing", "Events" */
#ifndef PONS_BROKER_PEER_H
#define PONS_BROKER_PEER_H

#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/core/core.h"
#include "bus/loop/socket.h"
#include "bus/wire/pack.h"

typedef struct Peer {
  TableLink link;
  uint32_t number;     /* the socket's, also the hash of link */
  Session *session;    /* NULL before it has said something and once the core has ended it */
  uint64_t since_us;   /* when it connected */
  bool refused;        /* over connections_max */
  uint64_t hang_up_us; /* when to shut the connection, after what was sent; 0 = not */
  List in_dirty;       /* something is in the pack */
  List in_blocked;     /* something is in the backlog */
  List in_closing;
  List in_silent; /* it has said nothing yet */
  Pack pack;      /* of this turn */
  List backlog;   /* whole messages that the socket did not take, oldest first */
  List events;    /* those of them that may be lost */
  size_t backlog_bytes;
  uint32_t backlog_events;
  uint64_t events_lost;
} Peer;

enum {
  PEER_E_FULL = 1, /* it reads too slowly: more than LIMIT_OUTBOX_BYTES wait */
};

/* Makes a peer. */
Peer *peer_new(uint32_t number);
/* Frees it with all that waits. It must be in no table. Takes NULL, nulls the pointer. */
void peer_destroy(Peer **peer);

/* Queues one message: into the pack of this turn, alone when it is large, or behind the backlog, where the oldest events
   make room. An event's number becomes events_lost. Returns 0, PEER_E_FULL,
   or -EHOSTUNREACH when the connection is gone; the message is dropped then. */
int peer_push(Peer *peer, Socket *socket, const Header *header, Bytes body, Block *block);
/* Sends the pack of this turn; what the socket does not take goes into the backlog. Returns as peer_push. */
int peer_flush(Peer *peer, Socket *socket);
/* Tries to send the backlog. Returns 0 when it is empty, -EAGAIN when not, -EHOSTUNREACH when the peer is gone. */
int peer_retry(Peer *peer, Socket *socket);

#endif
