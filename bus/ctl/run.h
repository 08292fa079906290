/* What:      the supervisor process: one loop with a fleet, its control socket, its signals and its output.
 * Owns:      all of these while run_fleet runs.
 * May use:   base, loop, config.
 * Threading: the main thread.
 * Spec:      docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_RUN_H
#define PONS_CTL_RUN_H

#include "bus/ctl/folder.h"
#include "bus/ctl/output.h"
#include "bus/ctl/plan.h"

#include <jansson.h>

typedef struct RunReport {
  /* Once, when the fleet has settled: fleet_describe's JSON, borrowed. */
  void (*on_settled)(void *userdata, const json_t *description);
  void *userdata;
} RunReport;

/* Starts the plan's processes and keeps them running until SIGINT, SIGTERM, SIGHUP or `pons down`; a second signal kills.
   A broker that can't be started ends it too. Everything that is written goes to output. Returns 0 after an orderly
   end, 1 when the broker never became ready, negative errno when the supervisor could not be set up. Blocks. */
int run_fleet(const Plan *plan, const Folder *folder, Output *output, const RunReport *report);

#endif
