/* What:      what the core knows of requests that were sent again and of the other broker, and what the files about it offer.
 * Owns:      -
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      docs/protocol.md, section 17 */
#ifndef PONS_CORE_MOVED_INTERNAL_H
#define PONS_CORE_MOVED_INTERNAL_H

#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/core/roster.h"

typedef struct Client Client;
typedef struct Request Request;

/* One instance that was asked about one request. */
typedef struct Probe {
  List in_session;
  List in_probing;
  Session *session;
  Request *request;
  uint32_t attempt; /* that it was asked for */
} Probe;

/* What is asked about a request that was sent again. */
typedef struct Probing {
  List in_core; /* in the order of since_us */
  Request *request;
  List probes; /* unanswered ones */
  uint64_t number;
  uint64_t since_us;
  bool unsure; /* somebody who is here may have begun it and can't say so */
} Probing;

/* An instance that has left, and one service that it offered. */
typedef struct Leaver {
  ClientId client; /* 0 = it is back */
  uint64_t incarnation;
  uint64_t left_us;
  char service[LIMIT_NAME_BYTES + 1];
} Leaver;

enum { LEAVERS = 4096 };

/* What is known of the other broker. */
typedef struct PeerBroker {
  bool up;
  bool dead;
  bool complete;    /* it has told all, since it came up */
  uint64_t sure_us; /* while it is down: when it worked last, or was known to be dead; 0 = it has never been there */
  Table instances;  /* those that it has */
  bool more;        /* it has said more than there may be: nobody knows who they are */
  char site[LIMIT_NAME_BYTES + 1];
} PeerBroker;

/* once.c: to whom `once` work may be given */

/* Whether this instance may be given this `once` request: the other broker knows the instance, and the client has said since
   then that it still waits for the request here. May PING the client, after whose answer the queue is looked at again. */
bool once_may_begin(Core *core, const Session *session, Request *request);
/* The same without a PING, for core_check. */
bool once_is_safe(const Core *core, const Session *session, const Request *request);
/* The client has just said that it waits for it here: what was held back for that goes on. */
void once_confirmed(Core *core, Request *request);
/* The same for all of a client, which has another session now. */
void once_look_at_all(Core *core, const Client *client);
/* A PONG: what waited for it goes on. */
void once_answered(Core *core, Session *session, const Header *pong);

/* probe.c: requests that were sent again */

/* Asks all instances that may have it, of all its targets: target and method, and those of the request. Returns false when
   nobody has to be asked, and the request can be routed. */
bool probe_start(Core *core, Request *request, Text target, Text method);
/* Whoever was asked for it and has not answered stops it, if it has it: its client wants it no more. */
void probe_cancel(Core *core, const Request *request);
/* Stops asking. Nothing happens when it is not being asked for. */
void probe_stop(Core *core, Request *request);
void probe_have(Core *core, Session *session, const Header *header, Bytes body);
/* The execution that a CHUNK, REPLY or HAVE of this instance is of. One that does not say so counts as one: by its client id; by its
   session, when it can't be asked and so is never found by another broker. */
uint64_t probe_execution(const Session *session, const Header *header);
void probe_pass(Core *core, Session *session, const Header *header);
/* A session has been opened: it is asked what others were asked before. */
void probe_ask_newcomer(Core *core, Session *session);
/* The session is gone with what it was asked, and is in the registry no longer. */
void probe_forget_session(Core *core, Session *session);
/* What is known of instances has changed: those that wait are looked at again. */
void probe_look_again(Core *core);
/* The end of a step: questions go out. */
void probe_flush(Core *core);

/* roster.c: who is and was here and with the other broker */

void roster_start(Core *core);
void roster_done(Core *core);
/* An instance is here / has left. */
void roster_add(Core *core, Session *session);
void roster_remove(Core *core, const Session *session);
/* Whether an instance of the service that may have been given something since first_us is not here. */
bool roster_misses(const Core *core, Text service, uint64_t first_us);
/* Whether all instances since first_us are known. */
bool roster_reaches_back(const Core *core, uint64_t first_us);
/* Until when an instance that is expected may still come, for a question asked at since_us. */
uint64_t roster_patience_us(const Core *core, uint64_t since_us);
/* Ends the warming when all are here. */
void roster_check_warm(Core *core);

#endif
