/* What:      whether a model does its work, by what became of it: nobody is asked, so it costs nothing.
 * Owns:      nothing; a Health is a value, one per model.
 * May use:   base.
 * Threading: one thread; pure, time is an argument.
 * Spec:      docs/routing.md, "Health" */
#ifndef PONS_MODELS_HEALTH_H
#define PONS_MODELS_HEALTH_H

#include "bus/base/clock.h"
#include "bus/base/types.h"

#define HEALTH_FAILURES 3                /* in a row, then a model is down */
#define HEALTH_BACKOFF_US (5 * US_PER_S) /* before it is tried again; doubled with each failure */
#define HEALTH_BACKOFF_MAX_US (60 * US_PER_S)
#define HEALTH_MEMORY_US (300 * US_PER_S) /* work that ended before that says nothing any more */

typedef enum HealthState { HEALTH_UNMEASURED, HEALTH_UP, HEALTH_DOWN } HealthState;

/* All zero: unmeasured. */
typedef struct Health {
  uint32_t failures; /* in a row */
  bool is_measured;
  uint64_t ended_us;   /* when work ended last */
  uint64_t backoff_us; /* 0 unless it is down */
  uint64_t retry_us;   /* down: from then on one request may try it */
} Health;

/* Work has ended. A failure of the model or its provider counts against it; success forgives all. */
void health_settle(Health *health, bool failed, uint64_t now_us);
/* A request is going to it. When it is down, that is the one that tries it: the next waits for another back-off, whether
   anybody tells how this one ended or not. */
void health_try(Health *health, uint64_t now_us);
/* Of now. A model that is down stays so until work succeeds there. */
HealthState health_state(const Health *health, uint64_t now_us);
/* Whether others are to be tried before it: it is down, and its next trial is not due. */
bool health_is_behind(const Health *health, uint64_t now_us);
/* "unmeasured", "up", "down". */
const char *health_state_name(HealthState state);

#endif
