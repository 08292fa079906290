/* What:      knocks at a TCP port to see whether anybody listens: a refused connection from a host that is there proves that
 *            the process is not.
 * Owns:      the connection that is being tried.
 * May use:   base, loop.
 * Threading: the loop thread.
 * Spec:      docs/authority.md, "Votes" */
#ifndef PONS_BROKER_KNOCK_H
#define PONS_BROKER_KNOCK_H

#include "bus/loop/loop.h"

typedef struct Knock Knock;

typedef struct KnockHandler {
  /* The port refused a connection that was tried at sent_us. Never from inside knock_try. */
  void (*on_refused)(void *userdata, uint64_t sent_us);
  void *userdata;
} KnockHandler;

/* Makes one for an endpoint "tcp://ADDRESS:PORT" with a numeric address. Returns 0, or -EINVAL when it is not of that form. */
int knock_new(Knock **ret, Loop *loop, const char *endpoint, const KnockHandler *handler);
/* Gives up what is being tried. Takes NULL, nulls the pointer. */
void knock_destroy(Knock **knock);
/* Tries to connect, unless a try of the last 200 ms has not ended; a connection that is made is closed at once. Does not block. */
void knock_try(Knock *knock, uint64_t now_us);

#endif
