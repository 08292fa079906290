/* What:      which process of the supervisor is which instance at the broker, and what it offers there.
 * Owns:      nothing.
 * May use:   base, jansson.
 * Threading: any; pure.
 * Spec:      docs/pons.1.md, "status" */
#ifndef PONS_CTL_JOIN_H
#define PONS_CTL_JOIN_H

#include <jansson.h>
#include <stdbool.h>

/* Adds to each process of supervisor (fleet_describe's JSON) `instance`, "name:client" or empty, and `services`, a list
   of names, from the replies of pons.registry and pons.connections; either may be NULL. A connection belongs to the process
   with its pid, or, when its peer told none, to one of its agent's processes that has no other. */
void join_instances(json_t *supervisor, const json_t *registry, const json_t *connections);

/* True when process is ready and no broker, and no instance at the broker is it. */
bool join_is_missing(const json_t *process);

#endif
