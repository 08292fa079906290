/* What:      time for liveness and deadlines: monotonic microseconds, from the kernel or from a test.
 * Owns:      nothing.
 * May use:   the C library.
 * Threading: clock_monotonic_us from any; pure rooms take `now_us` as an argument and never ask.
 * Spec:      - */
#ifndef PONS_BASE_CLOCK_H
#define PONS_BASE_CLOCK_H

#include <stdint.h>
#include <time.h>

#define US_PER_MS UINT64_C(1000)
#define US_PER_S UINT64_C(1000000)
#define TIME_NEVER UINT64_MAX

/* Microseconds of CLOCK_MONOTONIC. */
static inline uint64_t clock_monotonic_us(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000;
}

/* Microseconds of CLOCK_REALTIME since 1970; for people and for incarnations, never for liveness. */
static inline uint64_t clock_realtime_us(void) {
  struct timespec t;

  clock_gettime(CLOCK_REALTIME, &t);
  return (uint64_t)t.tv_sec * US_PER_S + (uint64_t)t.tv_nsec / 1000;
}

#endif
