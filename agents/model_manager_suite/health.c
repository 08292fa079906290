#include "agents/model_manager_suite/health.h"

void health_settle(Health *health, bool failed, uint64_t now_us) {
  health->is_measured = true;
  health->ended_us = now_us;
  if (!failed) {
    health->failures = 0;
    health->backoff_us = 0;
    return;
  }
  if (health->failures < UINT32_MAX)
    health->failures++;
  if (health->failures < HEALTH_FAILURES)
    return;
  health->backoff_us = health->backoff_us ? min_u64(2 * health->backoff_us, HEALTH_BACKOFF_MAX_US) : HEALTH_BACKOFF_US;
  health->retry_us = max_u64(health->retry_us, now_us + health->backoff_us);
}

void health_try(Health *health, uint64_t now_us) {
  if (health->backoff_us)
    health->retry_us = max_u64(health->retry_us, now_us + health->backoff_us);
}

HealthState health_state(const Health *health, uint64_t now_us) {
  if (health->backoff_us)
    return HEALTH_DOWN;
  if (!health->is_measured || now_us - health->ended_us > HEALTH_MEMORY_US)
    return HEALTH_UNMEASURED;
  return HEALTH_UP;
}

bool health_is_behind(const Health *health, uint64_t now_us) {
  return health->backoff_us && now_us < health->retry_us;
}

const char *health_state_name(HealthState state) {
  static const char *const names[] = {"unmeasured", "up", "down"};

  return names[state];
}
