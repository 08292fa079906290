/* What:      OpenAI's dialect, which is ours too: requests and answers pass through, but for the model's name and the usage.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect.
 * Threading: any; pure.
 * Spec:      OpenAI's API description (openai/openai-openapi); what Ollama, LM Studio, vLLM and llama-server leave out of it
 *            is in docs/providers.md */
#ifndef PONS_OPENAI_OPENAI_H
#define PONS_OPENAI_OPENAI_H

#include "adapters/dialect/dialect.h"

extern const Dialect openai_dialect;

/* Reads the usage object of OpenAI's API, of a completion or of embeddings; what it does not have stays absent. */
void openai_read_usage(Json usage, ChatUsage *ret);
/* What an error of OpenAI's API means: status 0 for one inside a stream or inside an answer with status 200. */
void openai_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault);

#endif
