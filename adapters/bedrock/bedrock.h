/* What:      Bedrock's dialect: Converse and ConverseStream for every model, InvokeModel for embeddings.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect; libcrypto.
 * Threading: any; pure.
 * Spec:      Amazon Bedrock API reference; docs/providers.md, docs/adr/0031-bedrock.md */
#ifndef PONS_BEDROCK_BEDROCK_H
#define PONS_BEDROCK_BEDROCK_H

#include "adapters/dialect/dialect.h"

extern const Dialect bedrock_dialect;
/* The same for Claude alone, by InvokeModel and in Anthropic's words. */
extern const Dialect bedrock_invoke_dialect;

#endif
