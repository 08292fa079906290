/* What:      whether a program runs at all, and which version it says it is, before it takes another one's place.
 * Owns:      nothing that outlives a call.
 * May use:   base.
 * Threading: the main thread.
 * Spec:      docs/adr/0037-rolling-upgrade.md */
#ifndef PONS_CTL_TRYOUT_H
#define PONS_CTL_TRYOUT_H

#include "bus/base/types.h"

enum {
  TRYOUT_BYTES = 160,
  TRYOUT_E_BAD = 1 /* it can't be started, says nothing in time, or ends with another status than 0 */
};

/* Runs PROGRAM --version and writes its first line into ret, or for TRYOUT_E_BAD what is wrong with it. Returns 0, TRYOUT_E_BAD, or
   negative errno when this process failed. Blocks up to timeout_ms. */
int tryout_version(const char *program, uint64_t timeout_ms, char ret[TRYOUT_BYTES]);

#endif
