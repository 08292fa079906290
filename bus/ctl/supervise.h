/* What:      the supervisor's brain: which child process to start, stop, abort or kill, given what happened and the time.
 * Owns:      the state of every child and the budgets of children and groups; no process, no clock, no file.
 * May use:   base.
 * Threading: one thread; pure: (state, event, now) to actions.
 * Spec:      docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_SUPERVISE_H
#define PONS_CTL_SUPERVISE_H

#include "bus/base/heap.h"
#include "bus/base/types.h"

typedef struct Supervisor Supervisor;

typedef enum ChildState {
  CHILD_STOPPED,  /* no process, and none is wanted yet or any more */
  CHILD_STARTING, /* process started, has not said READY */
  CHILD_READY,
  CHILD_BACKOFF,  /* ended, will be started again at due_us */
  CHILD_STOPPING, /* asked to end, or says that it is about to */
  CHILD_DEGRADED, /* ended too often; tried again only after the slow retry time */
  CHILD_STATE_END
} ChildState;

/* Why a child last left STARTING or READY. */
typedef enum ChildReason {
  CHILD_REASON_NONE,
  CHILD_REASON_EXITED,        /* the process ended by itself */
  CHILD_REASON_START_TIMEOUT, /* it never said READY */
  CHILD_REASON_WATCHDOG,      /* it stopped beating */
  CHILD_REASON_STOP_TIMEOUT,  /* it said or was told to stop, and did not */
} ChildReason;

/* Which budget a DEGRADED child has spent. */
typedef enum ChildBudget { CHILD_BUDGET_NONE, CHILD_BUDGET_OWN, CHILD_BUDGET_GROUP } ChildBudget;

enum { SUPERVISE_INTENSITY_MAX = 10000, SUPERVISE_NO_GROUP = -1 };

/* At most `intensity` restarts within any `period_us`, as in Erlang/OTP's supervisor. intensity 0 = never restarted;
   over SUPERVISE_INTENSITY_MAX counts as that. */
typedef struct SuperviseBudget {
  uint32_t intensity;
  uint64_t period_us;
} SuperviseBudget;

typedef struct SupervisePolicy {
  SuperviseBudget budget;
  uint64_t backoff_first_us;   /* before the first restart; doubled by each failure in a row ... */
  uint64_t backoff_longest_us; /* ... up to this; forgotten after budget.period_us of being READY */
  uint64_t retry_us;           /* how long DEGRADED lasts before one slow try; 0 = for ever */
  uint64_t start_timeout_us;   /* 0 = as long as it takes */
  uint64_t stop_timeout_us;    /* from SIGTERM to SIGKILL */
  uint64_t abort_timeout_us;   /* from SIGABRT to SIGKILL: time for the crash record */
  uint64_t watchdog_us;        /* READY without a beat for longer is aborted; 0 = no watchdog */
} SupervisePolicy;

/* One child. Stage 0 (the broker) is started first, a later stage when all of the one before are READY for the first
   time; stages are stopped in reverse. */
typedef struct SuperviseSpec {
  uint32_t stage;
  int32_t group; /* index into the groups, or SUPERVISE_NO_GROUP */
  SupervisePolicy policy;
} SuperviseSpec;

/* What is to be seen of a child. */
typedef struct SuperviseChild {
  ChildState state;
  ChildReason reason;
  ChildBudget spent; /* set while DEGRADED */
  uint32_t restarts; /* starts after the first */
  uint32_t failures; /* in a row */
  uint64_t since_us; /* when it came into state */
  uint64_t due_us;   /* when something happens by itself; TIME_NEVER = not */
} SuperviseChild;

typedef enum SuperviseEventType {
  SUPERVISE_START,    /* begin with stage 0 */
  SUPERVISE_READY,    /* child said READY=1 */
  SUPERVISE_BEAT,     /* child said WATCHDOG=1 */
  SUPERVISE_HUNG,     /* child said WATCHDOG=trigger: as if it had stopped beating */
  SUPERVISE_STOPPING, /* child said STOPPING=1 */
  SUPERVISE_EXITED,   /* child's process ended, or could not be started */
  SUPERVISE_REPLACE,  /* stop child and start it again at once; costs no budget. Ignored before its first start */
  SUPERVISE_ADOPT, /* child's process is another one from now on, which is READY; what became of the old one is not told */
  SUPERVISE_STOP,  /* end everything, in order */
  SUPERVISE_KILL,  /* end everything, now */
  SUPERVISE_TIMER, /* supervise_due_us has come */
} SuperviseEventType;

typedef struct SuperviseEvent {
  SuperviseEventType type;
  uint32_t child; /* of READY to ADOPT; a number that is no child's is ignored */
} SuperviseEvent;

typedef enum SuperviseActionType {
  SUPERVISE_ACT_START,    /* start the process; EXITED must follow at some time, also when it can't be started */
  SUPERVISE_ACT_STOP,     /* SIGTERM */
  SUPERVISE_ACT_ABORT,    /* SIGABRT: it hangs, and its crash record says where */
  SUPERVISE_ACT_KILL,     /* SIGKILL */
  SUPERVISE_ACT_DEGRADED, /* tell somebody */
  SUPERVISE_ACT_ENDED     /* everything is STOPPED after STOP or KILL; child is not set */
} SuperviseActionType;

typedef struct SuperviseAction {
  SuperviseActionType type;
  uint32_t child;
} SuperviseAction;

/* How many children are in each state. */
typedef struct SuperviseCount {
  uint32_t all;
  uint32_t in[CHILD_STATE_END];
} SuperviseCount;

/* Makes a supervisor of children, all STOPPED; specs and groups are copied. Returns 0; -EINVAL when a spec names a group
   that is not there, -ENOMEM; then *ret is left alone. */
int supervise_new(Supervisor **ret, const SuperviseSpec *specs, uint32_t children, const SuperviseBudget *groups,
                  uint32_t group_count);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void supervise_destroy(Supervisor **supervisor);

/* Takes one event. now_us never goes back. What follows from it is then taken with supervise_next_action. */
void supervise_step(Supervisor *supervisor, SuperviseEvent event, uint64_t now_us);
/* Takes the next action. Returns false when there is none. */
bool supervise_next_action(Supervisor *supervisor, SuperviseAction *ret);
/* When SUPERVISE_TIMER is due; TIME_NEVER = not. */
uint64_t supervise_due_us(const Supervisor *supervisor);

/* The child's state; borrowed until the next step. child must be below the number given to supervise_new. */
const SuperviseChild *supervise_child(const Supervisor *supervisor, uint32_t child);
SuperviseCount supervise_count(const Supervisor *supervisor);
/* True when nothing more will come by itself before a slow retry: each child is READY or DEGRADED, or waits for a stage
   that waits for a DEGRADED one. */
bool supervise_is_settled(const Supervisor *supervisor);
/* "starting", "ready", ... as `pons status` prints it. */
const char *child_state_name(ChildState state);

#endif
