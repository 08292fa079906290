/* What:      the authority of two brokers and a witness: who leads, in which epoch, and who holds which lease. One machine of
 *            (state, event, now) -> actions; bus/core/pair.def is its table of state x event.
 * Owns:      its state; actions go to a sink as they arise and are borrowed for the call.
 * May use:   base, wire. No socket, no clock, no file: time is an argument, the disk is an action and an event.
 * Threading: one thread.
 * Spec:      docs/authority.md, docs/adr/0025-authority.md */
#ifndef PONS_CORE_PAIR_H
#define PONS_CORE_PAIR_H

#include "bus/core/lease.h"
#include "bus/core/vote.h"

typedef struct Pair Pair;

/* What moves by itself when there is no witness and the other host is gone. */
typedef enum PairTakeover {
  PAIR_AFTER_LEASE, /* leases marked may_double, when the old promise has run out */
  PAIR_MANUAL,      /* nothing */
} PairTakeover;

/* What does not work, and why; PAIR_E_NONE is success. */
typedef enum PairError {
  PAIR_E_NONE,
  PAIR_E_AFTER_LEASE, /* after_lease is for a pair without a witness */
  PAIR_E_ALONE,       /* a broker that is alone has neither peer nor witness */
  PAIR_E_TIMES,       /* a time is 0, or renewing takes longer than a third of the vote */
  PAIR_E_ALREADY,     /* it leads already */
  PAIR_E_FOLLOWER,    /* only the leader can yield */
  PAIR_E_NO_PEER,     /* there is no link to the peer that could take over */
  PAIR_E_HAS_WITNESS, /* with a witness nobody leads without its vote */
  PAIR_E_IS_WITNESS,  /* a witness has no authority */
  PAIR_E_MOVING,      /* a handover is under way */
  PAIR_E_NO_DISK,     /* what must be on disk can't be written */
} PairError;

typedef struct PairOptions {
  PairNode node;
  bool has_witness;
  bool alone; /* there is no peer and never was: its own vote suffices */
  PairTakeover takeover;
  uint64_t vote_us;     /* duration of a vote; the longest lease */
  uint64_t renew_us;    /* how often a leader renews */
  uint64_t retry_us;    /* how often a candidate asks */
  uint64_t late_us;     /* a loop that was late by more gives authority up */
  uint64_t handover_us; /* how long a planned handover waits for the peer's copy */
} PairOptions;

/* States, events and reasons come from the table. */
typedef enum PairState {
#define STATE(name, about) PAIR_##name,
#include "bus/core/pair.def"
#undef STATE
  PAIR_STATES
} PairState;

typedef enum PairEventKind {
#define EVENT(name, about) PAIR_ON_##name,
#include "bus/core/pair.def"
#undef EVENT
  PAIR_EVENTS
} PairEventKind;

/* What the nodes say to each other. */
typedef enum PairMessageKind {
  PAIR_SAY_ASK,       /* epoch, life, ask_us, leading: give me your vote */
  PAIR_SAY_GIVE,      /* epoch, life, ask_us as asked; seen */
  PAIR_SAY_DENY,      /* epoch, life, ask_us as asked; seen, wait_us: how long the vote is promised to another yet */
  PAIR_SAY_ANNOUNCE,  /* epoch: I lead */
  PAIR_SAY_REPLICATE, /* epoch, position, change, lease: a change of the table of leases */
  PAIR_SAY_HAVE,      /* epoch, position: my copy of the table is this far */
  PAIR_SAY_YIELD,     /* my operator wants this side to lead */
  PAIR_SAY_HAND_OVER, /* epoch, position, wait_us: I lead no more, you have all my leases, stand */
} PairMessageKind;

typedef enum PairChange {
  PAIR_CLEAR, /* the table begins anew */
  PAIR_PUT,
  PAIR_DROP,
} PairChange;

typedef struct PairMessage {
  PairMessageKind kind;
  uint64_t epoch;
  uint64_t seen;
  uint64_t life;   /* of the asking process: microseconds since 1970 at its start */
  uint64_t ask_us; /* when it asked, by its own clock */
  uint64_t position;
  uint64_t wait_us;
  bool leading;
  PairChange change;
  Lease lease; /* duration_us is what remains; until_us means nothing */
} PairMessage;

/* What a holder, or who wants to be one, asks of its broker. */
typedef struct LeaseAsk {
  Text name; /* at most LIMIT_NAME_BYTES, not empty; the shell has checked it */
  ClientId holder;
  LeaseToken token; /* to renew and release */
  uint64_t duration_us;
  bool may_double;
} LeaseAsk;

/* Fields that a kind does not name are not looked at. */
typedef struct PairEvent {
  PairEventKind kind;
  PairNode from;              /* messages */
  const PairMessage *message; /* messages */
  const LeaseAsk *lease;      /* LEASE_REQUESTED, LEASE_RENEWED, LEASE_RELEASED */
  PairRecord record;          /* STARTED: what was on disk, all 0 when there was nothing */
  uint64_t life;              /* STARTED */
  uint64_t serial;            /* PERSISTED */
  uint64_t seen;              /* PEER_UP: what the peer's PairRecord says; HIGHER_EPOCH */
  uint64_t sent_us;           /* PEER_REFUSED: when the connection was tried */
  uint64_t late_us;           /* LATE */
} PairEvent;

/* Why a lease is not granted. */
typedef enum LeaseRefusal {
  LEASE_NOT_LEADER, /* ask the other broker */
  LEASE_HELD,       /* by another */
  LEASE_WAITING,    /* leases of a former leader may be out that this one does not know */
  LEASE_MOVING,     /* a handover is under way */
  LEASE_LOST,       /* the token is not the one in force: stop, and ask anew */
  LEASE_FULL,       /* the table is */
} LeaseRefusal;

typedef enum PairReason {
  PAIR_VOTES_OVER,
  PAIR_WAS_LATE,
  PAIR_HIGHER_EPOCH,
  PAIR_HANDED_OVER,
  PAIR_DISK_FAILED,
  PAIR_SLEPT,
} PairReason;

typedef enum PairActionKind {
  PAIR_DO_PERSIST,    /* write record to disk and sync, then give PERSISTED with serial, or PERSIST_FAILED */
  PAIR_DO_SEND,       /* message to node to; may get lost */
  PAIR_DO_LEAD,       /* from now on this node leads in epoch */
  PAIR_DO_STEP_DOWN,  /* it leads no more, for reason */
  PAIR_DO_GRANT,      /* answer the lease event in hand with lease; its holder counts from when it asked */
  PAIR_DO_REFUSE,     /* answer the lease event in hand with refusal */
  PAIR_DO_RELEASED,   /* answer LEASE_RELEASED */
  PAIR_DO_LEASE_OVER, /* lease has run out; told for the log */
  PAIR_DO_TAKE_CARE,  /* without a leader: may_double leases are granted here, with tokens of epoch */
  PAIR_DO_ANSWER,     /* answer the operator with error */
} PairActionKind;

typedef struct PairAction {
  PairActionKind kind;
  PairNode to;
  const PairMessage *message;
  const Lease *lease;
  PairRecord record;
  uint64_t serial;
  uint64_t epoch;
  LeaseRefusal refusal;
  PairReason reason;
  PairError error;
} PairAction;

/* Where actions go. The function must not call the pair. */
typedef struct PairSink {
  void (*act)(void *userdata, const PairAction *action);
  void *userdata;
} PairSink;

/* Votes of 2 s, renewed four times in that; a witness and takeover as given. */
PairOptions pair_options_default(PairNode node, bool has_witness);
/* PAIR_E_NONE, PAIR_E_AFTER_LEASE, PAIR_E_ALONE or PAIR_E_TIMES; the configuration refuses to start with either. */
PairError pair_options_check(const PairOptions *options);

/* Makes a machine that waits for STARTED; options must have passed the check. sink is copied. Returns 0. */
int pair_new(Pair **ret, const PairOptions *options, const PairSink *sink);
/* Frees it, tells the sink nothing. Takes NULL, nulls the pointer. */
void pair_destroy(Pair **pair);

/* Takes one event. What is due at now_us comes first, so that no event finds authority that has run out. now_us never goes
   back. STARTED comes once, after the peer port listens: until then a refused connection proves nothing was promised. */
void pair_step(Pair *pair, const PairEvent *event, uint64_t now_us);
/* Takes a message as an event. One that no node in this role may say is ignored. */
void pair_receive(Pair *pair, PairNode from, const PairMessage *message, uint64_t now_us);
/* The peer is to be told all: a leader sends it its whole table. */
void pair_tell(Pair *pair, uint64_t now_us);
/* Does what is due at now_us. */
void pair_tick(Pair *pair, uint64_t now_us);
/* When pair_tick has something to do next, or TIME_NEVER. */
uint64_t pair_next_us(const Pair *pair);

PairState pair_state(const Pair *pair); /* where it stands */
uint64_t pair_epoch(const Pair *pair);  /* in which it leads, stands or takes care; else the last such, or 0 */
uint64_t
pair_until_us(const Pair *pair); /* end of its authority; 0 = it does not lead, TIME_NEVER = by its operator's word */
uint64_t pair_seen(const Pair *pair); /* the highest epoch that it knows of: what PEER_UP tells the peer */

/* For how long a restarted node may neither vote for itself nor take over; 0 = it may. */
uint64_t pair_barred_us(const Pair *pair, uint64_t now_us);
/* The leases that it has granted, or copied from the leader; until_us by this clock. Borrowed until the next event. */
const Leases *pair_leases(const Pair *pair);

/* In how long whoever was refused a lease should ask again: when it may have it, if that can be told, else by retry_us at the latest.
   row: of that lease, or NULL. */
uint64_t pair_ask_again_us(const Pair *pair, LeaseRefusal refusal, const Lease *row, uint64_t now_us);

/* Name of a state or an event in pair.def. */
const char *pair_state_name(PairState state);
const char *pair_event_name(PairEventKind kind);
/* The sentence for an operator, without a final point. */
const char *pair_error_text(PairError error);

#endif
