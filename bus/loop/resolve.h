/* What:      a host's name becomes an address, on a thread of its own: the C library's resolver blocks.
 * Owns:      a Resolve owns its descriptor; the thread shares it.
 * May use:   base, loop.
 * Threading: the loop thread; on_done too.
 * Spec:      getaddrinfo(3) */
#ifndef PONS_LOOP_RESOLVE_H
#define PONS_LOOP_RESOLVE_H

#include <sys/socket.h>

#include "bus/loop/loop.h"

typedef struct Resolve Resolve;

/* error: 0 or -errno: -ENOENT for a name that nobody knows, -EAGAIN when the name servers do not answer. address is borrowed. */
typedef void OnResolved(void *userdata, int error, const struct sockaddr *address, socklen_t size);

/* Asks for the first address of a host. Returns 0, and on_done comes once unless the Resolve is destroyed before; or -errno. */
int resolve_new(Loop *loop, const char *host, OnResolved *on_done, void *userdata, Resolve **ret);
/* Nobody waits any more, also from inside on_done. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void resolve_destroy(Resolve **resolve);

/* The same without a loop, for what is done once at a start: blocks. Returns 0 or -errno. */
int resolve_now(const char *host, struct sockaddr_storage *ret, socklen_t *ret_size);

#endif
