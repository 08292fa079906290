/* What:      what main.c needs of a simulated world: one seed is run, and how its requests ended is added up.
 * Owns:      nothing.
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      README.md of this folder */
#ifndef PONS_TESTS_SIM_RUN_H
#define PONS_TESTS_SIM_RUN_H

#include "bus/wire/header.h"
#include "tests/sim/pairs.h"

/* How the requests of all seeds ended. */
typedef struct Tally {
  uint64_t asked;
  uint64_t statuses[STATUS_END];
  uint64_t moved;      /* requests that were sent again */
  uint64_t taken_over; /* of them, those that an instance had */
  PairsTally pairs;
} Tally;

/* Runs one seed for so many steps of storm and then until all is quiet; adds to *tally. Aborts when a rule is broken. blind:
   without core_check. */
void world_run(uint64_t seed, uint32_t steps, bool blind, Tally *tally);

#endif
