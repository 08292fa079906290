/* What:      the supervisor: the plan's processes kept running by the state machine of supervise.h.
 * Owns:      the children, their output pipes, the readiness socket and its file.
 * May use:   base, loop, config, jansson.
 * Threading: the loop thread, which must be the main thread: children are killed when it ends.
 * Spec:      docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_FLEET_H
#define PONS_CTL_FLEET_H

#include <jansson.h>

#include "bus/ctl/plan.h"
#include "bus/loop/loop.h"

typedef struct Fleet Fleet;

typedef struct FleetHandler {
  void (*on_output)(void *userdata, Bytes lines); /* whole lines with the child's name before each */
  void (*on_settled)(void *userdata);             /* once: nothing more will change by itself */
  /* A replacement that fleet_replace has begun is over: JSON as from there, borrowed. */
  void (*on_replaced)(void *userdata, json_t *result);
  void (*on_ended)(void *userdata); /* after fleet_stop or fleet_kill: no child is left */
  void *userdata;
} FleetHandler;

enum { FLEET_E_STATE = 1 /* the plan is another one, or the state is of a program too different from this one */ };

/* Makes a fleet in loop; plan must outlive it. The loop's signals are blocked (loop_block_signals). The readiness socket
   is made as runtime_dir/notify.sock. With a state (NULL = none), which fleet_state_check has taken, it goes on with the processes
   and descriptors of that one. Returns 0 and gives the caller *ret, or negative errno and leaves *ret alone. */
int fleet_new(Fleet **ret, Loop *loop, const Plan *plan, const FleetHandler *handler, const json_t *state);
/* Kills what still runs, without waiting for it; takes NULL, nulls the pointer. Usable as _cleanup_. */
void fleet_destroy(Fleet **fleet);

/* Starts the broker, then the agents. */
void fleet_start(Fleet *fleet);
/* Stops agents, then the broker. */
void fleet_stop(Fleet *fleet);
/* Ends everything at once. */
void fleet_kill(Fleet *fleet);

/* Has the child of that name, whose process is pid (0 = none), run program (a path) from now on, without a gap where it can:
   the new process starts beside the old one, which finishes its work and ends once the new one is READY. A broker, or an
   agent that must not be there twice, is stopped first; when the new one does not come up, the program of before is started
   again. Returns NULL when this has begun, or had: on_replaced tells the end. Else what speaks against it, the caller's
   reference: {name, ok, how: beside|restart|"", pid, before_pid, took_us, why}. */
json_t *fleet_replace(Fleet *fleet, const char *name, pid_t pid, const char *program);

/* What speaks against another program in the place of this one now; NULL: nothing. */
const char *fleet_busy(const Fleet *fleet);
/* The fleet as it is, for a program that is executed in this process and goes on from there. The caller owns the reference; NULL
   when the path of a program is no UTF-8. */
json_t *fleet_save(const Fleet *fleet);
/* Has the descriptors of a state outlive execve, or not. */
void fleet_state_pass(const json_t *state, bool on);
/* Whether a fleet of plan can go on from this state. Returns 0, or FLEET_E_STATE: errors says why not. */
int fleet_state_check(const json_t *state, const Plan *plan, Buffer *errors);

/* True when every child is READY. */
bool fleet_is_ready(const Fleet *fleet);
/* True when the broker is READY. */
bool fleet_has_broker(const Fleet *fleet);
/* The fleet as JSON with the keys that docs/pons.1.md lists under "status"; the caller owns the reference. */
json_t *fleet_describe(const Fleet *fleet);

#endif
