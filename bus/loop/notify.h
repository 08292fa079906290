/* What:      readiness and life signs for who supervises this process: sd_notify, from the loop that does the work.
 * Owns:      the watchdog's timer, for the life of the loop.
 * May use:   base; libsystemd.
 * Threading: the loop thread.
 * Spec:      sd_notify(3), sd_watchdog_enabled(3) */
#ifndef PONS_LOOP_NOTIFY_H
#define PONS_LOOP_NOTIFY_H

#include "bus/loop/loop.h"

/* Says READY=1 and STATUS=status. Nothing happens without NOTIFY_SOCKET. */
void notify_ready(const char *status);
/* Says STOPPING=1. */
void notify_stopping(void);
/* Says WATCHDOG=1 at half of WATCHDOG_USEC from the loop. Returns 0, also when nobody watches, or negative errno. */
int watchdog_start(Loop *loop);

#endif
