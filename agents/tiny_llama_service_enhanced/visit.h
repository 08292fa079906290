/* What:      one request at this agent: which of its candidates is our model, the work for it, and what follows from its end.
 * Owns:      a Local is the process; a visit owns its work and itself.
 * May use:   base, json, config, agent, contracts, executor; server, work, failure.
 * Threading: the loop thread.
 * Spec:      docs/adr/0018-executors.md; docs/local-models.md */
#ifndef PONS_LOCAL_VISIT_H
#define PONS_LOCAL_VISIT_H

#include "agents/executor/executor.h"
#include "agents/tiny_llama_service_enhanced/server.h"
#include "agents/tiny_llama_service_enhanced/work.h"

/* The process. */
typedef struct Local {
  Config *config;
  Executor *executor;
  Desk *desk;     /* of backend libllama, else NULL */
  Server *server; /* of backend http, else NULL */
  Text model;     /* local_llm.model */
  PromptStyle style;
  uint32_t running; /* visits that are not answered */
} Local;

/* Serves a call whose request as JSON is request: a completion, or embeddings. It is answered then or later. */
void visit_begin(Local *local, Call *call, Text request, bool is_embedding);

#endif
