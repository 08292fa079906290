/* What:      the drills that there are: what each does, what it needs, what it must not exceed.
 * Owns:      nothing; a constant.
 * May use:   base, loop.
 * Threading: any.
 * Spec:      bus/drill/drill.def; docs/drills.md */
#ifndef PONS_DRILL_DRILL_H
#define PONS_DRILL_DRILL_H

#include "bus/base/types.h"

typedef struct Scene Scene;

enum {
  DRILL_LOAD_ONCE = 1,  /* at the first machine */
  DRILL_LOAD_AWAY = 2,  /* idempotent, at the second one */
  DRILL_LOAD_CHAT = 4,  /* through the chain of a chat, in place of the other two */
  DRILL_LOAD_WHILE = 8, /* none of them lasts for longer than the event, and 2 s */
};

typedef enum DrillNeed {
  DRILL_NEEDS_TWO,      /* a fleet with two brokers */
  DRILL_NEEDS_PAIR,     /* the same, whose preferred broker runs here */
  DRILL_NEEDS_LEADER,   /* a fleet with authority, whose preferred broker runs here */
  DRILL_NEEDS_WORKER,   /* a fleet with a local model here, and another one elsewhere */
  DRILL_NEEDS_CABLE,    /* as PAIR, with the other broker on another machine, and root */
  DRILL_NEEDS_LAB,      /* machines of its own */
  DRILL_NEEDS_PROVIDER, /* and providers that it may kill */
  DRILL_NEEDS_AGENT,    /* an agent or a command that this build does not have */
} DrillNeed;

/* What happens, and what ends it (NULL = nothing has to). Both are called on the director's loop, and may turn it. Return 0,
   or a negative errno after scene->error says what went wrong. */
typedef int DrillEvent(Scene *scene);

typedef struct Drill {
  const char *name;
  DrillNeed need;
  unsigned loads;    /* DRILL_LOAD_ */
  DrillEvent *begin; /* NULL = not in this build */
  DrillEvent *end;
  uint32_t seconds;     /* of load, unless somebody says otherwise; with DRILL_LOAD_WHILE never less */
  uint32_t hold_ms;     /* between the two */
  uint32_t pause_ms;    /* bound of the longest pause; 0 = none */
  uint32_t worst_ms;    /* bound of the worst latency of what was asked before the event was over; 0 = none */
  uint32_t bus_percent; /* bound of the bus's share of the latency, against before the event; 0 = none */
  const char *about;
} Drill;

/* The drill of that name; NULL = there is none. */
const Drill *drill_find(const char *name);
/* The drill of that number, counted from 0; NULL behind the last. */
const Drill *drill_at(size_t number);

#endif
