/* What:      where the lines of bus/base/log go: the journal with its fields when standard error is connected to it, else
 *            plain lines on standard error.
 * Owns:      the process's log ring and its writer thread, both made with the first line for the journal.
 * May use:   bus/base, libsystemd's sd-journal.
 * Threading: set-up once in main; log_event from any thread after it.
 * Spec:      docs/adr/0005-logging.md; sd_journal_sendv(3); JOURNAL_STREAM in systemd.exec(5) */
#ifndef PONS_LOOP_JOURNAL_H
#define PONS_LOOP_JOURNAL_H

#include "bus/base/log.h"

/* Sets level and sink of the process, and name as the SYSLOG_IDENTIFIER or the prefix of each line. Lines for the journal go
   through a ring of 256 and a thread, so that a stuck journal stops nobody: what does not fit is dropped, counted and said.
   What lies in the ring at exit(3) is given half a second. name is copied. */
void log_setup_process(const char *name, LogLevel level);
/* Waits until the ring is empty, for at most timeout_ms. Returns 0 or -ETIMEDOUT. Blocks. */
int log_flush(uint64_t timeout_ms);
/* Lines dropped since the start of the process. */
uint64_t log_dropped(void);

#endif
