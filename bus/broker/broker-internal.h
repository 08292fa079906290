/* What:      the broker's shell from inside: its state, and what its files offer each other.
 * Owns:      -
 * May use:   base, wire, core, loop.
 * Threading: the loop thread.
 * Spec:      - */
#ifndef PONS_BROKER_BROKER_INTERNAL_H
#define PONS_BROKER_BROKER_INTERNAL_H

#include "bus/base/limiter.h"
#include "bus/broker/broker.h"
#include "bus/broker/peer.h"

struct Broker {
  Loop *loop;
  Core *core;
  Socket *socket;
  Admission *admission;     /* NULL: no keys */
  Rights *no_rights;        /* of who is nobody any more */
  Limiter *told;            /* lines of the log about who has no key */
  Authority *authority;     /* NULL: none */
  const InsideSet *insides; /* its peers without a connection; NULL: none */
  LoopTimer *timer;         /* the core's next time */
  uint64_t timer_us;        /* what it is set to */
  LoopTimer *sweep_timer;   /* backlogs, hang-ups, silent connections */
  uint64_t sweep_us;        /* what it is set to */
  Table peers;              /* every connection, by number */
  List dirty;
  List blocked;
  List closing;
  List silent; /* who has said nothing yet, the oldest first */
  uint32_t connections_max;
  uint64_t stop_timeout_us;
  uint64_t stop_at_us; /* when stopping: give up waiting then */
  bool stopping;
  bool all_answered; /* when stopping */
  bool said_bye;     /* when stopping: all sessions are ended */
};

enum { BLOCKED_SWEEP_US = 5000 /* how often backlogs are tried when no turn of the loop does it */ };

/* connections.c */

/* Takes in who has come and who has gone. */
void connections_take_events(Broker *broker);
/* Whose message it is, with a session from the first one on; NULL when it has none any more. */
Peer *connections_find_peer(Broker *broker, uint32_t number);
/* Hangs up on who is to be hung up on and on connections that never said anything; tries the backlogs. Returns when to come again. */
uint64_t connections_sweep(Broker *broker, uint64_t now_us);
/* Tells the core anew who everybody is. */
void connections_identify_again(Broker *broker);
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
