/* What:      how often the work of echo.work was done, by what each instance counts.
 * Owns:      nothing; fixed size.
 * May use:   base, loop, client, contracts.
 * Threading: the loop thread.
 * Spec:      docs/drills.md, "Done twice" */
#ifndef PONS_DRILL_TALLY_H
#define PONS_DRILL_TALLY_H

#include "bus/drill/load.h"

/* What one instance has said. */
typedef struct TallyRow {
  char name[LOAD_NAME_BYTES + 1];
  uint64_t done;      /* by its own count */
  uint64_t questions; /* of these, asked for this tally */
} TallyRow;

/* All zero is empty. */
typedef struct Tally {
  TallyRow rows[LOAD_INSTANCES_MAX];
  uint32_t count;
  uint64_t unsure; /* questions that were not answered: they may have been counted all the same */
} Tally;

/* Asks every instance how often it has done the work, which is done once more by that, and adds what they say to *tally. Asks
   again until so many instances as least have answered: one that has no session just now would be missing. Returns 0; -EIO with
   error filled; -ECANCELED as the loop. Blocks, turning the loop. */
int tally_take(Loop *loop, const char *endpoints, KeyPair *key, uint32_t least, Tally *tally, char *error,
               size_t error_bytes);
/* How often it was done between two tallies, questions not counted. What an instance said in its answers meanwhile counts where
   it is not there any more. */
uint64_t tally_between(const Tally *before, const Tally *after, const LoadInstance *meanwhile, uint32_t count);

#endif
