/* What:      counts of times by size, for percentiles within 3.2 % whatever their range.
 * Owns:      nothing; fixed size.
 * May use:   base.
 * Threading: one thread; pure.
 * Spec:      the bucket layout of HdrHistogram (Tene), 32 buckets per power of two */
#ifndef PONS_CTL_HISTOGRAM_H
#define PONS_CTL_HISTOGRAM_H

#include "bus/base/types.h"

enum { HISTOGRAM_SUB = 64, HISTOGRAM_BUCKETS = HISTOGRAM_SUB * 40 };

/* All zero is empty. */
typedef struct Histogram {
  uint64_t counts[HISTOGRAM_BUCKETS];
  uint64_t total;
  uint64_t largest;
} Histogram;

/* Counts one value; those of 2^45 and more count as the largest that there is. */
void histogram_push(Histogram *histogram, uint64_t value);
/* The least value that at least `thousandths` of a thousand values don't exceed, rounded up to its bucket's end; 500 = median,
   999 = p99.9. 0 when empty. */
uint64_t histogram_find(const Histogram *histogram, uint32_t thousandths);

#endif
