#include "agents/executor/backoff.h"

void backoff_init(BackoffBudget *budget) {
  budget->tokens_x10 = BACKOFF_TOKENS_X10;
}

void backoff_earn(BackoffBudget *budget) {
  budget->tokens_x10 = (uint32_t)min_u64(BACKOFF_TOKENS_X10, budget->tokens_x10 + BACKOFF_SUCCESS_X10);
}

uint64_t backoff_jitter_us(uint64_t first_us, uint64_t longest_us, uint32_t failures, uint64_t random) {
  uint64_t most = longest_us;

  if (failures < 32 && first_us << failures < longest_us)
    most = first_us << failures;
  return random % (most + 1);
}

bool backoff_step(BackoffBudget *budget, const BackoffAsk *ask, uint64_t *ret_wait_us) {
  uint64_t wait_us;

  if (ask->tries >= ask->tries_most || budget->tokens_x10 < BACKOFF_RETRY_X10 || ask->retry_after_us > ask->longest_us)
    return false;
  wait_us = ask->retry_after_us + backoff_jitter_us(BACKOFF_FIRST_US, ask->longest_us, ask->tries - 1, ask->random);
  if (wait_us >= ask->left_us)
    return false;
  budget->tokens_x10 -= BACKOFF_RETRY_X10;
  *ret_wait_us = wait_us;
  return true;
}
