/* What:      the authority of the simulated world: the machines of both brokers and of a witness, their disks and messages, an
 *            operator, and holders of leases. Who dies, freezes and is cut off the world decides; what gets lost, is late or
 *            was not synced is decided here.
 * Owns:      all of it, and a chance and clocks of its own, so that the rest of the world goes its way without it.
 * May use:   base, wire, core.
 * Threading: one thread.
 * Spec:      docs/authority.md; the invariants are listed in README.md of this folder */
#ifndef PONS_TESTS_SIM_PAIRS_H
#define PONS_TESTS_SIM_PAIRS_H

#include "bus/base/clock.h"
#include "bus/core/pair.h"
#include "tests/sim/keepers.h"
#include "tests/sim/writers.h"

typedef struct Pairs Pairs;

typedef KeepersSink PairsSink;

/* So that a run in which nothing happens is noticed. */
typedef struct PairsTally {
  uint64_t leaders;
  uint64_t leases;
  uint64_t renewals;
  KeepersTally durable;
  WritersTally flags;
} PairsTally;

/* Nobody runs yet but the witness, in every second seed. */
void pairs_new(Pairs **ret, uint64_t seed, uint64_t now_us, const PairsSink *sink);
void pairs_destroy(Pairs **pairs);

/* A broker's process starts with what was on its disk, or dies, and what was on its way to the disk may be lost. */
void pairs_start(Pairs *pairs, int broker);
void pairs_kill(Pairs *pairs, int broker);
/* A frozen process finds all that was meant for it when it wakes up. */
void pairs_freeze(Pairs *pairs, int broker, bool frozen);
/* Which of the brokers nothing of the other reaches. */
void pairs_cut(Pairs *pairs, const bool deaf[2]);
/* Whether this broker is to die now, while its disk writes. Says it once. */
bool pairs_wants_death(Pairs *pairs, int broker);
/* From now on nothing gets lost. */
void pairs_calm(Pairs *pairs);
/* Lets happen what happens until now_us. */
void pairs_run(Pairs *pairs, uint64_t now_us);
/* The durable requests of the brokers. */
Keepers *pairs_keepers(Pairs *pairs);
/* After some votes of calm: one broker leads. */
void pairs_check_end(Pairs *pairs, PairsTally *tally);

#endif
