/* What:      what the files of Bedrock's dialect share: its errors, its signature, its framing, the tables of its messages.
 * Owns:      nothing.
 * May use:   dialect, bus/json.
 * Threading: one thread; pure but for the clock that a signature is held against.
 * Spec:      Amazon Bedrock API reference: Converse, ConverseStream, InvokeModel; SigV4; Amazon Event Stream Specification */
#ifndef PONS_TESTS_MOCK_BEDROCK_INTERNAL_H
#define PONS_TESTS_MOCK_BEDROCK_INTERNAL_H

#include "tests/mock-provider/dialect.h"

/* --- bedrock-errors.c --- */

/* Fills ret with {"message": ...} and x-amzn-ErrorType. Returns false, for a caller to pass on. */
bool bedrock_fail(Answer *ret, unsigned status, const char *type, const char *format, ...) _printf_(4, 5);
/* The usual one. */
#define bedrock_invalid(ret, ...) bedrock_fail(ret, 400, "ValidationException", __VA_ARGS__)
/* As Dialect.error: code is a type of Bedrock's or what OpenAI would say. */
void bedrock_error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret);
/* Appends the message of a stream that says so. */
void bedrock_put_exception(const Ask *ask, Buffer *out);

/* --- bedrock-sign.c --- */

/* Checks who asks against ask->key, "ID:SECRET" or "ID:SECRET:TOKEN" (SigV4) or a key of one word (bearer). Returns true, or false
   with ret filled. */
bool bedrock_check_signature(const Ask *ask, Answer *ret);

/* --- bedrock-frame.c --- */

typedef enum BedrockMessage { BEDROCK_EVENT, BEDROCK_EXCEPTION, BEDROCK_ERROR } BedrockMessage;

/* Appends one message: type is of the event or of the exception, or the code of an error, whose payload is its text. */
void bedrock_put_message(BedrockMessage message, const char *type, Text payload, Buffer *out);
/* The same for an event whose payload is formatted. */
void bedrock_put_event(Buffer *out, const char *type, const char *format, ...) _printf_(3, 4);

/* --- bedrock-fields.c: a body held against the tables of its shapes --- */

/* Checks a body of Converse. Returns true, or false with ret filled. */
bool bedrock_check_fields(const Ask *ask, Json body, Answer *ret);

/* --- bedrock-check.c: what the tables can't say --- */

/* What stands in a request that was checked. Borrows from its body. */
typedef struct BedrockAsk {
  Json messages;
  Json system;
  Json tools;
  uint64_t limit_tokens; /* 0 = none */
  bool thinks;
} BedrockAsk;

/* Checks a request of Converse whose fields were checked. Returns true with *ret_ask filled, or false with ret filled. */
bool bedrock_check_converse(Json body, BedrockAsk *ret_ask, Answer *ret);

/* --- bedrock-tell.c --- */

/* Appends the whole answer of a story that was planned; story->calls has a call in each line. */
void bedrock_put_plain(const Ask *ask, Story *story, Buffer *out);
/* As Dialect.put_part. */
void bedrock_put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out);

/* --- bedrock-invoke.c --- */

/* Answers InvokeModel for embeddings of Titan and of Cohere. */
void bedrock_answer_invoke(const Ask *ask, Text model, Json body, Answer *ret);

/* --- bedrock-claude.c --- */

/* Answers InvokeModel and InvokeModelWithResponseStream for Claude, in Anthropic's words. */
void bedrock_answer_claude(const Ask *ask, const char *model, Json body, bool streams, Answer *ret);
/* Appends one part of such a stream. */
void bedrock_put_claude(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out);

#endif
