/* What:      latencies counted in buckets whose width is 1/64 of their octave, so a percentile is right within 1.6 %.
 * Owns:      its counters; a Histogram lies inside its user, no memory elsewhere.
 * May use:   the C library.
 * Threading: one thread.
 * Spec:      docs/benchmarks.md, "Latency" */
#ifndef PONS_TESTS_BENCH_HISTOGRAM_H
#define PONS_TESTS_BENCH_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define HISTOGRAM_BUCKETS (59u * 64u)

typedef struct Histogram {
  uint64_t counts[HISTOGRAM_BUCKETS];
  uint64_t total;
} Histogram;

/* Counts one value, in nanoseconds. */
void histogram_add(Histogram *histogram, uint64_t value_ns);

/* The value below which `share` (0 to 1) of all values lie: the upper edge of that bucket, in nanoseconds; 0 when
   nothing was counted. */
uint64_t histogram_percentile_ns(const Histogram *histogram, double share);

/* Writes the buckets that are not empty as a JSON list of [upper edge in ns, count], for whoever adds several up. */
void histogram_print(const Histogram *histogram, FILE *out);

#endif
