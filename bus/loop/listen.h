/* What:      listening TCP sockets for what is no ZeroMQ: made here, or handed down by who started the process.
 * Owns:      nothing: a descriptor belongs to who asked for it.
 * May use:   the C library, libsystemd's sd-daemon.
 * Threading: any; resolving a name blocks.
 * Spec:      sd_listen_fds(3); docs/adr/0037-rolling-upgrade.md */
#ifndef PONS_LOOP_LISTEN_H
#define PONS_LOOP_LISTEN_H

#include "bus/base/types.h"

enum { LISTEN_E_NONE = 1 /* nothing like that was handed down */ };

/* Listens at tcp://HOST:PORT, HOST a name, an address, [an address] or *, PORT a number or * for any. Returns 0 and gives the caller
   *ret, which is non-blocking and closed on exec; -EADDRNOTAVAIL for a HOST that is not to be resolved, or another negative errno. */
int listen_open(const char *endpoint, int *ret);
/* The socket for this endpoint that the service manager (systemd, `pons up`) has opened and handed down: who is started beside it gets
   the same one, so that nobody who connects is refused while one takes the other's place. A second call for it gives a
   copy. Returns 0 and gives the caller *ret; LISTEN_E_NONE; negative errno as above. */
int listen_inherited(const char *endpoint, int *ret);

#endif
