/* What:      the classes of failure of an executor and of a provider's dialect, and what follows from each.
 * Owns:      nothing; constants.
 * May use:   base, wire.
 * Threading: any; pure.
 * Spec:      agents/contracts/causes.def */
#ifndef PONS_CONTRACTS_CAUSE_H
#define PONS_CONTRACTS_CAUSE_H

#include "bus/wire/header.h"

typedef enum Cause {
#define CAUSE(name, text, whose, key, again, next, counts, status, http, about) CAUSE_##name,
#include "agents/contracts/causes.def"
#undef CAUSE
  CAUSE_END
} Cause;

/* Whose fault it is. */
typedef enum CauseWhose { CAUSE_WHOSE_CALLER, CAUSE_WHOSE_OURS, CAUSE_WHOSE_PROVIDER, CAUSE_WHOSE_LINE } CauseWhose;

/* Whether another candidate is tried after it. */
typedef enum CauseNext { CAUSE_NEXT_NEVER, CAUSE_NEXT_ALWAYS, CAUSE_NEXT_LARGER } CauseNext;

/* What a candidate failed with. Texts are borrowed. */
typedef struct Fault {
  Cause cause;
  Text message;            /* one sentence for a person */
  Text code;               /* the provider's own, for a program; may be empty */
  Text param;              /* the field of the request that is wrong; may be empty */
  unsigned http_status;    /* the provider's; 0 = none */
  uint64_t retry_after_us; /* 0 = not said */
} Fault;

/* As ChatFailure.cause has it: "rate_limit". */
const char *cause_name(Cause cause);
/* What happened, for a person; no full stop. */
const char *cause_about(Cause cause);
CauseWhose cause_whose(Cause cause);
Status cause_status(Cause cause);        /* what the caller is told */
unsigned cause_http_status(Cause cause); /* and an HTTP client */
/* Whether another key of the same provider may do it. */
bool cause_key(Cause cause);
/* Whether the same provider may do it a little later. */
bool cause_again(Cause cause);
CauseNext cause_next(Cause cause);
/* Whether it says something about the model's health. */
bool cause_counts(Cause cause);
/* The cause of that name; CAUSE_UNAVAILABLE for a name that is none. */
Cause cause_of_name(Text name);

#endif
