#include "bus/client/prefer.h"

#include "bus/base/clock.h"

void prefer_up(Prefer *prefer, uint64_t now_us) {
  if (prefer->up_us == 0)
    prefer->up_us = now_us;
}

void prefer_lost(Prefer *prefer, uint64_t now_us) {
  if (prefer->up_us == 0)
    return;
  if (now_us - prefer->up_us >= TIME_RETURN_LONGEST_US)
    prefer->losses = 0;
  prefer->losses++;
  prefer->up_us = 0;
}

uint64_t prefer_return_us(const Prefer *prefer) {
  uint64_t wait_us = TIME_RETURN_FIRST_US;

  if (prefer->up_us == 0)
    return TIME_NEVER;
  if (prefer->losses == 0)
    return prefer->up_us;
  for (uint32_t i = 1; i < prefer->losses && wait_us < TIME_RETURN_LONGEST_US; i++)
    wait_us *= 2;
  return prefer->up_us + min_u64(wait_us, TIME_RETURN_LONGEST_US);
}
