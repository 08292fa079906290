/* What:      work beyond completions and embeddings, a row each: what goes to the provider and what is answered.
 * Owns:      nothing; constants.
 * May use:   base, json, agent, contracts, adapters.
 * Threading: the loop thread; encode and decode are pure.
 * Spec:      agents/contracts/work.def; docs/providers.md */
#ifndef PONS_REMOTE_WORK_H
#define PONS_REMOTE_WORK_H

#include "adapters/dialect/dialect.h"
#include "bus/agent/agent.h"

typedef struct WorkKind {
  const char *models; /* the kind of models that can do it, as the model table has it */
  /* The model that is asked when the ones before it can't, counted from 0. Returns false behind the last. */
  bool (*fallback)(const void *ask, size_t number, Text *ret);
  /* ask is the struct of the method's contract. Returns 0, or DIALECT_E_FAULT with *ret_fault filled: CAUSE_UNAVAILABLE when
     the provider's API has no such thing. */
  int (*encode)(const Dialect *dialect, const void *ask, DialectRequest *ret, DialectFault *ret_fault);
  /* ret is all zero. Audio in it borrows from body. */
  int (*decode)(const Dialect *dialect, const DialectAsked *asked, Text body, DialectMade *ret, ChatUsage *ret_usage,
                DialectFault *ret_fault);
  /* Answers call. */
  void (*reply)(Call *call, const void *ask, const DialectMade *made, const WorkDone *done);
  /* Of work whose answer comes in pieces; else NULL. A piece goes to the caller with pass; event appends to stream->events
     what is to be passed, and to made what reply has to know. */
  int (*event)(const Dialect *dialect, DialectStream *stream, Text type, Text data, DialectMade *made,
               DialectFault *ret_fault);
  int (*pass)(Call *call, Text piece);
  const Framing *framing;
} WorkKind;

extern const WorkKind work_transcribe;
extern const WorkKind work_speak;
extern const WorkKind work_transcribe_stream;
extern const WorkKind work_speak_stream;
extern const WorkKind work_describe;
extern const WorkKind work_translate;

#endif
