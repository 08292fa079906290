/* What:      the inside of a Supervisor, for the two files that see it.
 * Owns:      see supervise.h.
 * May use:   base.
 * Threading: one thread; pure.
 * Spec:      docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_SUPERVISE_INTERNAL_H
#define PONS_CTL_SUPERVISE_INTERNAL_H

#include "bus/ctl/supervise.h"

typedef struct Budget {
  SuperviseBudget spec;
  uint64_t *taken_us; /* ring of the last spec.intensity restarts */
  uint32_t first;
  uint32_t count;
} Budget;

typedef struct Child {
  SuperviseChild view;
  SuperviseSpec spec;
  Budget budget;
  HeapEntry due;
  bool started;      /* at least once */
  bool slow_try;     /* this start is a slow retry that has not been READY yet */
  bool killed;       /* SIGKILL was sent: nothing is left to do but wait */
  bool again;        /* started again as soon as its process has ended: REPLACE */
  bool was_ready;    /* since it was last started */
  uint64_t ready_us; /* when that was */
} Child;

struct Supervisor {
  Child *children;
  Budget *groups;
  SuperviseAction *actions;
  Heap due;
  uint32_t size;
  uint32_t group_count;
  uint32_t action_first;
  uint32_t action_end;
  uint32_t action_room;
  uint32_t stage; /* the highest that was begun; while stopping, the one that is ending */
  bool begun;
  bool stopping;
  bool ended;
};

#endif
