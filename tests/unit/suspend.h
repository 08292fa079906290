/* What:      a machine that is suspended: the clocks of the test's process, of which one goes on while the other stands still.
 * Owns:      clock_gettime of the whole program; it is included once.
 * May use:   the C library.
 * Threading: any.
 * Spec:      - */
#ifndef PONS_TESTS_SUSPEND_H
#define PONS_TESTS_SUSPEND_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static _Atomic uint64_t suspended_us; /* for so long in all */
static _Atomic uint64_t stall_us;     /* who reads CLOCK_BOOTTIME is held up for so long, once */

static inline void suspend_read(clockid_t clock, struct timespec *ret) {
  syscall(SYS_clock_gettime, clock, ret);
}

static inline void suspend_stall(uint64_t us) {
  struct timespec from, now;

  suspend_read(CLOCK_MONOTONIC, &from);
  do
    suspend_read(CLOCK_MONOTONIC, &now);
  while ((uint64_t)(now.tv_sec - from.tv_sec) * 1000000 + (uint64_t)(now.tv_nsec / 1000) <
         us + (uint64_t)(from.tv_nsec / 1000));
}

/* In place of the C library's. */
int clock_gettime(clockid_t clock, struct timespec *ret) {
  uint64_t ns;

  if (clock == CLOCK_BOOTTIME)
    suspend_stall(atomic_exchange(&stall_us, 0));
  suspend_read(clock, ret);
  if (clock != CLOCK_BOOTTIME)
    return 0;
  ns = (uint64_t)ret->tv_nsec + suspended_us % 1000000 * 1000;
  ret->tv_sec += (time_t)(suspended_us / 1000000 + ns / 1000000000);
  ret->tv_nsec = (long)(ns % 1000000000);
  return 0;
}

/* The machine was suspended just now, for so long. */
static inline void suspend_for(uint64_t us) {
  suspended_us += us;
}

#endif
