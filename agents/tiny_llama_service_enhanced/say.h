/* What:      answers as OpenAI's JSON: chunks as server-sent events, whole completions, lists of embeddings.
 * Owns:      nothing.
 * May use:   base, json.
 * Threading: any; pure.
 * Spec:      OpenAI's chat.completion.chunk, chat.completion and list of embeddings */
#ifndef PONS_LOCAL_SAY_H
#define PONS_LOCAL_SAY_H

#include "bus/base/buffer.h"

/* What stands in every object of one answer. */
typedef struct SayHead {
  Text request; /* its id: "chatcmpl-" is put in front */
  Text model;
  uint64_t created_s; /* since 1970 */
  bool usage_follows; /* then every chunk says "usage":null, as OpenAI's do */
} SayHead;

typedef struct SayUsage {
  uint32_t prompt_tokens;
  uint32_t completion_tokens;
} SayUsage;

/* Each appends one event, `data: {…}` and an empty line: the first, which says who speaks; a piece of text; the end with
   its reason, "stop" or "length"; the usage. */
void say_role(Buffer *buffer, const SayHead *head);
void say_delta(Buffer *buffer, const SayHead *head, Text text);
void say_finish(Buffer *buffer, const SayHead *head, const char *reason);
void say_usage(Buffer *buffer, const SayHead *head, const SayUsage *usage);
/* Appends a whole chat.completion object. */
void say_completion(Buffer *buffer, const SayHead *head, Text text, const char *reason, const SayUsage *usage);

/* A list of embeddings: begin, one for each input in order, end. */
void say_embeddings_begin(Buffer *buffer);
void say_embedding(Buffer *buffer, size_t index, const float *values, size_t count, bool base64);
void say_embeddings_end(Buffer *buffer, Text model, uint32_t prompt_tokens);

#endif
