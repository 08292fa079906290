#include "tests/bench/histogram.h"

#include <stdbool.h>

/* Values below 128 have a bucket each; above, the six bits behind the leading one choose within the octave. */
static uint32_t bucket_of(uint64_t value) {
  if (value < 128)
    return (uint32_t)value;

  uint32_t shift = 63u - (uint32_t)__builtin_clzll(value) - 6u;

  return (shift << 6) + (uint32_t)(value >> shift);
}

static uint64_t upper_edge(uint32_t bucket) {
  if (bucket < 128)
    return bucket;

  uint32_t shift = (bucket >> 6) - 1;

  return ((uint64_t)(bucket - (shift << 6) + 1) << shift) - 1;
}

void histogram_add(Histogram *histogram, uint64_t value_ns) {
  histogram->counts[bucket_of(value_ns)]++;
  histogram->total++;
}

uint64_t histogram_percentile_ns(const Histogram *histogram, double share) {
  uint64_t wanted = (uint64_t)((double)histogram->total * share);
  uint64_t seen = 0;

  for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
    seen += histogram->counts[i];
    if (seen > wanted)
      return upper_edge(i);
  }
  return histogram->total ? upper_edge(HISTOGRAM_BUCKETS - 1) : 0;
}

void histogram_print(const Histogram *histogram, FILE *out) {
  bool first = true;

  fputc('[', out);
  for (uint32_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
    if (!histogram->counts[i])
      continue;
    fprintf(out, "%s[%llu,%llu]", first ? "" : ",", (unsigned long long)upper_edge(i),
            (unsigned long long)histogram->counts[i]);
    first = false;
  }
  fputc(']', out);
}
