/* What:      leases: a name that one holder has for a time, with the token that fences it; a bounded table of them.
 * Owns:      its rows; all of it is values.
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      docs/authority.md, "Leases" */
#ifndef PONS_CORE_LEASE_H
#define PONS_CORE_LEASE_H

#include "bus/base/clock.h"
#include "bus/base/ids.h"
#include "bus/wire/header.h"
#include "bus/wire/token.h"

enum { LEASES_MAX = LIMIT_LEASES };

typedef struct Lease {
  char name[LIMIT_NAME_BYTES + 1];
  ClientId holder;
  LeaseToken token;
  uint64_t duration_us;
  uint64_t until_us; /* by the clock of whoever has the row */
  bool may_double;   /* two holders do no harm: it may move without a leader */
} Lease;

typedef struct Leases {
  uint32_t n;
  Lease rows[LEASES_MAX];
} Leases;

/* When a holder stops that asked at sent_us and was given duration_us: 0.8 of it, so that with clocks that differ by 1 % in
   rate each way it has stopped before anybody counts the lease as over: its granter, or who came after it and counts a whole
   vote from when it can have been granted at the latest. */
uint64_t lease_holder_until_us(uint64_t sent_us, uint64_t duration_us);

/* The row of name, or NULL. It is borrowed until the table changes. */
Lease *lease_find(Leases *leases, Text name);
/* Copies lease into the table, over a row of the same name. Returns false and changes nothing when the table is full. */
bool lease_put(Leases *leases, const Lease *lease);
/* Takes a row out; row points into the table. */
void lease_drop(Leases *leases, Lease *row);
/* Takes out one row that is over at now_us and copies it to ret. Returns false and leaves ret alone when there is none. */
bool lease_pop_over(Leases *leases, uint64_t now_us, Lease *ret);
/* When the next row is over, or TIME_NEVER. */
uint64_t lease_next_us(const Leases *leases);

#endif
