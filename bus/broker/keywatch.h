/* What:      notices that keys.yaml was changed: by its folder, and by SIGHUP.
 * Owns:      an inotify descriptor.
 * May use:   base, loop.
 * Threading: the loop thread.
 * Spec:      inotify(7); docs/adr/0034-keys-and-rights.md */
#ifndef PONS_BROKER_KEYWATCH_H
#define PONS_BROKER_KEYWATCH_H

#include "bus/loop/loop.h"

typedef struct KeyWatch KeyWatch;

/* Watches the folder for a keys.yaml that was written or moved to its place; on_change reads it. Once per loop. Returns 0 and the caller
   owns *ret, or negative errno. */
int keywatch_new(KeyWatch **ret, Loop *loop, const char *folder, void (*on_change)(void *userdata), void *userdata);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void keywatch_destroy(KeyWatch **watch);

#endif
