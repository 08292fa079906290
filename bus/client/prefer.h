/* What:      when a client that has moved away from the preferred broker may return: a broker that comes and goes is
 *            trusted later and later, so that nobody moves to and fro with it.
 * Owns:      nothing.
 * May use:   wire (times).
 * Threading: one thread; pure.
 * Spec:      docs/protocol.md, "Which broker a client asks"; TIME_RETURN_FIRST_US, TIME_RETURN_LONGEST_US */
#ifndef PONS_CLIENT_PREFER_H
#define PONS_CLIENT_PREFER_H

#include "bus/wire/header.h"

/* The preferred broker as one client has known it. All zero: never seen, so nothing speaks against it. */
typedef struct Prefer {
  uint32_t losses; /* since it was last there for TIME_RETURN_LONGEST_US */
  uint64_t up_us;  /* since when it can be asked; 0 = it can't */
} Prefer;

/* It can be asked from now on: its session is open, it is warm and stays. Nothing happens when it could before. */
void prefer_up(Prefer *prefer, uint64_t now_us);
/* It can't be asked any more: lost, or going away. Nothing happens when it could not before. */
void prefer_lost(Prefer *prefer, uint64_t now_us);
/* From when on who has moved may return: at once where it was never lost, else TIME_RETURN_FIRST_US after it came up, twice
   as long for each further loss, at most TIME_RETURN_LONGEST_US. TIME_NEVER while it can't be asked. */
uint64_t prefer_return_us(const Prefer *prefer);

#endif
