/* What:      what pairs.c, pairs-chaos.c, pairs-log.c and holders.c share.
 * Owns:      -
 * May use:   base, wire, core.
 * Threading: one thread.
 * Spec:      README.md of this folder */
#ifndef PONS_TESTS_SIM_PAIRS_INTERNAL_H
#define PONS_TESTS_SIM_PAIRS_INTERNAL_H

#include "tests/sim/common.h"
#include "tests/sim/logs.h"
#include "tests/sim/pairs.h"

enum { NODES = 3, HOLDERS = 3, NAMES = 2, HAPPENINGS_MAX = 8192 };

typedef struct LocalClock {
  uint64_t offset_us;
  uint64_t ppm; /* 1,000,000 is true */
} LocalClock;

typedef struct Node {
  Pair *pair; /* NULL: its process is dead */
  LocalClock clock;
  PairOptions options;
  PairRecord disk;
  uint64_t disk_serial;  /* of the record on it */
  uint64_t disk_word_us; /* when the last word of the disk arrives: it writes in order */
  uint64_t life;
  uint64_t frozen_us;  /* since when; 0 = it runs */
  uint64_t stalled_us; /* its loop is late, since then; 0 = it is not */
  bool hasty;          /* it takes what has come before its timers */
  bool wants_death;
  bool host_up;
  bool linked;           /* what it was told last */
  uint64_t linked_with;  /* the life of the other then */
  uint64_t link_word_us; /* when the last word about the link arrives */
  struct {
    uint64_t position; /* in the log, of the last change of a lease that was told; 0 = the other has it */
    uint64_t epoch;    /* and what that was to the machine */
    uint64_t number;
  } lease;
} Node;

typedef enum What {
  MESSAGE,
  PERSIST,
  LINK,
  REFUSAL,
  CONNECT,
  LOOK,
  HOLDER_ASKS,
  LEASE_ASK,
  LEASE_ANSWER,
  CHAOS,
  DEATH, /* while its disk writes */
  BIRTH,
  STALL,
  RESUME,
} What;

typedef enum Wish { REQUEST, RENEW, RELEASE } Wish;

typedef struct Happening {
  What kind;
  uint64_t at_us;
  int node; /* where */
  int from;
  uint64_t life;
  uint64_t local_us;
  uint64_t number;
  PairMessage message;
  PairRecord record;
  bool up;
  int holder;
  int name;
  Wish wish;
  uint64_t duration_us;
  LeaseToken token;
} Happening;

typedef struct Holding {
  bool has;
  LeaseToken token;
  uint64_t until_us; /* by the holder's clock */
  uint64_t number;   /* of the question that waits for an answer; 0 = none */
} Holding;

typedef struct Holder {
  LocalClock clock;
  uint64_t numbers;
  Holding holdings[NAMES];
} Holder;

struct Pairs {
  Chance chance;
  uint64_t now_us;
  bool witness;
  uint64_t keen; /* one in so many holders gives its lease back when it could renew it */
  bool calm;
  bool forced; /* an operator had his way */
  Node nodes[NODES];
  Holder holders[HOLDERS];
  bool cut[NODES][NODES];
  uint32_t loss; /* of 100 */
  Happening *queue;
  size_t n;
  const Happening *asking; /* the lease event in hand */
  int acting;
  Logs *logs;       /* what the brokers replicate */
  Keepers *keepers; /* durable requests: whoever leads delivers them */
  Writers *writers; /* flags: whoever leads writes them */
  uint64_t highest_epoch;
  LeaseToken highest_token;
  PairsTally tally;
  PairsSink sink;
};

/* pairs.c */

uint64_t pairs_draw(Pairs *pairs, uint64_t n);
/* Breaks off with a sentence when a rule does not hold. */
void pairs_demand(const Pairs *pairs, bool holds, const char *what);
uint64_t pairs_local_us(const Pairs *pairs, const LocalClock *clock);
/* Something that happens in in_us; the rest is to be filled in. */
Happening *pairs_happen(Pairs *pairs, What kind, int node, uint64_t in_us);
/* Mostly quick, sometimes slow, rarely slower than a vote lasts. */
uint64_t pairs_delay_us(Pairs *pairs);
void pairs_give(Pairs *pairs, int node, PairEvent event);
/* A message of another node has come. */
void pairs_hear(Pairs *pairs, int node, int from, const PairMessage *message);

/* pairs-log.c */

void pairs_log_new(Pairs *pairs, uint64_t seed);
/* A change of the table of leases, for the other. */
void pairs_log_lease(Pairs *pairs, int node, const PairMessage *message);

/* pairs-chaos.c */

/* An operator acts, the witness dies or is cut off, or messages get lost. */
void pairs_on_chaos(Pairs *pairs);
/* A disk kills its process while it writes. */
void pairs_on_death(Pairs *pairs, const Happening *death);
/* The loop of some node is late, and is not any more. */
void pairs_on_stall(Pairs *pairs);
void pairs_on_resume(Pairs *pairs, const Happening *end);

/* holders.c */

void holders_new(Pairs *pairs);
/* One of them wants, renews or gives back one of the leases, at both brokers. */
void holders_ask(Pairs *pairs, int holder);
/* The question arrives at a broker that lives. */
void holders_on_ask(Pairs *pairs, const Happening *asked);
/* What the broker does about the question in hand. */
void holders_on_act(Pairs *pairs, const PairAction *action);
void holders_on_answer(Pairs *pairs, const Happening *answer);

#endif
