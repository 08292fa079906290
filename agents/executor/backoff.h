/* What:      whether and when one provider is asked again: exponential back-off with full jitter, a budget, the deadline.
 * Owns:      nothing.
 * May use:   base.
 * Threading: one thread per budget; pure.
 * Spec:      M. Brooker, "Exponential Backoff And Jitter" (full jitter); gRPC proposal A6, "Throttling Retry Attempts" */
#ifndef PONS_EXECUTOR_BACKOFF_H
#define PONS_EXECUTOR_BACKOFF_H

#include "bus/base/types.h"

enum {
  BACKOFF_FIRST_US = 250000, /* the first wait is up to this, each further one up to twice the one before */
  BACKOFF_TOKENS_X10 = 100,  /* a full budget: ten tokens, counted in tenths */
  BACKOFF_RETRY_X10 = 10,    /* what asking again costs */
  BACKOFF_SUCCESS_X10 = 1,   /* what an answer brings back: in the long run one retry for ten answers */
};

/* Shared by all requests to a provider. */
typedef struct BackoffBudget {
  uint32_t tokens_x10;
} BackoffBudget;

/* A full budget. */
void backoff_init(BackoffBudget *budget);
/* A request to the provider was answered. */
void backoff_earn(BackoffBudget *budget);

/* Any time up to first_us doubled failures times, at most longest_us; by random. */
uint64_t backoff_jitter_us(uint64_t first_us, uint64_t longest_us, uint32_t failures, uint64_t random);

/* One that has failed. */
typedef struct BackoffAsk {
  uint32_t tries;          /* so far, 1 or more */
  uint32_t tries_most;     /* all together */
  uint64_t longest_us;     /* no wait of ours is longer, and one that a provider asks for is not kept above it */
  uint64_t retry_after_us; /* what the provider asks for; 0 = nothing */
  uint64_t left_us;        /* until the caller's deadline */
  uint64_t random;
} BackoffAsk;

/* Whether it is to be asked again: tries are left, the budget has a token, which is then spent, the provider does not ask for
   more than longest_us, and the wait fits into the time that is left. Sets *ret_wait_us then: what the provider asks for and
   a jitter behind it; else nothing is spent. */
bool backoff_step(BackoffBudget *budget, const BackoffAsk *ask, uint64_t *ret_wait_us);

#endif
