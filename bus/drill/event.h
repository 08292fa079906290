/* What:      what happens in a drill, and what undoes it: the functions that drill.def names.
 * Owns:      nothing; a Scene is the director's.
 * May use:   base, loop.
 * Threading: the loop thread.
 * Spec:      docs/drills.md, "The drills" */
#ifndef PONS_DRILL_EVENT_H
#define PONS_DRILL_EVENT_H

#include <sys/types.h>

#include "bus/base/buffer.h"
#include "bus/drill/cutter.h"
#include "bus/drill/lab.h"
#include "bus/drill/report.h"
#include "bus/drill/watch.h"

#define EVENT_WORKER "tiny_llama_service_enhanced" /* whom the drill `worker` freezes */

/* Finds a process of a machine's fleet (0 = the one that has the preferred broker) by the name that `pons status` shows;
   NULL = its broker. Returns its id; 0 = it is not there. */
typedef pid_t FindProcess(void *userdata, uint32_t machine, const char *name);

/* Where a drill plays. */
struct Scene {
  Loop *loop;
  Watch *watch;
  Lab *lab;       /* NULL = a live fleet */
  Cutter *cutter; /* of a live fleet that is to be cut */
  FindProcess *find;
  void *find_userdata;
  const char *endpoints;              /* where the brokers are found */
  KeyPair *key;                       /* with which they are asked; NULL = none is wanted */
  uint32_t least;                     /* instances that are there when all is */
  uint64_t vote_us;                   /* of the brokers: how long a lease lasts at most */
  const char *config;                 /* pons.yaml of the live fleet; NULL = as the command finds it */
  const bool *interrupted;            /* somebody wants an end */
  uint32_t run;                       /* from 1 */
  uint64_t at_us;                     /* when it happened */
  pid_t pid;                          /* whom the event has hit; 0 = nobody */
  ReportMove moves[REPORT_MOVES_MAX]; /* of the lease that it is about */
  uint32_t move_count;
  char event[REPORT_EVENT_BYTES]; /* what was done, for the report; only words that JSON and XML take as they are */
  char error[160];                /* why it could not be done */
};

DrillEvent event_kill_broker; /* -9 */
DrillEvent event_freeze_broker;
DrillEvent event_hand_over;     /* the other broker is told to lead */
DrillEvent event_freeze_worker; /* the first machine's local model */
DrillEvent event_thaw;          /* whoever was frozen */
DrillEvent event_kill_provider; /* of a lab, the first one */
DrillEvent event_start_provider;
DrillEvent event_upgrade;   /* returns when all is replaced */
DrillEvent event_singleton; /* returns when the lease has moved for the last time */
DrillEvent event_cut;
DrillEvent event_cut_oneway; /* odd runs from the first machine (live: this one) to the second, even ones back */
DrillEvent event_heal;

#endif
