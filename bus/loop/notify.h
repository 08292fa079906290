/* What:      what a process says to whoever started it, systemd or `pons up`: ready, status, stopping, still turning.
 * Owns:      nothing; the watchdog's timer belongs to the loop.
 * May use:   bus/base, libsystemd's sd-daemon.
 * Threading: notify_* any; watchdog_start the loop thread.
 * Spec:      sd_notify(3), sd_watchdog_enabled(3) */
#ifndef PONS_LOOP_NOTIFY_H
#define PONS_LOOP_NOTIFY_H

#include "bus/loop/loop.h"

/* Says READY=1 and a status line (NULL = none): once sockets are bound and state is loaded. Nothing happens without
   NOTIFY_SOCKET in the environment; this holds for all four. One datagram, does not block for long. */
void notify_ready(const char *status);
/* Says what the process is doing, one line; what follows a line break is cut off. */
void notify_status(const char *format, ...) _printf_(1, 2);
/* Says that the process has begun to stop. */
void notify_stopping(void);

/* Pings WATCHDOG=1 from the loop at half of WATCHDOG_USEC, so that a loop that hangs is killed with SIGABRT and leaves a
   crash record. Returns 0, also when nobody watches; -EINVAL when WATCHDOG_USEC is no number, -EALREADY when this loop
   pings, -ENOMEM. */
int watchdog_start(Loop *loop);

#endif
