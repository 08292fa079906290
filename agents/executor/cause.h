/* What:      the classes of failure of an executor, and what follows from each.
 * Owns:      nothing; constants.
 * May use:   base, wire.
 * Threading: any; pure.
 * Spec:      agents/executor/causes.def */
#ifndef PONS_EXECUTOR_CAUSE_H
#define PONS_EXECUTOR_CAUSE_H

#include "bus/wire/header.h"

typedef enum Cause {
#define CAUSE(name, text, status, http, next, counts, about) CAUSE_##name,
#include "agents/executor/causes.def"
#undef CAUSE
  CAUSE_END
} Cause;

/* Whether another candidate is tried after it. */
typedef enum CauseNext { CAUSE_NEXT_NEVER, CAUSE_NEXT_ALWAYS, CAUSE_NEXT_LARGER } CauseNext;

/* As ChatFailure.cause has it: "rate_limit". */
const char *cause_name(Cause cause);
/* What happened, for a person; no full stop. */
const char *cause_about(Cause cause);
Status cause_status(Cause cause);        /* what the caller is told */
unsigned cause_http_status(Cause cause); /* and an HTTP client */
CauseNext cause_next(Cause cause);
/* Whether it says something about the model's health. */
bool cause_counts(Cause cause);
/* The cause of that name; CAUSE_UNAVAILABLE for a name that is none. */
Cause cause_of_name(Text name);

#endif
