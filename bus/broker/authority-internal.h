/* What:      the state of a process's authority and what its files offer each other.
 * Owns:      -
 * May use:   base, wire, core, loop, store, contracts.
 * Threading: the loop thread.
 * Spec:      docs/authority.md */
#ifndef PONS_BROKER_AUTHORITY_INTERNAL_H
#define PONS_BROKER_AUTHORITY_INTERNAL_H

#include "bus/base/list.h"
#include "bus/broker/authority.h"
#include "bus/broker/peerlink.h"
#include "bus/core/changes.h"
#include "bus/core/flags.h"
#include "bus/store/store.h"
#include "bus/wire/session.h"

enum { WRITES = 16 };

/* An instance that the peer was told, until it has heard that. */
typedef struct ToldInstance {
  uint64_t position;
  ClientId client;
  uint64_t incarnation;
} ToldInstance;

/* What the machine has answered to the event in hand. */
typedef struct AuthorityAnswer {
  PairActionKind kind;
  Lease lease;
  LeaseRefusal refusal;
  PairError error;
} AuthorityAnswer;

struct Authority {
  Loop *loop;
  AuthorityOptions options;
  Pair *pair;
  Store *store;   /* NULL when it could not be opened */
  PeerLink *link; /* NULL when alone */
  Inside *inside; /* NULL for a witness */
  InsideSet insides;
  Keeper *keeper; /* NULL for a witness */
  Core *core;
  LoopTimer *timer;
  char disk[STORE_TEXT_BYTES]; /* what is wrong with it */
  AuthorityAnswer answer;

  /* what the store is to have written before the machine may go on */
  struct {
    uint64_t store_serial;
    uint64_t pair_serial;
  } writes[WRITES];
  uint32_t n_writes;

  ClockSleep sleep;     /* of this machine */
  uint64_t look_due_us; /* when this loop turns next at the latest, unless it is late; 0 = not told yet */
  uint64_t handed_us;   /* when it handed over, if that is how it ceased to lead */
  uint64_t known;       /* the highest epoch that it knew of when it last led or was linked, or before it was started */
  uint64_t behind;
  uint64_t late;

  Flags flags;
  List flag_writes;
  uint32_t n_flag_writes;

  struct {
    Changes *changes;               /* NULL when alone, or a witness */
    ChangesHeard said;              /* what the peer was told last of how far its own was heard */
    bool again;                     /* the peer is to go on, and tell who is with it */
    uint64_t asked_us;              /* when it was asked to */
    uint64_t up_us;                 /* when the link came up */
    uint64_t forgot_us;             /* when all was asked for, since something could not be taken */
    uint64_t settled_us;            /* until then a log that was lost is not told anew: the peer asks by itself */
    bool level;                     /* since the link came up the peer has told all that it had then */
    bool whole;                     /* by a snapshot */
    uint64_t taken;                 /* changes, until then */
    uint32_t flags_taken;           /* flags that were newer, until then */
    uint64_t flags;                 /* up to here the peer has all flags */
    uint64_t flags_settled;         /* and up to here it can't tell older ones any more */
    uint64_t refused[CHANGE_KINDS]; /* position of the first change that could not be taken; 0 = none */
    struct {
      uint64_t position; /* of the last change of a lease that was told; 0 = the peer has it */
      uint64_t epoch;    /* and what that was to the machine */
      uint64_t number;
    } lease;
  } log;

  struct {
    ToldInstance *told; /* in the order of positions */
    size_t n;
    size_t room;
    bool begun; /* the peer tells who is with it */
  } roster;

  struct {
    uint64_t told; /* the serial of the last value that the peer was told */
    uint64_t upto; /* of those that were kept when the link came up */
  } kept;

  struct {
    uint64_t asked_us; /* since when this broker leads, and so asks it; 0 = it does not */
    bool silent;       /* that was said */
  } witness;

  List relays; /* questions that wait for the leader */
  uint32_t n_relays;
  uint64_t last_relay;
};

/* A question of a client: of this broker's, or of the other's, which has passed it on. */
typedef struct AuthorityAsk {
  bool from_peer;
  uint64_t number; /* from_peer: for the answer */
  RequestId id;    /* else */
  ClientId client;
  Text service;
  Text method;
  Bytes body;
} AuthorityAsk;

/* Where an answer goes that comes later. */
typedef struct AuthorityAsker {
  bool from_peer;
  uint64_t number;
  RequestId id;
} AuthorityAsker;

static inline AuthorityAsker authority_asker(const AuthorityAsk *ask) {
  return (AuthorityAsker){ask->from_peer, ask->number, ask->id};
}

/* authority.c */

/* The time of this turn. Authority that has run out, or that a late loop must not use, is given up first. */
uint64_t authority_look(Authority *authority);
/* Gives the machine an event, and the world what follows from it. Returns what it has answered, good until the next event. */
const AuthorityAnswer *authority_step(Authority *authority, const PairEvent *event);
/* Gives the machine a message of the other broker. */
void authority_receive(Authority *authority, const PairMessage *message);
/* Whether this node leads. */
bool authority_leads(const Authority *authority);

/* authority-answer.c */

/* Answers with value, the contract's struct. */
void authority_reply(Authority *authority, const AuthorityAsker *asker, const Contract *contract, const void *value);
/* Answers with an error. retry_after_us 0 = not said. */
void authority_fail(Authority *authority, const AuthorityAsker *asker, Status status, const char *code,
                    uint64_t retry_after_us, const char *text);
/* That nobody leads whom this broker could ask. */
void authority_fail_leaderless(Authority *authority, const AuthorityAsker *asker);

/* authority-service.c */

/* Answers a question now, later, or has the leader answer it. */
void authority_ask(Authority *authority, const AuthorityAsk *ask);

/* authority-witness.c */

/* Says when the witness is not heard any more, and when it is again. */
void witness_on_beat(Authority *authority, uint64_t now_us);

/* authority-relay.c */

/* Has the other broker answer. Returns false when it can't be asked. */
bool relay_ask(Authority *authority, const AuthorityAsk *ask);
/* Takes a question of the other's, and its answers. */
void relay_take_ask(Authority *authority, Bytes body);
void relay_take_answer(Authority *authority, Bytes body);
/* Ends the questions that have waited too long at now_us; TIME_NEVER = all. */
void relay_sweep(Authority *authority, uint64_t now_us);

/* authority-log.c */

/* Adds a change to the log for the peer. Returns its position, or 0 when there is no peer. */
uint64_t loglink_append(Authority *authority, ChangeKind kind, const Contract *contract, const void *value);
uint64_t loglink_append_bytes(Authority *authority, ChangeKind kind, Bytes body);
/* A change of the peer's, at position, can't be taken: it is not acknowledged, nor any of its kind after it. */
void loglink_refuse(Authority *authority, ChangeKind kind, uint64_t position);
/* Sends what waits, and how far the peer's log was heard; the end of a turn. */
void loglink_flush(Authority *authority);
/* Messages of the peer. */
void loglink_take(Authority *authority, Bytes body);
void loglink_take_heard(Authority *authority, Bytes body);
/* What becomes of the link. */
void loglink_on_up(Authority *authority);
void loglink_on_beat(Authority *authority, uint64_t now_us);
/* How many changes of the peer's log are not where they belong here, as of its last beat; *ret_done: up to where all are. */
uint64_t loglink_lag(const Authority *authority, uint64_t *ret_done);

/* authority-roster.c */

/* All instances, and those that have left, go to the log. */
void rosterlink_tell_all(Authority *authority);
/* The log of the peer: who tells, an instance, how far back all is known. */
void rosterlink_take_begins(Authority *authority, Bytes body);
void rosterlink_take_instance(Authority *authority, Bytes body);
void rosterlink_take_level(Authority *authority, Bytes body);
/* The peer has heard more of the log. */
void rosterlink_on_heard(Authority *authority);
void rosterlink_take_event(Authority *authority, Bytes body);
/* What becomes of the link. */
void rosterlink_on_down(Authority *authority, uint64_t worked_us);
void rosterlink_on_refused(Authority *authority, uint64_t sent_us);
void rosterlink_done(Authority *authority);

/* authority-kept.c */

/* The link is up: last values go to the peer with the next beats. */
void keptlink_on_up(Authority *authority);
void keptlink_on_beat(Authority *authority, uint64_t now_us);
/* A last value of the peer. */
void keptlink_take(Authority *authority, Bytes body);

/* authority-flags.c */

/* A row of the store. */
void flagstore_load(Authority *authority, Bytes value);
/* Tells the subscribers of this broker all flags. */
void flagstore_tell_all(Authority *authority);
/* Writes a flag as the leader, or removes one; the asker is answered when that is on disk, here and at the peer. */
void flagstore_write(Authority *authority, const AuthorityAsk *ask, const FlagWrite *write);
void flagstore_unset(Authority *authority, const AuthorityAsk *ask, Text name);
/* Everything up to serial is on disk. */
void flagstore_on_written(Authority *authority, uint64_t serial);
/* The store has failed. */
void flagstore_on_failed(Authority *authority);
/* All flags go to the log. */
void flagstore_tell_peer(Authority *authority);
/* A flag of the peer's log, at position. Returns whether it is newer than the own. */
bool flagstore_take(Authority *authority, uint64_t position, Bytes body);
/* The peer's log begins anew: what was taken before has no position any more. */
void flagstore_take_snapshot(Authority *authority);
/* How far of all up to position every flag that was taken is on disk. */
uint64_t flagstore_taken(const Authority *authority, uint64_t position);
/* The peer has heard more of the log: writes of ours are on its disk. */
void flagstore_on_heard(Authority *authority);
/* Answers writes whose copy has not come by now_us; TIME_NEVER = all, since there is no peer any more. */
void flagstore_sweep(Authority *authority, uint64_t now_us);
void flagstore_done(Authority *authority);

#endif
