/* What:      by how much another machine's clock is ahead of this one's, from questions that it answered with its time.
 * Owns:      nothing; it is all values.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      D. L. Mills, RFC 5905, section 8: the reply of the shortest round trip says most, and errs by half of that at the most */
#ifndef PONS_CTL_SHIFT_H
#define PONS_CTL_SHIFT_H

#include "bus/base/types.h"

/* All zero: nothing was asked yet, and both clocks are taken for one. */
typedef struct Shift {
  bool is_known;
  int64_t ahead_us; /* of the other clock; < 0: it is behind */
  uint64_t trip_us; /* the shortest round trip */
} Shift;

/* It was asked at sent_us, and the answer, in which it says told_us, was there at heard_us; microseconds since 1970, each by its own
   clock. An answer before its question (our clock was set meanwhile) is passed over. */
void shift_note(Shift *shift, uint64_t sent_us, uint64_t told_us, uint64_t heard_us);
/* A time of the other clock by this one; never below 0. */
uint64_t shift_back(const Shift *shift, uint64_t at_us);

#endif
