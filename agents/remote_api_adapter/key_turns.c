#include "agents/remote_api_adapter/key_turns.h"

#include "bus/base/clock.h"

int key_turns_pick(const KeyTurn *turns, uint32_t count, int last, uint32_t tried, bool any, uint64_t now_us) {
  int first = KEY_NONE;

  for (uint32_t n = 1; n <= count; n++) {
    uint32_t i = (uint32_t)((last < 0 ? -1 : last) + (int)n) % count;

    if (!turns[i].is_there || tried >> i & 1)
      continue;
    if (turns[i].until_us <= now_us)
      return (int)i;
    if (first == KEY_NONE || turns[i].until_us < turns[first].until_us)
      first = (int)i;
  }
  return any ? first : KEY_NONE;
}

/* A key that is not taken stays so until somebody acts; a rate is soon over. */
static uint64_t wait_us(Cause cause, uint32_t failures) {
  uint64_t first_us = (cause == CAUSE_RATE_LIMIT ? 1 : 30) * US_PER_S;
  uint64_t longest_us = (cause == CAUSE_RATE_LIMIT ? 60 : 600) * US_PER_S;

  return failures < 16 ? min_u64(first_us << failures, longest_us) : longest_us;
}

void key_turns_fail(KeyTurn *turn, Cause cause, uint64_t retry_after_us, uint64_t now_us) {
  uint64_t until_us = now_us + max_u64(retry_after_us, wait_us(cause, turn->failures));

  turn->cause = cause;
  turn->failures += turn->failures < UINT32_MAX;
  turn->until_us = max_u64(turn->until_us, until_us);
}

void key_turns_heal(KeyTurn *turn) {
  turn->failures = 0;
  turn->until_us = 0;
}
