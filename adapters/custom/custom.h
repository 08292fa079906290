/* What:      servers that speak OpenAI's API under paths and with headers of their own, as pons.yaml has them.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect, openai.
 * Threading: any; pure.
 * Spec:      docs/providers.md, "Custom" */
#ifndef PONS_CUSTOM_CUSTOM_H
#define PONS_CUSTOM_CUSTOM_H

#include "adapters/dialect/dialect.h"

extern const Dialect custom_dialect;

#endif
