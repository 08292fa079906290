/* What:      when this machine stood still: no core ran even a thread that goes before all others. The host of a virtual machine keeps
 *            its cores from it for tens of milliseconds at times, and no program in it can tell that from a pause of its own. (The
 *            kernel's count of steal does not have all of it.) A process that is stopped itself sees the same.
 * Owns:      a thread for each core, of real-time priority, which is late when its core does not run it.
 * May use:   base.
 * Threading: one thread calls; the witnesses are threads of its own.
 * Spec:      sched(7), SCHED_FIFO; docs/drills.md, "The report" */
#ifndef PONS_DRILL_STALL_H
#define PONS_DRILL_STALL_H

#include "bus/base/types.h"

enum {
  STALL_NAP_US = 4000,   /* a witness looks so often: a stall is noted as up to this much shorter than it was */
  STALL_LEAST_US = 2000, /* what is shorter is not noted */
  STALLS_MAX = 1000,     /* that are remembered, of each core and of all together */
};

typedef struct StallWatch StallWatch;

/* CLOCK_MONOTONIC. */
typedef struct Stall {
  uint64_t from_us;
  uint64_t to_us;
} Stall;

/* Begins to watch the cores on which this process may run. Returns 0; -EPERM without the right to real-time priority; another negative
   errno; ret is set only with 0. */
int stall_watch_new(StallWatch **ret);
/* Ends the witnesses, for which it waits. Takes NULL, nulls the pointer. */
void stall_watch_destroy(StallWatch **watch);
/* Tells the times in which all cores stood still at once, in order. Returns how many; at most STALLS_MAX. */
uint32_t stall_watch_seen(const StallWatch *watch, Stall *ret);

/* What two lists that are in order have in common. Returns how many there are, at most STALLS_MAX; ret may be a. */
uint32_t stall_common(const Stall *a, uint32_t count_a, const Stall *b, uint32_t count_b, Stall *ret);
/* For how long there was a stall between two times. */
uint64_t stall_within(const Stall *stalls, uint32_t count, uint64_t from_us, uint64_t to_us);

#endif
