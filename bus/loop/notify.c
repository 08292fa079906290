#include "bus/loop/notify.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "bus/loop/loop-internal.h"

static int line_length(const char *text) {
  return (int)strcspn(text, "\n");
}

void notify_ready(const char *status) {
  if (status)
    sd_notifyf(0, "READY=1\nSTATUS=%.*s", line_length(status), status);
  else
    sd_notify(0, "READY=1");
}

void notify_status(const char *format, ...) {
  char status[256];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(status, sizeof status, format, arguments);
  va_end(arguments);
  sd_notifyf(0, "STATUS=%.*s", line_length(status), status);
}

void notify_stopping(void) {
  sd_notify(0, "STOPPING=1");
}

static void on_watchdog(void *userdata, uint64_t now_us) {
  Loop *loop = userdata;

  sd_notify(0, "WATCHDOG=1");
  loop_timer_set(loop->watchdog, now_us + loop->watchdog_us);
}

int watchdog_start(Loop *loop) {
  uint64_t period_us;
  int r = sd_watchdog_enabled(0, &period_us);

  if (r <= 0)
    return r;
  if (loop->watchdog)
    return -EALREADY;
  r = loop_timer_new(loop, on_watchdog, loop, &loop->watchdog);
  if (r < 0)
    return r;
  loop->watchdog_us = period_us / 2;
  loop_timer_set(loop->watchdog, 0);
  return 0;
}
