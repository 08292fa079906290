/* What:      the coordinator's decision: from what a request weighs to its size, profile and latency, and why.
 * Owns:      nothing.
 * May use:   base, contracts.
 * Threading: any; pure.
 * Spec:      docs/routing.md, "Size"; docs/adr/0022-size-by-estimated-tokens.md */
#ifndef PONS_COORDINATOR_CLASSIFY_H
#define PONS_COORDINATOR_CLASSIFY_H

#include "agents/contracts/contracts.h"
#include "agents/footprint/footprint.h"
#include "bus/wire/header.h"

enum { CLASSIFY_REASONS = 4, CLASSIFY_BECAUSE_SIZE = 257 };

/* As pons.yaml has them, section coordinator. */
typedef struct ClassifyRules {
  uint64_t heavy_tokens;  /* so many are still light, one more is heavy */
  uint64_t output_tokens; /* of an answer that nobody limits */
} ClassifyRules;

/* The reasons of one decision; rows borrow from texts. */
typedef struct ClassifyWhy {
  ChatReason rows[CLASSIFY_REASONS];
  char texts[CLASSIFY_REASONS][CLASSIFY_BECAUSE_SIZE];
} ClassifyWhy;

/* Sets size, profile, latency and tokens of *ret and leaves the rest alone; texts are constants. An embedding has no size. */
void classify_request(const Footprint *footprint, Priority priority, const ClassifyRules *rules, ChatRoute *ret);

/* Fills *ret with the reasons of what classify_request has decided from the same, in the order of deciding; *ret must not
   be moved. */
void classify_explain(const Footprint *footprint, Priority priority, const ClassifyRules *rules, ClassifyWhy *ret);

#endif
