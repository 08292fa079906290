/* What:      a Supervisor as JSON, and back, for the program that goes on where this one stops.
 * Owns:      nothing.
 * May use:   base, jansson.
 * Threading: one thread; pure.
 * Spec:      docs/adr/0037-rolling-upgrade.md, "The supervisor itself" */
#ifndef PONS_CTL_SUPERVISE_STATE_H
#define PONS_CTL_SUPERVISE_STATE_H

#include <jansson.h>

#include "bus/ctl/supervise.h"

/* What is of no child: stage and the budgets of groups. The caller owns the reference. */
json_t *supervise_save(const Supervisor *supervisor);
/* What is of one child. The caller owns the reference. */
json_t *supervise_save_child(const Supervisor *supervisor, uint32_t child);

/* Take what these wrote, on a supervisor on which no step was taken. Budgets of which the number has changed begin anew. Return 0;
   -EINVAL when a member is not there or is nonsense, and the supervisor is of no use. */
int supervise_load(Supervisor *supervisor, const json_t *from);
int supervise_load_child(Supervisor *supervisor, uint32_t child, const json_t *from);

#endif
