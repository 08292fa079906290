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
  Json input; /* embeddings */
  bool stream;
  bool include_usage;
  uint64_t choices;
  uint64_t limit_tokens; /* 0 = none */
  uint64_t dimensions;
  bool base64;
} OpenAiAsk;

/* Fills ret with {"error":{message,type,param,code}}. param and code may be NULL. Returns false, for a caller to pass on. */
bool openai_fail(Answer *ret, unsigned status, const char *type, const char *code, const char *param,
                 const char *format, ...) _printf_(6, 7);

/* Checks the Authorization header. Returns true, or false with ret filled. */
bool openai_check_key(const Ask *ask, Answer *ret);

/* Checks the body of a chat request. Returns true with *ret_ask filled, or false with ret filled. */
bool openai_check_chat(const Ask *ask, OpenAiAsk *ret_ask, Answer *ret);

/* The same for embeddings. */
bool openai_check_embeddings(const Ask *ask, OpenAiAsk *ret_ask, Answer *ret);

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
