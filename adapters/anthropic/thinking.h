/* What:      how Claude thinks about a request, whoever's API it is asked through.
 * Owns:      nothing.
 * May use:   base, json, dialect (ask); model.
 * Threading: any; pure.
 * Spec:      Anthropic's documentation: extended and adaptive thinking; docs/providers.md */
#ifndef PONS_ANTHROPIC_THINKING_H
#define PONS_ANTHROPIC_THINKING_H

#include "adapters/anthropic/model.h"
#include "adapters/dialect/ask.h"

typedef struct Thinking {
  bool thinks;
  uint64_t budget_tokens; /* of a model that takes a budget */
} Thinking;

/* What reasoning_effort leads to. limit_tokens: the longest answer, in which a budget counts; 0: it was not said. It does not
   think where a tool must be called, where calls come back without the thoughts before them, and where less than 1,024 tokens
   would be left for it. */
Thinking thinking_plan(const AskChat *ask, const ModelTraits *traits, uint64_t limit_tokens);
/* The word for reasoning_effort; NULL: none was asked for. */
const char *thinking_effort(const AskChat *ask, bool has_xhigh);

#endif
