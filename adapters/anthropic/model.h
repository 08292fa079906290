/* What:      what a model of Anthropic's takes, by its name: its generations differ in what they refuse.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      Anthropic's documentation: models, extended and adaptive thinking, structured outputs */
#ifndef PONS_ANTHROPIC_MODEL_H
#define PONS_ANTHROPIC_MODEL_H

#include "bus/base/types.h"

typedef struct ModelTraits {
  bool budgets;        /* thinking takes a budget of tokens; else it is adaptive, with an effort */
  bool has_xhigh;      /* an effort above high */
  bool samples;        /* temperature and top_p may be set */
  bool has_schemas;    /* answers and the input of tools by a schema */
  uint32_t max_tokens; /* what is asked for when the request does not say how long an answer may be */
} ModelTraits;

/* name as the provider has it: "claude-sonnet-4-5-20250929", "anthropic.claude-3-haiku-20240307-v1:0". A name that says no version
   gets what the newest models that still sample take. */
ModelTraits model_traits(Text name);

#endif
