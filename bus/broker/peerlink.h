/* What:      the link between two brokers and their witness: messages, life signs in both directions, and the knock at a
 *            closed port.
 * Owns:      its sockets: a ROUTER that awaits the others, a DEALER to each of them.
 * May use:   base, wire, core, loop.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md, "Peer link"; docs/authority.md */
#ifndef PONS_BROKER_PEERLINK_H
#define PONS_BROKER_PEERLINK_H

#include "bus/core/vote.h"
#include "bus/loop/socket.h"
#include "bus/wire/peer.h"

typedef struct PeerLink PeerLink;

typedef struct PeerLinkOptions {
  PairNode node;
  const char *listen;
  const char *peer;    /* NULL: the witness, which only answers */
  const char *witness; /* NULL: none */
  const char *broker;  /* its name; all texts are borrowed for the life of the link */
  uint64_t life;       /* microseconds since 1970 at the start of the process */
  uint64_t beat_us;
  uint64_t vote_us; /* must be the peer's too */
  KeyPair *key;     /* NULL: in clear; borrowed for the call of peerlink_new, as what follows */
  SocketGate gate;  /* who may come */
  PublicKey peer_key;
  PublicKey witness_key;
} PeerLinkOptions;

/* What the next beats say. */
typedef struct PeerLinkNews {
  uint64_t seen;  /* the highest epoch that this node knows of */
  uint64_t leads; /* the epoch in which it leads, or 0 */
  uint64_t told;  /* the position of the last change in its log, or 0 */
} PeerLinkNews;

typedef struct PeerLinkHandler {
  void (*on_up)(void *userdata, uint64_t seen); /* the link works in both directions; what the peer has seen */
  /* Three beats were missed, or the connection ended; worked_us: when it was last seen to work. */
  void (*on_down)(void *userdata, uint64_t worked_us);
  void (*on_refused)(void *userdata, uint64_t sent_us); /* while it is down: the peer's port refused a connection */
  /* A message that is no beat; kind and body are borrowed. A broker hears its peer and the witness, the witness both brokers. */
  void (*on_message)(void *userdata, PairNode from, Text kind, Bytes body);
  /* After each turn of the beat, due at due_us: how late this loop was is seen by it. May be NULL. */
  void (*on_beat)(void *userdata, uint64_t due_us, uint64_t now_us);
  void *userdata;
} PeerLinkHandler;

/* Binds and connects. Returns 0, or -errno and *ret_bad is the endpoint that it is about. */
int peerlink_new(PeerLink **ret, Loop *loop, const PeerLinkOptions *options, const PeerLinkHandler *handler,
                 const char **ret_bad);
/* Closes it; what was said to the peer last has a moment to leave. Takes NULL, nulls the pointer. */
void peerlink_destroy(PeerLink **link);

/* Where it listens. Returns ret. */
const char *peerlink_endpoint(const PeerLink *link, char *ret, size_t size_bytes);
/* The gate has changed: who is not admitted any more is hung up on. */
void peerlink_ask_gate_again(PeerLink *link);

/* Sends to a node, or drops the message when it is not connected or does not read. Returns 0, or negative errno when it was dropped. */
int peerlink_send(PeerLink *link, PairNode to, const char *kind, Bytes body);
void peerlink_tell(PeerLink *link, PeerLinkNews news);
/* Takes in what has come and is not read yet: before something is judged by its absence. */
void peerlink_drain(PeerLink *link);

/* The machine was suspended for so long: whether the link works is not known any more. */
void peerlink_slept(PeerLink *link, uint64_t slept_us);

/* Whether the link works in both directions. */
bool peerlink_is_up(const PeerLink *link);
/* The peer's name as of its last beat, or "", and the epoch in which it says that it leads, or 0. */
const char *peerlink_peer(const PeerLink *link);
uint64_t peerlink_peer_leads(const PeerLink *link);
/* When the process was started whose beat was heard last: its life; 0 = none was. */
uint64_t peerlink_peer_life(const PeerLink *link);
/* The position of the last change in the peer's log as of its last beat, or 0. */
uint64_t peerlink_peer_told(const PeerLink *link);
/* When the witness was last heard, or 0. */
uint64_t peerlink_witness_heard_us(const PeerLink *link);

#endif
