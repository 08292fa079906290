/* What:      one request at a provider, from its first candidate to its answer.
 * Owns:      a Visit ends itself.
 * May use:   base, json, agent, executor, relay; provider, work.
 * Threading: the loop thread.
 * Spec:      docs/providers.md */
#ifndef PONS_REMOTE_VISIT_H
#define PONS_REMOTE_VISIT_H

#include "agents/executor/executor.h"
#include "agents/remote_api_adapter/provider.h"
#include "agents/remote_api_adapter/work.h"

/* What all visits share. */
typedef struct Remote {
  Loop *loop;
  Config *config;
  Providers providers;
  Executor *executor;
  uint32_t running;
  uint64_t held_bytes; /* of the requests of visits */
} Remote;

/* Takes over an inline call for other work; ask is its request, as decoded. */
void visit_begin_work(Remote *remote, Call *call, const WorkKind *kind, Text model, const void *ask);
/* Takes over an inline call whose request is JSON as text: keeps it, and answers it sooner or later. */
void visit_begin(Remote *remote, Call *call, Text request);

#endif
