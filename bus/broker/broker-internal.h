/* What:      the broker's shell from inside: its state, and what its files offer each other.
 * Owns:      -
 * May use:   base, wire, core, loop.
 * Threading: the loop thread.
 * Spec:      - */
#ifndef PONS_BROKER_BROKER_INTERNAL_H
#define PONS_BROKER_BROKER_INTERNAL_H

#include "bus/broker/broker.h"
#include "bus/broker/peer.h"

/* What is known of one descriptor; index = fd. */
typedef struct Connection {
  bool up;
  bool refused; /* over connections_max: to be shut */
  bool has_newest;
  uint32_t newest; /* the latest routing id that came by it: what an older one sends late is not of this connection */
  uint64_t since_us;
  Peer *peer; /* NULL until it has sent something */
} Connection;

struct Broker {
  Loop *loop;
  Core *core;
  Socket *socket;
  Authority *authority;   /* NULL: none */
  Inside *inside;         /* its instance on the bus, a peer without a connection */
  LoopTimer *timer;       /* the core's next time */
  uint64_t timer_us;      /* what it is set to */
  LoopTimer *sweep_timer; /* backlogs, hang-ups, silent connections */
  uint64_t sweep_us;      /* what it is set to */
  Table peers;
  List dirty;
  List blocked;
  List closing;
  List ended; /* their connection is gone, and what they sent last is not read yet */
  Connection *connections;
  size_t connections_room;
  uint32_t n_connections;
  uint32_t connections_max;
  uint32_t n_silent;  /* connections without a peer */
  uint32_t n_refused; /* connections that are to be shut, or are and are not gone yet */
  uint64_t stop_timeout_us;
  uint64_t stop_at_us; /* when stopping: give up waiting then */
  bool stopping;
  bool all_answered; /* when stopping */
};

enum { BLOCKED_SWEEP_US = 5000 /* how often backlogs are tried when no turn of the loop does it */ };

/* connections.c */

/* Takes in what the socket's monitor has to tell. */
void connections_take_events(Broker *broker);
/* The peer of a message, made when it is the first one; NULL when the connection has gone. */
Peer *connections_find_peer(Broker *broker, const SocketMessage *message);
/* What they sent is read: forgets the peers whose connection ended before before_us. */
void connections_drop_ended(Broker *broker, uint64_t before_us);
/* Forgets a peer and its session. */
void connections_drop(Broker *broker, Peer *peer);
/* Hangs up on who is to be hung up on and on connections that never said anything. Returns when to come again. */
uint64_t connections_sweep(Broker *broker, uint64_t now_us);
void connections_done(Broker *broker);
/* Has the sweep at at_us at the latest. */
void connections_need_sweep(Broker *broker, uint64_t at_us);

/* out.c */

/* The core's sink. */
CoreSink out_sink(Broker *broker);
/* The end of a turn: everything that waits in a pack goes out. */
void out_flush(Broker *broker);
/* Tries the backlogs. Returns true while one is left. */
bool out_retry(Broker *broker);

#endif
