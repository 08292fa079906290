/* What:      a process that wants a lease, and notes when it holds it: what is killed in the drill of singletons.
 * Owns:      the process, and the memory that it shares with it.
 * May use:   base, wire, loop, client.
 * Threading: the thread that started it; the process is gone with that thread's process.
 * Spec:      docs/drills.md, "Singletons" */
#ifndef PONS_DRILL_HOLDER_H
#define PONS_DRILL_HOLDER_H

#include "bus/loop/key.h"
#include "bus/wire/token.h"

typedef struct Holder Holder;

enum { HOLDER_SPANS_MAX = 32 };

/* It held the lease under this token, from first to last; it looks every few milliseconds. */
typedef struct HolderSpan {
  LeaseToken token;
  uint64_t first_us; /* CLOCK_MONOTONIC */
  uint64_t last_us;
} HolderSpan;

/* Starts a process that asks for the lease `name` at the brokers of endpoints, until it is given, and keeps it. key may be NULL. Returns 0
   and the caller owns *ret, or negative errno. */
int holder_start(const char *endpoints, KeyPair *key, const char *name, Holder **ret);
/* Kills the process if it still runs, and forgets what it noted; takes NULL, nulls the pointer. Usable as _cleanup_. */
void holder_destroy(Holder **holder);
/* kill -9; what it noted stays. */
void holder_kill(Holder *holder);

/* It is there, and has sessions with the brokers that there are: it holds the lease, or stands by. */
bool holder_is_ready(const Holder *holder);
/* What it has noted, in the order of time, the last HOLDER_SPANS_MAX at the most. Borrowed; the last may still grow. */
const HolderSpan *holder_spans(const Holder *holder, uint32_t *ret_count);

#endif
