/* What:      what the fleet's two files share: the children, and what is told of them.
 * Owns:      see fleet.h.
 * May use:   base, loop, config, jansson.
 * Threading: the loop thread.
 * Spec:      docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_FLEET_INTERNAL_H
#define PONS_CTL_FLEET_INTERNAL_H

#include "bus/ctl/doors.h"
#include "bus/ctl/fleet.h"
#include "bus/ctl/lines.h"
#include "bus/ctl/notify.h"

enum { FLEET_END_BYTES = 160, FLEET_STATE_FORMAT = 1 };

typedef struct FleetChild {
  Fleet *fleet;
  uint32_t index; /* in the plan and in the supervisor */
  char *program;  /* a path; the plan's, until it is replaced */
  int held_fd;    /* the file of a broker's program, which may be gone from its path meanwhile; -1 = none */
  bool by_fd;     /* it is started from there */
  pid_t pid;      /* 0 = no process */
  int output_fd;  /* -1 = none */
  LoopFd *output_watch;
  Lines lines;
  char status[NOTIFY_STATUS_BYTES]; /* the last STATUS= of this process */
  char end[FLEET_END_BYTES];        /* how the last process ended; empty = none has */
} FleetChild;

typedef enum ReplacePhase {
  REPLACE_NONE,
  REPLACE_BESIDE,    /* the new process starts beside the old one */
  REPLACE_LEAVING,   /* the new one is in its place; the old one finishes its work */
  REPLACE_STOPPING,  /* in place: the old one finishes its work */
  REPLACE_STARTING,  /* in place: the new one starts */
  REPLACE_RETURNING, /* in place: it did not; the old program is started again */
} ReplacePhase;

/* The one replacement that is under way. */
typedef struct Replace {
  ReplacePhase phase;
  uint32_t index;    /* of the child */
  FleetChild *extra; /* beside: the new one until it is ready, then the old one; NULL = there is none */
  LoopTimer *timer;  /* until extra is killed */
  char *program;     /* in place: what is started when the old one has ended */
  char *before;      /* in place: what ran before */
  int before_fd;     /* and its file; -1 = not held */
  bool before_by_fd;
  pid_t before_pid;
  uint64_t began_us;
  bool inside;    /* fleet_replace has not returned yet */
  json_t *result; /* of what ended before it returned */
  Buffer why;
} Replace;

struct Fleet {
  Loop *loop;
  const Plan *plan;
  FleetHandler handler;
  Supervisor *supervisor;
  FleetChild **children; /* as many as the plan's */
  Replace replace;
  Doors doors; /* of the gateway's instances */
  LoopTimer *timer;
  LoopFd *notify_watch;
  char *notify_path;
  Buffer lines;        /* scratch */
  uint64_t started_us; /* of CLOCK_REALTIME */
  int notify_fd;
  bool acting; /* inside the loop over actions */
  bool stopping;
  bool settled; /* and told so */
  bool ended;   /* but for the process of a replacement */
};

/* The child's name as people see it; borrowed from the plan. */
const char *fleet_name(const FleetChild *child);
/* A process for a child of the plan that is to run program, not started. */
FleetChild *fleet_child_new(Fleet *fleet, uint32_t index, const char *program);
/* Kills and buries what runs, and frees it; takes NULL, nulls the pointer. */
void fleet_child_destroy(FleetChild **child);
/* Starts its process. Returns 0; when it can't be started, what is wrong stands in child->end, and a negative errno or
   PLAN_E_SECRET comes back. */
int fleet_child_start(FleetChild *child);
/* Watches its process and its output, which are there. On failure the process is killed. Returns 0 or negative errno. */
int fleet_child_watch(FleetChild *child);
/* Goes on from a state that fleet_state_check has taken, in a fleet that has just been made with its notify_fd. Returns 0 or negative errno, and the fleet is of no use. */
int fleet_load(Fleet *fleet, const json_t *state);
/* Gives the supervisor an event and does what follows. */
void fleet_step(Fleet *fleet, SuperviseEventType type, uint32_t index);
/* Tells whoever waits for the end of the fleet, unless a replacement's process is still there. */
void fleet_tell_ended(Fleet *fleet);

/* fleet-replace.c hears of a child that is ready, that has ended (before the supervisor does), that is degraded. */
void replace_on_ready(FleetChild *child);
void replace_on_end(FleetChild *child);
void replace_on_degraded(FleetChild *child);
/* The fleet is to end: so is the replacement, by a signal. */
void replace_stop(Fleet *fleet, int signal_number);
/* Frees what there is of one, without a word. */
void replace_done(Replace *replace);

/* Logs that a child's process has ended, and what follows from it. */
void fleet_log_end(const FleetChild *child);
/* Logs that a child is DEGRADED. */
void fleet_log_degraded(const FleetChild *child);

#endif
