/* What:      what is asked of one provider by its name, and of nobody else: its models, its jobs of fine-tuning.
 * Owns:      an errand ends itself.
 * May use:   base, config, agent, relay; visit, provider.
 * Threading: the loop thread.
 * Spec:      agents/contracts/work.def; docs/providers.md */
#ifndef PONS_REMOTE_ERRAND_H
#define PONS_REMOTE_ERRAND_H

#include "agents/remote_api_adapter/visit.h"

/* decode: the provider is asked once more, as encode says then. */
enum { ERRAND_E_AGAIN = 2 };

/* A row per kind. state is all zero at first. */
typedef struct ErrandKind {
  size_t state_bytes;
  /* Makes the request; ask is the struct of the method's contract. Returns 0, or DIALECT_E_FAULT: CAUSE_UNAVAILABLE when the
     provider's API has no such thing. */
  int (*encode)(const Dialect *dialect, const void *ask, const void *state, DialectRequest *ret,
                DialectFault *ret_fault);
  /* Returns 0, ERRAND_E_AGAIN or DIALECT_E_FAULT. */
  int (*decode)(const Dialect *dialect, const void *ask, void *state, Text body, DialectFault *ret_fault);
  /* Answers call. */
  void (*reply)(Call *call, Remote *remote, Provider *provider, const void *ask, const void *state);
  void (*done)(void *state); /* frees what state holds, not state */
} ErrandKind;

/* Takes over an inline call: asks the provider of that name and answers sooner or later. It is asked once with one key: nothing
   is settled, and what it refuses is told as it is. */
void errand_begin(Remote *remote, Call *call, const ErrandKind *kind, Text provider, const void *ask);
/* Fills *ret_fault: the provider's API has no of_what. Returns DIALECT_E_FAULT. */
int errand_has_none(const Dialect *dialect, const char *of_what, DialectFault *ret_fault);

extern const ErrandKind errand_models;
extern const ErrandKind errand_tune;
extern const ErrandKind errand_tune_status;
extern const ErrandKind errand_tune_events;
extern const ErrandKind errand_tune_cancel;

#endif
