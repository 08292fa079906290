/* What:      the state of the authority machine and what its files offer each other.
 * Owns:      -
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      docs/authority.md */
#ifndef PONS_CORE_PAIR_INTERNAL_H
#define PONS_CORE_PAIR_INTERNAL_H

#include "bus/core/pair.h"

enum { PAIR_VOTERS = 3 };

/* An answer that may be said only when the disk knows what it promises. */
typedef struct PairReply {
  bool waiting;
  uint64_t serial;
  PairMessage message;
} PairReply;

struct Pair {
  PairOptions options;
  PairSink sink;
  PairState state;
  uint64_t life;
  uint64_t timer_us; /* what the state waits for */

  /* as a voter */
  PairRecord record;
  Promise promise;
  uint64_t given_us;  /* when the promise was made or prolonged */
  uint64_t serial;    /* of the last PERSIST */
  uint64_t persisted; /* of the last that is on disk */
  PairReply replies[PAIR_VOTERS];

  /* as a candidate and leader */
  uint64_t epoch;
  bool used;                      /* epoch was led in, or cared in: it can't be stood for again */
  uint64_t own_serial;            /* of the own vote for epoch, or of a caretaker's epoch; 0 = not given */
  uint64_t votes_us[PAIR_VOTERS]; /* until when each counts */
  uint64_t noted_us;              /* when the witness was asked that has answered: it knows epoch and none above */
  uint64_t consent_us;            /* until when the peer's refused port counts */
  uint64_t consent_from_us;       /* since when it has been dead without a gap */
  bool forced;                    /* the operator's word is the second vote */
  bool linked;
  bool ever_linked;    /* in this life */
  uint64_t linked_us;  /* when last */
  uint64_t stood_us;   /* since when it is candidate or caretaker */
  uint64_t blocked_us; /* until then leases may be out that this node does not know */

  /* leases: the leader's own table, a follower's copy */
  Leases leases;
  uint64_t counter;
  uint64_t position;      /* of the leader's table: one more with each change */
  uint64_t peer_position; /* how far the peer's copy is */
  uint64_t copy_epoch;    /* whose table this copy is of; 0 = of nobody's */
  uint64_t copy_position;
};

/* One function per HANDLER of pair.def. */
#define HANDLER(name, about) void pair_##name(Pair *pair, const PairEvent *event, uint64_t now_us);
#include "bus/core/pair.def"
#undef HANDLER

static inline PairNode pair_peer(const Pair *pair) {
  return pair->options.node == PAIR_A ? PAIR_B : PAIR_A;
}

static inline bool pair_leads(const Pair *pair) {
  return pair->state == PAIR_LEADER || pair->state == PAIR_YIELDING;
}

/* pair.c */

void pair_act(const Pair *pair, const PairAction *action);
void pair_send(const Pair *pair, PairNode to, const PairMessage *message);
void pair_answer(const Pair *pair, PairError error);

/* For tests: the reason why an event is ignored in a state, or NULL when it is not. */
const char *pair_ignored(PairState state, PairEventKind kind);

/* pair-vote.c */

/* Writes the record; what comes with the next serial may be said and done when it is on disk. */
void pair_write(Pair *pair);
/* Sends message when all that was written so far is on disk. */
void pair_send_written(Pair *pair, PairNode to, const PairMessage *message);
/* Remembers that epoch exists, unless it is not to be believed. */
void pair_note_seen(Pair *pair, uint64_t epoch);
/* Asks everybody for the vote. */
void pair_ask_all(const Pair *pair, uint64_t now_us);

/* pair-lead.c */

/* Until when the second vote counts, whatever it is; not above now_us = there is none. */
uint64_t pair_second_us(const Pair *pair);
/* Becomes candidate, or stays it, and asks. */
void pair_run(Pair *pair, uint64_t now_us);
/* Leads when the votes are there and the own one is on disk. */
void pair_try_lead(Pair *pair, uint64_t now_us);
void pair_step_down(Pair *pair, PairReason reason, uint64_t now_us);
/* Becomes a follower that waits until its promise has run out. */
void pair_follow(Pair *pair);

/* pair-copy.c */

/* Tells the peer a change of the table; lease is NULL for PAIR_CLEAR. */
void pair_replicate(Pair *pair, PairChange change, const Lease *lease, uint64_t now_us);
/* Tells the peer the whole table. */
void pair_replicate_all(Pair *pair, uint64_t now_us);

#endif
