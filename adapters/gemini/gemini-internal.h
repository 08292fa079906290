/* What:      what the files of Gemini's dialect share.
 * Owns:      nothing.
 * May use:   base, json, contracts, dialect.
 * Threading: any; pure.
 * Spec:      adapters/dialect/dialect.h */
#ifndef PONS_GEMINI_GEMINI_INTERNAL_H
#define PONS_GEMINI_GEMINI_INTERNAL_H

#include "adapters/dialect/dialect.h"
#include "adapters/dialect/tell.h"

/* How the names of calls begin that we made up, since the provider gave none; it is never told them. */
#define GEMINI_MADE_UP "call_g_"
/* DialectAsked.marks: embeddings are wanted in base64. */
enum { GEMINI_BASE64 = 1 };

/* An answer as it is told; the stream's own. */
typedef struct GeminiTold {
  Tell tell;
  Buffer signature; /* of a part that is no call: goes with the message */
  bool ended;
} GeminiTold;

extern const AskTable gemini_table;

/* encode_chat of Dialect. */
int gemini_encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault);
/* encode_embed of Dialect. */
int gemini_encode_embed(Json request, DialectRequest *ret, DialectFault *ret_fault);
/* decode_chat of Dialect. */
int gemini_decode_chat(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                       DialectFault *ret_fault);
/* decode_embed of Dialect. */
int gemini_decode_embed(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                        DialectFault *ret_fault);
/* stream_event of Dialect. */
int gemini_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault);
/* stream_done of Dialect. */
void gemini_stream_done(void *own);
/* decode_error of Dialect. */
void gemini_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault);

/* Appends "/models/NAME:method". */
void gemini_put_path(Text model, const char *method, Buffer *out);
/* The generation in a model's name, 3 of "gemini-3-pro"; 0 when it has none. */
int gemini_major(Text model);
/* Reads usageMetadata; what it does not have stays as it is. */
void gemini_read_usage(Json metadata, ChatUsage *ret);

#endif
