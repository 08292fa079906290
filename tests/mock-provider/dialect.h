/* What:      what a provider's dialect is to the server: a row of functions. One file per dialect, one line in dialects.c.
 * Owns:      an Answer owns its buffers and its story.
 * May use:   bus/base, bus/json, http, knobs, story.
 * Threading: one thread; pure.
 * Spec:      README.md, "Another dialect" */
#ifndef PONS_TESTS_MOCK_DIALECT_H
#define PONS_TESTS_MOCK_DIALECT_H

#include "tests/mock-provider/http.h"
#include "tests/mock-provider/knobs.h"
#include "tests/mock-provider/story.h"

/* One request, as a dialect sees it. */
typedef struct Ask {
  const HttpRequest *http;
  Text path; /* without the knobs */
  Knobs knobs;
  uint64_t number;    /* of all requests, from 1 */
  const char *key;    /* what the caller must show, or NULL */
  const char *models; /* "a,b": the models there are; NULL = any */
} Ask;

/* What is to be answered. All zero is empty; answer_done frees. */
typedef struct Answer {
  unsigned status;
  const char *type; /* content type */
  Buffer headers;   /* lines of the dialect's own, each with CRLF */
  Buffer body;      /* of a plain answer */
  bool streams;     /* body is told in parts instead */
  Story story;
} Answer;

/* PART_FIRST comes with the first chunk; PART_ERROR ends a stream in place of PART_LAST, PART_USAGE and PART_DONE. */
typedef enum Part { PART_FIRST, PART_CHUNK, PART_LAST, PART_USAGE, PART_ERROR, PART_DONE } Part;

typedef struct Dialect {
  const char *name;
  /* Whether a path (without knobs) is this dialect's. */
  bool (*claims)(Text path);
  /* When to come again is said in the body of an error, and in no header. */
  bool retry_in_body;
  /* Checks a request as the real one does and fills ret, whose fields are all zero. */
  void (*answer)(const Ask *ask, Answer *ret);
  /* Fills ret with an error in this dialect's shape. status 0: what goes with code. code and message may be NULL. */
  void (*error)(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret);
  /* Appends one part of a stream, framed; index is the chunk's. May append nothing. */
  void (*put_part)(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out);
} Dialect;

extern const Dialect DIALECT_OPENAI;
extern const Dialect DIALECT_ANTHROPIC;
extern const Dialect DIALECT_GEMINI;
extern const Dialect DIALECT_BEDROCK;
extern const Dialect DIALECT_AZURE;
extern const Dialect DIALECT_CUSTOM;

/* The dialect of a path; the first of the table when nobody claims it. */
const Dialect *dialect_of(Text path);

/* Frees what an answer holds and empties it. */
void answer_done(Answer *answer);

#endif
