/* What:      how much work an instance lets come: what it runs at a time, and what may wait inside it so that it never idles.
 * Owns:      nothing.
 * May use:   base, wire (limits).
 * Threading: one thread; pure.
 * Spec:      docs/protocol.md, "Session" (CREDIT) */
#ifndef PONS_AGENT_CREDIT_H
#define PONS_AGENT_CREDIT_H

#include "bus/wire/header.h"

enum { CREDIT_PREFETCH_MAX = 256 };

/* Moving average of how long a call keeps its thread, and what follows from it. */
typedef struct Credit {
  uint32_t concurrency;
  uint32_t prefetch;
  uint32_t prefetch_before; /* the one before it */
  uint64_t average_ns;      /* 0 = nothing measured yet */
} Credit;

/* fast: handlers are expected to take microseconds, until measured otherwise. */
void credit_init(Credit *credit, uint32_t concurrency, bool fast);
/* Counts one call of took_ns. Returns true when the credit is another one now. The prefetch is 256 up to 2 us, 128 up to
   10 us, 32 up to 100 us, 0 from 1 ms on, and halves in steps between, so that it changes seldom. */
bool credit_measure(Credit *credit, uint64_t took_ns);

static inline uint32_t credit_value(const Credit *credit) {
  uint32_t value = credit->concurrency + credit->prefetch;

  return value < LIMIT_CREDIT ? value : LIMIT_CREDIT;
}

#endif
