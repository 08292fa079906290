#include "bus/loop/notify.h"

#include <systemd/sd-daemon.h>

static LoopTimer *watchdog;
static uint64_t interval_us;

void notify_ready(const char *status) {
  sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void notify_stopping(void) {
  sd_notify(0, "STOPPING=1");
}

static void on_watchdog(void *userdata, uint64_t now_us) {
  (void)userdata;
  sd_notify(0, "WATCHDOG=1");
  loop_timer_set(watchdog, now_us + interval_us);
}

int watchdog_start(Loop *loop) {
  uint64_t limit_us = 0;
  int r = sd_watchdog_enabled(0, &limit_us);

  if (r <= 0)
    return r;
  interval_us = limit_us / 2;
  r = loop_timer_new(loop, on_watchdog, NULL, &watchdog);
  if (r == 0)
    on_watchdog(NULL, loop_now_us(loop));
  return r;
}
