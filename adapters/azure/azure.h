/* What:      Azure's OpenAI: OpenAI's API under other paths, with a key of its own form and filters in its answers.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect, openai.
 * Threading: any; pure.
 * Spec:      Azure OpenAI REST API reference: the dated API and v1; docs/providers.md */
#ifndef PONS_AZURE_AZURE_H
#define PONS_AZURE_AZURE_H

#include "adapters/dialect/dialect.h"

extern const Dialect azure_dialect;

#endif
