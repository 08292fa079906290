/* What:      the socket on which children say READY=1, STATUS=, STOPPING=1, WATCHDOG=1, as to systemd.
 * Owns:      the socket and its file.
 * May use:   base.
 * Threading: one thread.
 * Spec:      sd_notify(3) */
#ifndef PONS_CTL_NOTIFY_H
#define PONS_CTL_NOTIFY_H

#include <sys/types.h>

#include "bus/base/types.h"

enum { NOTIFY_STATUS_BYTES = 256 };

/* What one datagram said, and which process sent it (the kernel's word, not the sender's). */
typedef struct NotifyMessage {
  pid_t pid;
  bool ready;
  bool stopping;
  bool beat; /* WATCHDOG=1 */
  bool hung; /* WATCHDOG=trigger: treat it as if it had stopped beating */
  bool has_status;
  char status[NOTIFY_STATUS_BYTES]; /* cut to fit, control characters as '?' */
} NotifyMessage;

/* Makes the socket at path, in place of what is there. Returns 0 and gives the caller *ret; -ENAMETOOLONG when path is
   over 107 bytes, or another negative errno. The caller removes the file. */
int notify_open(const char *path, int *ret);
/* Takes one datagram without waiting. Descriptors that come with it are closed. Returns 0; -EAGAIN when none is there;
   -EBADMSG for one that says nothing known or has no sender (it is consumed); *ret is then left alone. */
int notify_receive(int fd, NotifyMessage *ret);
/* Reads the text of a datagram: lines of NAME=value, unknown names are skipped. Returns false when nothing is known. */
bool notify_parse(Text text, NotifyMessage *ret);

#endif
