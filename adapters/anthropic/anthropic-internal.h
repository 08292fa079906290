/* What:      what the files of Anthropic's dialect share.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect.
 * Threading: any; pure.
 * Spec:      anthropic.h */
#ifndef PONS_ANTHROPIC_ANTHROPIC_INTERNAL_H
#define PONS_ANTHROPIC_ANTHROPIC_INTERNAL_H

#include "adapters/anthropic/anthropic.h"
#include "adapters/anthropic/model.h"
#include "adapters/dialect/tell.h"

#define ANTHROPIC_VERSION "2023-06-01"

/* These as in Dialect. */
int anthropic_encode(Json request, DialectRequest *ret, DialectFault *ret_fault);
int anthropic_decode(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                     DialectFault *ret_fault);
void anthropic_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault);
int anthropic_encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault);
int anthropic_decode_models(Text body, DialectModels *ret, DialectFault *ret_fault);
int anthropic_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault);

/* The block of an answer that is open, as far as it matters. */
typedef enum AnthropicBlock { ANTHROPIC_OTHER, ANTHROPIC_CALL, ANTHROPIC_THINKING } AnthropicBlock;

/* The state of a stream: DialectStream.own. */
typedef struct AnthropicStream {
  Tell tell;
  AnthropicBlock block;
  bool has_input;  /* of the open call something has come */
  Buffer thinking; /* of the open block, between its quotes */
  Buffer signature;
} AnthropicStream;

/* Frees what a stream's own state holds. */
void anthropic_stream_done(void *own);

/* Appends the list `messages`; *ret_system gets the blocks of the system's texts, commas between them. Returns whether any
   says something. */
bool anthropic_put_messages(const AskChat *ask, Buffer *out, Buffer *ret_system);

/* Adds what a usage object of the API says. */
void anthropic_read_usage(Json usage, ChatUsage *ret);
/* A finish_reason of OpenAI's for a stop_reason. */
const char *anthropic_finish_of(Json stop_reason);

#endif
