#include "bus/client/retry.h"

void retry_init(RetryBudget *budget) {
  budget->tokens_x10 = RETRY_TOKENS_X10;
}

void retry_count(RetryBudget *budget, Status status) {
  if (status == STATUS_OK)
    budget->tokens_x10 = (uint32_t)min_u64(RETRY_TOKENS_X10, budget->tokens_x10 + RETRY_SUCCESS_X10);
  else if (status_retry(status) != RETRY_NEVER)
    budget->tokens_x10 -= (uint32_t)min_u64(RETRY_FAILURE_X10, budget->tokens_x10);
}

bool retry_has_budget(const RetryBudget *budget) {
  return budget->tokens_x10 > RETRY_TOKENS_X10 / 2;
}

bool retry_may(Status status, bool idempotent, bool sent_again) {
  switch (status_retry(status)) {
  case RETRY_KNOWN:
  case RETRY_LATER:
    return idempotent || !sent_again;
  case RETRY_UNSURE:
    return idempotent;
  case RETRY_NEVER:
  default:
    return false;
  }
}

uint64_t retry_wait_us(uint32_t n, uint64_t retry_after_us, uint64_t random) {
  uint64_t largest = n < 8 ? min_u64(RETRY_LONGEST_US, (uint64_t)RETRY_FIRST_US << (n - 1)) : RETRY_LONGEST_US;

  return retry_after_us + random % (largest + 1);
}
