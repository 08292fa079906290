/* What:      what the files of Gemini's dialect share: an error in google.rpc.Status shape, the tables of its messages, a
 *            request checked.
 * Owns:      nothing.
 * May use:   dialect, bus/json.
 * Threading: one thread; pure.
 * Spec:      Gemini API reference v1beta: generateContent, embedContent, models; google.rpc.Status */
#ifndef PONS_TESTS_MOCK_GEMINI_INTERNAL_H
#define PONS_TESTS_MOCK_GEMINI_INTERNAL_H

#include "tests/mock-provider/dialect.h"

/* --- gemini-fields.c: a body held against the tables of messages --- */

typedef enum GeminiKind {
  KIND_TEXT,
  KIND_REAL,
  KIND_WHOLE,
  KIND_BOOL,
  KIND_ANY,
  KIND_STRUCT,
  KIND_BASE64,
  KIND_ENUM,
  KIND_MESSAGE,
  KIND_MAP
} GeminiKind;

/* A field of a message; a table ends with a row without a name. */
typedef struct GeminiField {
  const char *name; /* as JSON has it: camelCase; snake_case is taken too */
  GeminiKind kind;
  bool repeated;
  const struct GeminiField *of; /* KIND_MESSAGE; KIND_MAP: of its values */
  const char *words;            /* KIND_ENUM: "A B C" */
} GeminiField;

extern const GeminiField GEMINI_GENERATE[];
extern const GeminiField GEMINI_EMBED[];
extern const GeminiField GEMINI_BATCH_EMBED[];

/* Holds a body against a table, as Google's JSON reader does: unknown names (unless lax), types, the words of enums. Returns
   true, or false with ret filled. */
bool gemini_check_fields(const Ask *ask, const GeminiField *fields, Json body, Answer *ret);
/* The member of that name, given in camelCase, in either spelling. */
Json gemini_find(Json object, const char *name);

/* --- gemini-check.c: what the tables can't say --- */

/* What stands in a request that was checked. Borrows from its body. */
typedef struct GeminiAsk {
  Text model;
  Json contents;
  Json tools;
  uint64_t choices;
  uint64_t limit_tokens; /* 0 = none */
  bool no_calls;         /* toolConfig forbids them */
} GeminiAsk;

/* Checks a request of generateContent; ret_ask->model is set before. Returns true with the rest of *ret_ask filled, or false with
   ret filled. */
bool gemini_check_generate(const Ask *ask, Json body, GeminiAsk *ret_ask, Answer *ret);
/* One request of embedContent; named: it has to say the model, and the same as the path. */
bool gemini_check_embed(Json request, Text model, bool named, Answer *ret);

/* --- gemini.c --- */

/* Fills ret with {"error":{code,message,status,details}}. details: JSON objects without the brackets around the list, or NULL.
   Returns false, for a caller to pass on. */
bool gemini_fail(Answer *ret, unsigned code, const char *status, const char *details, const char *format, ...)
    _printf_(5, 6);
/* The usual one: 400 INVALID_ARGUMENT without details. */
#define gemini_invalid(ret, ...) gemini_fail(ret, 400, "INVALID_ARGUMENT", NULL, __VA_ARGS__)
/* Whether there is a model of this name. */
bool gemini_has_model(const Ask *ask, Text model);

/* The value of a parameter of a query, as it came; empty when absent. */
Text gemini_query(Text query, const char *name);

/* --- gemini-tell.c --- */

/* Answers generateContent, or streamGenerateContent, whose key, model and JSON were checked. */
void gemini_answer_generate(const Ask *ask, Json body, Text model, bool streams, Answer *ret);
/* As Dialect.put_part. */
void gemini_put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out);

/* --- gemini-errors.c --- */

/* Fills ret with what Gemini says for a status, or for the code that OpenAI would give. */
void gemini_error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret);

#endif
