/* What:      Anthropic's dialect: the Messages API.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect.
 * Threading: any; pure.
 * Spec:      Anthropic's API reference, version 2023-06-01: messages, streaming, errors; docs/providers.md, "Anthropic" */
#ifndef PONS_ANTHROPIC_ANTHROPIC_H
#define PONS_ANTHROPIC_ANTHROPIC_H

#include "adapters/dialect/dialect.h"

extern const Dialect anthropic_dialect;

/* For an API that has Anthropic's words behind another way there: its table, and room for the state of its streams. */
extern const AskTable anthropic_table;
enum { ANTHROPIC_STREAM_BYTES = 512 };
/* Appends the members of a request but for model, version and stream. Returns 0, or DIALECT_E_FAULT. */
int anthropic_put_request(const AskChat *ask, Text model, Buffer *out, DialectFault *ret_fault);

#endif
