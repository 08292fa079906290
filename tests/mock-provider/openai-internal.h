/* What:      what the files of OpenAI's dialect share: an error in its shape, and a chat or embeddings request checked.
 * Owns:      nothing.
 * May use:   dialect, bus/json.
 * Threading: one thread; pure.
 * Spec:      OpenAI API reference: chat, embeddings, models, errors */
#ifndef PONS_TESTS_MOCK_OPENAI_INTERNAL_H
#define PONS_TESTS_MOCK_OPENAI_INTERNAL_H

#include "tests/mock-provider/dialect.h"

/* What stands in a request that was checked. Borrows from its body. */
typedef struct OpenAiAsk {
  Json model;
  Json messages;
  Json tools;
  bool no_calls; /* tool_choice forbids them */
  Json input;    /* embeddings */
  bool stream;
  bool include_usage;
  uint64_t choices;
  uint64_t limit_tokens; /* 0 = none */
  uint64_t dimensions;
  bool base64;
} OpenAiAsk;

typedef enum OpenAiKind {
  OPENAI_ANY, /* or looked at elsewhere */
  OPENAI_TEXT,
  OPENAI_WORD,
  OPENAI_BOOL,
  OPENAI_WHOLE,
  OPENAI_REAL,
  OPENAI_LIST,
  OPENAI_OBJECT,
} OpenAiKind;

/* A member of an object; tables of them end with OPENAI_END. null is as good as absent. */
typedef struct OpenAiField {
  const char *name;
  OpenAiKind kind;
  bool required;
  const char *words;  /* of OPENAI_WORD, with blanks between them */
  double least, most; /* of numbers */
} OpenAiField;

#define OPENAI_HAS(name, kind)                                                                                         \
  { name, OPENAI_##kind, false, NULL, 0, 0 }
#define OPENAI_NEEDS(name, kind)                                                                                       \
  { name, OPENAI_##kind, true, NULL, 0, 0 }
#define OPENAI_RANGE(name, kind, least, most)                                                                          \
  { name, OPENAI_##kind, false, NULL, least, most }
#define OPENAI_IS(name, words)                                                                                         \
  { name, OPENAI_WORD, true, words, 0, 0 }
#define OPENAI_IS_MAYBE(name, words)                                                                                   \
  { name, OPENAI_WORD, false, words, 0, 0 }
#define OPENAI_END                                                                                                     \
  { NULL, OPENAI_ANY, false, NULL, 0, 0 }

/* Fills ret with {"error":{message,type,param,code}}. param and code may be NULL. Returns false, for a caller to pass on. */
bool openai_fail(Answer *ret, unsigned status, const char *type, const char *code, const char *param,
                 const char *format, ...) _printf_(6, 7);
/* The same for what is there with another type, or is not there. */
bool openai_wrong_type(Answer *ret, const char *param, JsonType wanted, Json got);
bool openai_missing(Answer *ret, const char *param);

/* Holds an object against a table; path stands before the names of its members, "" or "tools[0].". Returns true, or false with
   ret filled. */
bool openai_check_fields(const Ask *ask, const char *path, Json object, const OpenAiField *fields, Answer *ret);
/* The same for a body, whose members' values it leaves in ret_found, which is all zero and has a place for each row of the table; what
   is null stays none. A table has at most 64 rows. */
bool openai_read_fields(const Ask *ask, Json object, const OpenAiField *fields, Json *ret_found, Answer *ret);
/* A member, or none when it is null. */
Json openai_find(Json object, const char *name);
/* Whether text is one of words, which have blanks between them. */
bool openai_is_one_of(Text text, const char *words);
/* Whether value is a string of 1 to 64 letters, digits, _ and -. */
bool openai_is_name(Json value);

/* Checks the Authorization header. Returns true, or false with ret filled, as all of these. */
bool openai_check_key(const Ask *ask, Answer *ret);
/* Checks the content type, and that the body is an object. */
bool openai_check_body(const Ask *ask, Json *ret_body, Answer *ret);
bool openai_check_model(const Ask *ask, Json model, Answer *ret);
bool openai_check_messages(const Ask *ask, Json messages, Answer *ret);
/* Of a chat's body; those that are not there are none. */
typedef struct OpenAiTools {
  Json tools;
  Json choice;
  Json parallel;
  Json format; /* response_format */
  Json messages;
} OpenAiTools;

/* Checks them, each by itself and with the others. */
bool openai_check_tools(const Ask *ask, const OpenAiTools *asked, Answer *ret);

/* Checks the body of a chat request. Returns true with *ret_ask filled, or false with ret filled. */
bool openai_check_chat(const Ask *ask, OpenAiAsk *ret_ask, Answer *ret);

/* The same for embeddings. */
bool openai_check_embeddings(const Ask *ask, OpenAiAsk *ret_ask, Answer *ret);

/* Begins the story of the calls that the knob asks for; tells them in a whole message, or as events of a stream. */
void openai_plan_calls(const Ask *ask, const OpenAiAsk *asked, Story *story);
void openai_put_calls(const Story *story, Buffer *out);
void openai_put_call_events(const Story *story, Buffer *out);
/* Appends an event of a stream whose first choice has this delta; its members as text. */
void openai_put_delta(const Story *story, const char *delta, Buffer *out);

/* Answers a form with a recording in it. */
void openai_answer_transcriptions(const Ask *ask, Answer *ret);
/* Appends bytes in base64. */
void openai_put_base64(const uint8_t *data, size_t size, Buffer *out);
/* Appends one part of a transcription that comes as a stream. */
void openai_put_words(Story *story, Part part, uint32_t index, Buffer *out);
/* Answers /v1/fine_tuning/jobs and what lies below it. */
void openai_answer_tuning(const Ask *ask, Answer *ret);
/* Answers with sound. */
void openai_answer_speech(const Ask *ask, Answer *ret);
/* Whether there is a model of this name. */
bool openai_has_model(const Ask *ask, Text model);

#endif
