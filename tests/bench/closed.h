/* What:      a load of N requests outstanding, each sent again as soon as it has its answer: clock, counts, latencies.
 * Owns:      a Closed its times and histograms.
 * May use:   the C library, tests/bench/histogram.
 * Threading: one thread.
 * Spec:      docs/benchmarks.md, "The adapter" */
#ifndef PONS_TESTS_BENCH_CLOSED_H
#define PONS_TESTS_BENCH_CLOSED_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/histogram.h"

typedef struct Closed {
  uint32_t outstanding;
  uint64_t warm_ns, measure_ns;
  uint64_t most; /* answers after which the window ends too; 0: the clock alone ends it */
  uint64_t from_ns, until_ns;
  uint64_t *sent_at_ns; /* one per slot */
  bool *heard;          /* of this answer something has come */
  uint64_t sent, received, failed;
  Histogram whole, first; /* to the end of an answer; to its first bytes */
} Closed;

/* Fills load from three words: OUTSTANDING WARM_MS MEASURE_MS, that with ":N" behind it for at most N answers. Returns 0, or -EINVAL after saying what is wrong; closed_done in
   either case. */
int closed_init(Closed *load, char **words);
/* Frees. */
void closed_done(Closed *load);
/* Prints "ready", waits for a line on stdin and starts the clock. Returns 0, or -EPIPE when whoever started this is gone. */
int closed_begin(Closed *load);
/* The request of slot is sent now. */
void closed_sent(Closed *load, uint32_t slot);
/* Something of its answer has come. */
void closed_heard(Closed *load, uint32_t slot);
/* Its answer is whole, or has failed. Returns whether the slot is to be sent again. */
bool closed_ended(Closed *load, uint32_t slot, bool good);
/* Whether all that was sent has ended. */
bool closed_is_over(const Closed *load);
/* Milliseconds until grace_ms after the end of the window, 0 when that is over. */
int closed_left_ms(const Closed *load, uint32_t grace_ms);
/* One line of JSON on stdout: sent, received, failed, count, seconds, histogram, first. Then waits for the end of stdin, so that
   this process can still be looked at. */
void closed_print(const Closed *load);

#endif
