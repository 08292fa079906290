/* What:      which processes an upgrade replaces and in which order, and whether one broker may be without the other.
 * Owns:      nothing.
 * May use:   base, jansson.
 * Threading: any; pure.
 * Spec:      docs/adr/0037-rolling-upgrade.md */
#ifndef PONS_CTL_UPGRADE_H
#define PONS_CTL_UPGRADE_H

#include <jansson.h>

#include "bus/base/buffer.h"

enum { UPGRADE_E_NAME = 1 /* the fleet has no such process */ };

/* The supervisor of a fleet (the answer to `status`) as one more of its processes, called supervisor; NULL when it is of a version
   that can't be replaced. The caller owns the reference. */
json_t *upgrade_supervisor(const json_t *fleet);
/* Whether this process is that. */
bool upgrade_is_supervisor(const json_t *process);

/* Of processes (fleet_describe's) those that are named, by their own name or their agent's; none named = all. The supervisor comes
   first, for it starts all others; then brokers, for a broker speaks the protocol of the version before; leader (a process's name, "" = none) is the last of them, so that
   leadership moves once. Returns 0 and gives the caller the reference in *ret; UPGRADE_E_NAME: errors says which, *ret is left
   alone. */
int upgrade_choose(const json_t *processes, const char *const *names, uint32_t count, const char *leader, json_t **ret,
                   Buffer *errors);

/* Appends what is not as it should be before a broker may stop: a line for each instance that one of two registries
   (pons.registry's replies) has and the other has not, or not in the same state. here and there are the brokers' names. Appends nothing when all is well. */
void upgrade_compare(const json_t *registry_here, const char *here, const json_t *registry_there, const char *there,
                     Buffer *ret);

/* The name of the program at the end of a path. */
const char *upgrade_base(const char *path);

#endif
