#include "bus/ctl/histogram.h"

enum { SUB_BITS = 6 };

/* Values below SUB have a bucket each; above, each power of two has SUB / 2 buckets of equal width. */
static uint32_t bucket_of(uint64_t value) {
  uint32_t shift;
  uint64_t index;

  if (value < HISTOGRAM_SUB)
    return (uint32_t)value;
  shift = (uint32_t)(64 - __builtin_clzll(value)) - SUB_BITS;
  index = (uint64_t)shift * (HISTOGRAM_SUB / 2) + (value >> shift);
  return index < HISTOGRAM_BUCKETS ? (uint32_t)index : HISTOGRAM_BUCKETS - 1;
}

static uint64_t bucket_end(uint32_t index) {
  uint32_t shift;
  uint64_t top;

  if (index < HISTOGRAM_SUB)
    return index;
  shift = (index - HISTOGRAM_SUB / 2) / (HISTOGRAM_SUB / 2);
  top = index - (uint64_t)shift * (HISTOGRAM_SUB / 2);
  return ((top + 1) << shift) - 1;
}

void histogram_push(Histogram *histogram, uint64_t value) {
  histogram->counts[bucket_of(value)]++;
  histogram->total++;
  histogram->largest = max_u64(histogram->largest, value);
}

uint64_t histogram_find(const Histogram *histogram, uint32_t thousandths) {
  uint64_t wanted = (histogram->total * thousandths + 999) / 1000;
  uint64_t seen = 0;

  for (uint32_t i = 0; histogram->total && i < HISTOGRAM_BUCKETS; i++) {
    seen += histogram->counts[i];
    if (seen && seen >= wanted)
      return min_u64(bucket_end(i), histogram->largest);
  }
  return histogram->largest;
}
