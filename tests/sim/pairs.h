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

typedef struct Pairs Pairs;

/* Called when a rule is broken; must not return. */
typedef void PairsFail(void *userdata, const char *what);

/* So that a run in which nothing happens is noticed. */
typedef struct PairsTally {
  uint64_t leaders;
  uint64_t leases;
  uint64_t renewals;
  KeepersTally durable;
} PairsTally;

/* Nobody runs yet but the witness, in every second seed. */
void pairs_new(Pairs **ret, uint64_t seed, uint64_t now_us, PairsFail *fail, void *userdata);
void pairs_destroy(Pairs **pairs);

/* A broker's process starts with what was on its disk, or dies, and what was on its way to the disk may be lost. */
void pairs_start(Pairs *pairs, int broker);
void pairs_kill(Pairs *pairs, int broker);
/* A frozen process finds all that was meant for it when it wakes up. */
void pairs_freeze(Pairs *pairs, int broker, bool frozen);
/* The line between the brokers is cut, in one direction or both, or whole again. */
void pairs_cut(Pairs *pairs, bool cut);
/* From now on nothing gets lost. */
void pairs_calm(Pairs *pairs);
/* Lets happen what happens until now_us. */
void pairs_run(Pairs *pairs, uint64_t now_us);
/* After some votes of calm: one broker leads. */
void pairs_check_end(Pairs *pairs, PairsTally *tally);

#endif
