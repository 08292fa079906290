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

/* How a supervisor begins. */
typedef struct RunStart {
  const char *const *arguments; /* of the command line, with which a successor is executed */
  int lock;                     /* the descriptor of the lock on folder->pid, for that one */
  const json_t *state;          /* of the supervisor before, in this process; NULL = there was none */
} RunStart;

/* Starts the plan's processes and keeps them running until SIGINT, SIGTERM, SIGHUP or `pons down`; a second signal kills.
   A broker that can't be started ends it too. With a state, which run_check has taken, it goes on with the processes of that one.
   Everything that is written goes to output. Returns 0 after an orderly
   end, 1 when the broker never became ready, negative errno when the supervisor could not be set up. Blocks; does not return when
   another program takes its place. */
int run_fleet(const Plan *plan, const Folder *folder, Output *output, const RunReport *report, const RunStart *start);
/* Whether a supervisor of this plan can go on from that state. Returns 0; 1: errors says why not. */
int run_check(const Plan *plan, const json_t *state, Buffer *errors);
/* The lock of a state. */
int run_lock(const json_t *state);

#endif
