/* What:      the seam at which tests put a journal of their own, since the real one's address is fixed.
 * Owns:      nothing.
 * May use:   the C library.
 * Threading: set before the first line.
 * Spec:      journal.h */
#ifndef PONS_LOOP_JOURNAL_INTERNAL_H
#define PONS_LOOP_JOURNAL_INTERNAL_H

#include <sys/uio.h>

/* Replaces sd_journal_sendv, which has the same form; NULL brings it back. Called on the writer thread. */
void journal_use_sender(int (*send)(const struct iovec *fields, int count));

#endif
