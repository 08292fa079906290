/* What:      votes: epochs, what a voter has promised, and whether it may give its vote to somebody now.
 * Owns:      nothing; all of it is values.
 * May use:   base.
 * Threading: any.
 * Spec:      docs/authority.md, "Votes" */
#ifndef PONS_CORE_VOTE_H
#define PONS_CORE_VOTE_H

#include "bus/base/clock.h"
#include "bus/base/types.h"

/* Who votes. The number of a broker is its site. */
typedef enum PairNode { PAIR_A, PAIR_B, PAIR_WITNESS, PAIR_NOBODY } PairNode;

/* What a node has on disk. It is written before anything that depends on it is said. */
typedef struct PairRecord {
  uint64_t seen;       /* the highest epoch that this node knows of */
  uint64_t vote_epoch; /* of its last vote; 0 = it never gave one */
  PairNode vote_for;
} PairRecord;

/* The vote as a promise: until then it is given to nobody else. */
typedef struct Promise {
  PairNode to; /* PAIR_NOBODY: a restarted node that has promised to nobody whom it knows */
  uint64_t until_us;
} Promise;

/* What a candidate or a leader asks for. */
typedef struct VoteAsk {
  PairNode from;
  uint64_t epoch;
  bool leading; /* it leads in this epoch already, and renews */
} VoteAsk;

typedef enum Vote {
  VOTE_GIVEN,
  VOTE_STALE,    /* the epoch is lower than one that the voter knows */
  VOTE_PROMISED, /* to somebody else, and the promise has not run out */
} Vote;

/* No epoch above this is believed: a damaged number must not use the others up. */
#define EPOCH_HIGHEST (UINT64_C(1) << 62)

/* The lowest epoch above seen that is node's: 2k + site. node is a broker. */
uint64_t epoch_next(uint64_t seen, PairNode node);
/* True when epoch is one that node may use. */
bool epoch_is_of(uint64_t epoch, PairNode node);
/* How long a candidate counts a vote of vote_us, from sending its question: 0.98 of it, since (1 - 0.01) / (1 + 0.01) =
   0.9802 is what is left when its clock is 1 % slow and the voter's 1 % fast. */
uint64_t vote_counted_us(uint64_t vote_us);
/* Whether voter, with this record and promise, gives its vote. It changes nothing. */
Vote vote_judge(PairNode voter, const PairRecord *record, const Promise *promise, const VoteAsk *ask, uint64_t now_us);

#endif
