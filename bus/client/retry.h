/* What:      whether and when a request that failed is asked again: a token bucket, and exponential back-off with jitter.
 * Owns:      nothing.
 * May use:   wire (statuses).
 * Threading: one thread per budget; pure.
 * Spec:      gRPC proposal A6, "Throttling Retry Attempts"; M. Brooker, "Exponential Backoff And Jitter" (full jitter) */
#ifndef PONS_CLIENT_RETRY_H
#define PONS_CLIENT_RETRY_H

#include "bus/wire/header.h"

enum {
  RETRY_TOKENS_X10 = 100, /* a full budget: ten tokens, counted in tenths */
  RETRY_FAILURE_X10 = 10, /* what a failure that could be retried costs */
  RETRY_SUCCESS_X10 = 1,  /* what a success brings back */
  RETRY_FIRST_US = 20000, /* the back-off before the first retry is up to this, then doubled */
  RETRY_LONGEST_US = 1000000,
};

/* Shared by all requests of a client, so that a broker in trouble is not given several times its load. */
typedef struct RetryBudget {
  uint32_t tokens_x10;
} RetryBudget;

/* A full budget. */
void retry_init(RetryBudget *budget);
/* Counts an answer. Failures of the caller's own (INVALID and the like) are no failures here. */
void retry_count(RetryBudget *budget, Status status);
/* True while more than half of the budget is left. */
bool retry_has_budget(const RetryBudget *budget);
/* True when the status lets a request be asked again under a new id. sent_again: this id was sent more than once, so that
   "it took no effect" is not known any more. */
bool retry_may(Status status, bool idempotent, bool sent_again);
/* How long to wait before retry number n (1, 2, …): 0 to 20 ms * 2^(n-1), at most 1 s, by random; after what the other
   side asked for, if it did. */
uint64_t retry_wait_us(uint32_t n, uint64_t retry_after_us, uint64_t random);

#endif
