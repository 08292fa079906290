/* What:      the sockets that the supervisor listens at for an agent, so that they are there while the agent is replaced.
 * Owns:      the sockets.
 * May use:   base, loop.
 * Threading: the loop thread.
 * Spec:      docs/adr/0037-rolling-upgrade.md */
#ifndef PONS_CTL_DOORS_H
#define PONS_CTL_DOORS_H

#include "bus/base/buffer.h"
#include "bus/ctl/environment.h"
#include "bus/ctl/spawn.h"

enum { DOORS_MAX = 16, DOORS_E_LISTEN = 1 /* an endpoint can't be listened at */ };

/* All zero has none. */
typedef struct Doors {
  int fds[DOORS_MAX];
  uint32_t count;
} Doors;

/* Listens at endpoints, unless it does already; one with any port (*) is left to the agent. Returns 0; DOORS_E_LISTEN: errors says at which
   and why, and none is open. */
int doors_open(Doors *doors, char *const *endpoints, uint32_t count, Buffer *errors);
/* Closes them. Usable as _cleanup_. */
void doors_close(Doors *doors);
/* Hands them down to the process that spawn starts, in environment, which is spawn's. Call when environment is complete. */
void doors_hand_down(const Doors *doors, Environment *environment, Spawn *spawn);

#endif
