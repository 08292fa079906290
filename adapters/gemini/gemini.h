/* What:      Google's Gemini API: OpenAI's requests in its words, its answers in OpenAI's.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect.
 * Threading: any; pure.
 * Spec:      Gemini API reference v1beta; docs/providers.md, "Gemini"; docs/adr/0030-gemini.md */
#ifndef PONS_GEMINI_GEMINI_H
#define PONS_GEMINI_GEMINI_H

#include "adapters/dialect/dialect.h"

extern const Dialect gemini_dialect;

#endif
