/* What:      what the fleet's two files share: the children, and what is told of them.
 * Owns:      see fleet.h.
 * May use:   base, loop, config, jansson.
 * Threading: the loop thread.
 * Spec:      docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_FLEET_INTERNAL_H
#define PONS_CTL_FLEET_INTERNAL_H

#include "bus/ctl/fleet.h"
#include "bus/ctl/lines.h"
#include "bus/ctl/notify.h"

enum { FLEET_END_BYTES = 160 };

typedef struct FleetChild {
  Fleet *fleet;
  uint32_t index; /* in the plan and in the supervisor */
  pid_t pid;      /* 0 = no process */
  int output_fd;  /* -1 = none */
  LoopFd *output_watch;
  Lines lines;
  char status[NOTIFY_STATUS_BYTES]; /* the last STATUS= of this process */
  char end[FLEET_END_BYTES];        /* how the last process ended; empty = none has */
} FleetChild;

struct Fleet {
  Loop *loop;
  const Plan *plan;
  FleetHandler handler;
  Supervisor *supervisor;
  FleetChild *children; /* as many as the plan's */
  LoopTimer *timer;
  LoopFd *notify_watch;
  char *notify_path;
  Buffer lines;        /* scratch */
  uint64_t started_us; /* of CLOCK_REALTIME */
  int notify_fd;
  bool acting; /* inside the loop over actions */
  bool stopping;
  bool settled; /* and told so */
};

/* The child's name as people see it; borrowed from the plan. */
const char *fleet_name(const FleetChild *child);
/* Logs that a child's process has ended, and what follows from it. */
void fleet_log_end(const FleetChild *child);
/* Logs that a child is DEGRADED. */
void fleet_log_degraded(const FleetChild *child);

#endif
