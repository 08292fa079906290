/* What:      time for liveness and deadlines: monotonic microseconds, from the kernel or from a test; and whether the machine slept.
 * Owns:      nothing.
 * May use:   the C library.
 * Threading: any; a ClockSleep has one thread; pure rooms take `now_us` as an argument and never ask.
 * Spec:      - */
#ifndef PONS_BASE_CLOCK_H
#define PONS_BASE_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define US_PER_MS UINT64_C(1000)
#define US_PER_S UINT64_C(1000000)
#define TIME_NEVER UINT64_MAX

static inline uint64_t clock_us(clockid_t clock) {
  struct timespec t;

  clock_gettime(clock, &t);
  return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000;
}

/* Microseconds of CLOCK_MONOTONIC, which stands still while the machine is suspended. */
static inline uint64_t clock_monotonic_us(void) {
  return clock_us(CLOCK_MONOTONIC);
}

/* Microseconds of CLOCK_BOOTTIME: the same, and it goes on while the machine is suspended. For what somebody elsewhere counts too. */
static inline uint64_t clock_boottime_us(void) {
  return clock_us(CLOCK_BOOTTIME);
}

/* Microseconds of CLOCK_REALTIME since 1970; for people and for incarnations, never for liveness. */
static inline uint64_t clock_realtime_us(void) {
  return clock_us(CLOCK_REALTIME);
}

/* What is known of how long this machine has been suspended since it was booted: all 0 at first. */
typedef struct ClockSleep {
  bool looked;
  uint64_t most_us; /* not longer than that, when it was looked at */
} ClockSleep;

/* For how long at least the machine has been suspended since the last call; 0 the first time, and when it was not. The two clocks can't be
   read at once, and who is held up between them sees a difference that is none: so what is told is what lies beyond any doubt. */
static inline uint64_t clock_slept_us(ClockSleep *sleep) {
  uint64_t before_us = clock_monotonic_us();
  uint64_t boot_us = clock_boottime_us();
  uint64_t after_us = clock_monotonic_us();
  uint64_t least_us = boot_us > after_us ? boot_us - after_us : 0;
  uint64_t most_us = boot_us + 1 - before_us; /* both were cut to microseconds */
  uint64_t slept_us = sleep->looked && least_us > sleep->most_us ? least_us - sleep->most_us : 0;

  if (!sleep->looked || slept_us || most_us < sleep->most_us)
    sleep->most_us = most_us;
  sleep->looked = true;
  return slept_us;
}

#endif
