/* What:      what the files of Anthropic's dialect share: a refusal in its shape, objects held against tables, a request checked.
 * Owns:      nothing.
 * May use:   dialect, bus/json.
 * Threading: one thread; pure.
 * Spec:      Anthropic API reference, 2023-06-01: messages, count_tokens, errors */
#ifndef PONS_TESTS_MOCK_ANTHROPIC_INTERNAL_H
#define PONS_TESTS_MOCK_ANTHROPIC_INTERNAL_H

#include "tests/mock-provider/dialect.h"

/* A member of an object; a table ends with a row without a name. */
typedef struct AnthropicField {
  const char *name;
  JsonType type; /* JSON_NONE: any */
  bool required;
} AnthropicField;

/* What stands in a request that was checked. Borrows from its body. */
typedef struct AnthropicAsk {
  Json body;
  Json model;
  Json messages;
  Json tools;
  bool stream;
  bool no_calls; /* tool_choice forbids them */
  bool thinks;
  bool by_budget;        /* and not adaptively: then a turn with calls begins with what was thought */
  uint64_t limit_tokens; /* 0 = none */
} AnthropicAsk;

/* --- anthropic-errors.c --- */

/* Fills ret with {"type":"error","error":{type,message},"request_id"}. Returns false, for a caller to pass on. */
bool anthropic_fail(Answer *ret, unsigned status, const char *type, const char *format, ...) _printf_(4, 5);
/* The usual one: 400 invalid_request_error. */
#define anthropic_invalid(ret, ...) anthropic_fail(ret, 400, "invalid_request_error", __VA_ARGS__)
/* As Dialect.error. */
void anthropic_error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret);

/* --- anthropic.c --- */

/* Answers GET /v1/models, which OpenAI has too: by the header anthropic-version it is known whose is meant. */
void anthropic_answer_models(const Ask *ask, Answer *ret);

/* --- anthropic-check.c --- */

/* Holds object against a table; path is what stands before a member's name in a refusal ("tools.0."). Returns true, or false with
   ret filled. */
bool anthropic_check_fields(const Ask *ask, const char *path, Json object, const AnthropicField *fields, Answer *ret);
/* Whether text is one of the words of a list "a b c"; else refuses. */
bool anthropic_check_word(const char *path, Json text, const char *words, Answer *ret);
/* Checks the body of a request, counts: of count_tokens. Returns true with *ret_ask filled, or false with ret filled. */
bool anthropic_check(const Ask *ask, bool counts, AnthropicAsk *ret_ask, Answer *ret);

/* --- anthropic-blocks.c --- */

/* Checks messages and system, and what has to answer what. */
bool anthropic_check_messages(const Ask *ask, const AnthropicAsk *asked, Answer *ret);
/* A list of blocks of text, or a string. */
bool anthropic_check_system(const Ask *ask, Json system, Answer *ret);

/* --- anthropic-tell.c --- */

/* Begins the story of an answer. */
void anthropic_plan(const Ask *ask, const AnthropicAsk *asked, Story *story);
/* Appends the whole message. */
void anthropic_put_plain(const Ask *ask, Story *story, Buffer *out);
/* As Dialect.put_part. */
void anthropic_put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out);

#endif
