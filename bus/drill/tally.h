/* What:      how often the work of echo.work was done, by what each instance counts.
 * Owns:      nothing; fixed size.
 * May use:   base, loop, client, contracts.
 * Threading: the loop thread.
 * Spec:      docs/drills.md, "Done twice" */
#ifndef PONS_DRILL_TALLY_H
#define PONS_DRILL_TALLY_H

#include "bus/drill/load.h"

/* All zero is empty. */
typedef struct Tally {
  LoadInstance instances[LOAD_INSTANCES_MAX];
  uint32_t count;
} Tally;

/* Asks every instance how often it has done the work, this question included. Returns 0; -EIO with error filled. Blocks,
   turning the loop. */
int tally_take(Loop *loop, const char *endpoints, Tally *ret, char *error, size_t error_bytes);
/* How often it was done between two tallies, the questions not counted. What an instance said in its answers meanwhile counts
   where it is not there any more. */
uint64_t tally_between(const Tally *before, const Tally *after, const LoadInstance *meanwhile, uint32_t count);

#endif
