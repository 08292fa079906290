/* What:      the load that every client makes: N requests outstanding, a warm-up, a measured window, a drain.
 * Owns:      the time each slot was sent at, and the histogram.
 * May use:   the C library, tests/bench/histogram.
 * Threading: one thread.
 * Spec:      docs/benchmarks.md, "The load" */
#ifndef PONS_TESTS_BENCH_LOAD_H
#define PONS_TESTS_BENCH_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/bench/histogram.h"

#define LOAD_HEAD_BYTES 16u  /* the smallest body: where it came from, and its slot */
#define LOAD_SILENCE_MS 3000 /* no reply for so long: what is outstanding counts as lost */
#define LOAD_BODY_MAX (64u << 10)

/* What stands at the start of each body, in the byte order of this machine. */
typedef struct LoadHead {
  uint32_t client; /* whom the reply goes to; a broker of a peer may write it */
  uint32_t kind;   /* free for the peer */
  uint32_t slot;   /* which of the outstanding requests this is */
  uint32_t unused;
} LoadHead;

typedef struct Load {
  const char *endpoint;
  uint32_t client; /* 0, 1, ...: one number per client process */
  uint32_t outstanding;
  uint32_t size_bytes;
  uint64_t warm_ns;
  uint64_t measure_ns;
  uint64_t from_ns;
  uint64_t until_ns;
  uint64_t *sent_at_ns; /* one per slot */
  uint64_t sent;
  uint64_t received;
  char *body; /* size_bytes long; the head is set by load_body */
  Histogram histogram;
} Load;

/* Fills `load` from `PROGRAM ENDPOINT CLIENT OUTSTANDING SIZE_BYTES WARM_MS MEASURE_MS`. 0, or -EINVAL after saying on
   stderr what is wrong; load_done in either case. */
int load_init(Load *load, int argc, char **argv);
void load_done(Load *load);

/* Prints "ready" and waits for a line on stdin, then starts the clock; to be called when one request has been answered.
   0, or -EPIPE when whoever started this process is gone. */
int load_ready(Load *load);

/* The body to send in `slot`, size_bytes long, valid until the next call; `kind` goes into its head. */
const char *load_body(Load *load, uint32_t slot, uint32_t kind);

/* Counts the request of `slot` as sent now. */
void load_sent(Load *load, uint32_t slot);

/* Counts the reply whose body is given, at the time it is called. True: send the slot again, it is already counted as
   sent (one reading of the clock serves for both). A body that is none of ours is ignored. */
bool load_reply(Load *load, const void *body, size_t size, uint32_t *ret_slot);

/* True when all that was sent has been answered. */
bool load_finished(const Load *load);

/* One line of JSON on stdout: sent, received, count, seconds, p50_us, p99_us, p999_us, histogram. */
void load_print(const Load *load);

#endif
