/* What:      an answer told in OpenAI's words: a chat.completion object, or chat.completion.chunk events as they come.
 * Owns:      a Tell its buffers.
 * May use:   base, json, contracts.
 * Threading: one thread; pure.
 * Spec:      OpenAI's API description (openai/openai-openapi), "The chat completion object", "chunk object" */
#ifndef PONS_DIALECT_TELL_H
#define PONS_DIALECT_TELL_H

#include "agents/contracts/contracts.h"
#include "bus/json/json.h"

/* One answer with one choice. The same calls tell a stream, each an event appended to *out at once, and a whole answer, which
   is gathered and appended by tell_end. All zero before tell_begin. */
typedef struct Tell {
  bool streams;
  bool has_role; /* the first chunk has said who speaks */
  Buffer head;   /* id, object, created, model: what each chunk begins with */
  uint32_t calls;
  uint64_t said_bytes; /* of texts, thoughts and arguments */
  Buffer content;      /* the rest: of a whole answer, as it stands between quotes or brackets */
  Buffer reasoning;
  Buffer call_list;
  Buffer members; /* further members of the message */
} Tell;

/* id and model as the provider has them, unescaped; created in seconds since 1970. */
void tell_begin(Tell *tell, bool streams, Text id, uint64_t created_s, Text model);
/* Whether it has begun. */
bool tell_has_begun(const Tell *tell);

/* Each piece is a JSON string as it came: quotes and escapes are kept. An empty one says nothing. */
void tell_content(Tell *tell, Json piece, Buffer *out);
void tell_reasoning(Tell *tell, Json piece, Buffer *out);
/* Begins the next tool call; id and name are JSON strings. The pieces of its arguments follow. */
void tell_call(Tell *tell, Json id, Json name, Buffer *out);
/* The same, with a member of the call that OpenAI doesn't have, value raw JSON. */
void tell_call_with(Tell *tell, Json id, Json name, const char *member, Text value, Buffer *out);
/* A piece of the text of the arguments, as a JSON string. */
void tell_arguments(Tell *tell, Json piece, Buffer *out);
/* The whole arguments as an object: written out as the text that OpenAI has in their place. */
void tell_arguments_object(Tell *tell, Json object, Buffer *out);
/* A member of the message that OpenAI doesn't have, value raw JSON. For a whole answer each name once. */
void tell_member(Tell *tell, const char *name, Text value, Buffer *out);

/* The end. reason: "stop", "length", "tool_calls" or "content_filter". usage: what is known of it; NULL: not to be told. In a
   stream the usage goes into a chunk of its own. */
void tell_end(Tell *tell, const char *reason, const ChatUsage *usage, Buffer *out);
/* The chunk of a stream that has the usage, by itself, for who knows it only later. */
void tell_usage(Tell *tell, const ChatUsage *usage, Buffer *out);

/* Appends OpenAI's usage object with what is known; nothing known: null. */
void tell_put_usage(const ChatUsage *usage, Buffer *out);

/* Frees. Usable as _cleanup_. */
void tell_done(Tell *tell);

#endif
