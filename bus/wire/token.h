/* What:      the fencing token of a lease, and what a guarded resource does with it.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; a resource that several threads use locks around token_admit.
 * Spec:      docs/authority.md, "Leases" */
#ifndef PONS_WIRE_TOKEN_H
#define PONS_WIRE_TOKEN_H

#include "bus/base/types.h"

/* Tokens of one lease rise from holder to holder. All zero is below every token that was given. */
typedef struct LeaseToken {
  uint64_t epoch;   /* of the leader that granted it */
  uint64_t counter; /* of that leader, from 1 */
} LeaseToken;

/* Below 0, 0 or above 0, as a is lower than, equal to or higher than b. */
int token_compare(LeaseToken a, LeaseToken b);
/* For whatever a lease guards: may who shows this token still change it? *highest is what the resource has seen, all zero at first, and is
   kept with the resource, so that it outlives it. Returns true and notes the token; or false for one that is lower, or zero:
   then its holder has been replaced and does not know yet. */
bool token_admit(LeaseToken *highest, LeaseToken token);

#endif
