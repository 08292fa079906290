/* What:      what the files of Bedrock's dialect share.
 * Owns:      a BedrockStream its buffers.
 * May use:   base, json, contracts, dialect.
 * Threading: any; pure.
 * Spec:      Amazon Bedrock API reference: Converse, ConverseStream, InvokeModel */
#ifndef PONS_BEDROCK_BEDROCK_INTERNAL_H
#define PONS_BEDROCK_BEDROCK_INTERNAL_H

#include "adapters/bedrock/bedrock.h"
#include "adapters/dialect/tell.h"

/* The member of a message that has what was thought, as blocks that can be sent back unchanged:
   [{"type":"thinking","thinking":…,"signature":…},{"type":"redacted_thinking","data":…}]. */
#define BEDROCK_THOUGHTS "thinking_blocks"

/* --- encode.c, turns.c --- */

extern const AskTable bedrock_table;
extern const char bedrock_about[];

/* As Dialect.encode_chat. */
int bedrock_encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault);
/* Appends "messages":[…] and, where there is any, ,"system":[…]. Returns 0, or DIALECT_E_FAULT: an image or a document that
   Bedrock can't be given. */
int bedrock_put_turns(const AskChat *ask, Buffer *out, DialectFault *ret_fault);
/* Appends /model/ID/operation. */
void bedrock_put_path(Text model, const char *operation, Buffer *out);

/* --- decode.c --- */

/* A stream on its way. */
typedef struct BedrockStream {
  Tell tell;
  Buffer thought;   /* the thinking of this block, as it stands between quotes */
  Buffer signature; /* the same */
  bool is_too_long; /* to be kept; then it is not told as a whole */
  bool in_call;     /* this block calls a tool */
  bool has_input;   /* with arguments */
} BedrockStream;

/* As in Dialect. */
int bedrock_decode_chat(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                        DialectFault *ret_fault);
/* As in Dialect; stream->own is a BedrockStream. */
int bedrock_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault);
/* Whether the message has said why it ends. */
bool bedrock_stream_is_whole(const DialectStream *stream);
/* Frees what a BedrockStream holds. */
void bedrock_stream_done(void *own);

/* --- models.c --- */

/* As in Dialect. */
int bedrock_encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault);
/* As in Dialect. */
int bedrock_decode_models(Text body, DialectModels *ret, DialectFault *ret_fault);

/* --- embed.c --- */

/* As in Dialect. */
int bedrock_encode_embed(Json request, DialectRequest *ret, DialectFault *ret_fault);
/* As in Dialect. */
int bedrock_decode_embed(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                         DialectFault *ret_fault);

/* --- framing.c --- */

/* AWS's event stream. The type of a frame is an event's, or of an exception or error with a '!' before it; then data is an
   object with its message. */
extern const Framing bedrock_framing;

/* --- error.c --- */

/* As in Dialect. */
void bedrock_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault);
/* What an exception in a stream means. Returns DIALECT_E_FAULT. */
int bedrock_fail_stream(Text type, Text data, DialectFault *ret_fault);

/* --- authorize.c --- */

/* As in Dialect. */
int bedrock_authorize(const DialectKey *key, const DialectSend *send, Buffer *ret_headers, DialectFault *ret_fault);

#endif
