/* What:      what an answer tells, whatever the dialect: its chunks, its counts, how it ends.
 * Owns:      the echoed text, the calls.
 * May use:   bus/base, bus/json, knobs.
 * Threading: one thread; pure.
 * Spec:      README.md, "What it answers" */
#ifndef PONS_TESTS_MOCK_STORY_H
#define PONS_TESTS_MOCK_STORY_H

#include "bus/json/json.h"
#include "tests/mock-provider/knobs.h"

typedef struct Story {
  uint64_t number; /* ids come from it */
  uint64_t created_s;
  char model[129];
  uint32_t chunks;
  uint32_t chunk_bytes; /* size of each chunk's content; 0 = a word each */
  uint32_t choices;
  uint32_t prompt_tokens;
  uint32_t answer_tokens;
  bool cut_short; /* the caller's limit of tokens came first */
  bool usage;     /* wanted, and not withheld */
  bool claude;    /* it is told in Anthropic's words inside of Bedrock's messages */
  bool words;     /* what is told is a transcription and no completion */
  bool broken;    /* the next chunk is to be no JSON */
  Buffer echo;    /* contents of JSON strings, escapes as they came; empty = words of our own */
  size_t echo_at; /* how much of it was told */
  Buffer calls;   /* of tools, as the dialect tells them */
} Story;

/* Begins a story: number and time are the seed's when there is one. Everything else is empty. */
void story_begin(Story *story, const Knobs *knobs, uint64_t number);

/* How much is to be told: the knobs' tokens or the echo's words, at most limit_tokens (0 = no limit). */
void story_plan(Story *story, const Knobs *knobs, uint64_t limit_tokens);

/* Appends the contents of chunk `index`, ready to stand between quotes in JSON. In order, each once. */
void story_put_chunk(Story *story, uint32_t index, Buffer *out);

/* Appends all contents; with `bytes` exactly so many. */
void story_put_all(Story *story, const Knobs *knobs, Buffer *out);

/* The number of words, blanks between them; a JSON string's raw text will do. */
uint32_t story_words(Text text);

/* Frees the echo and the calls. */
void story_done(Story *story);

#endif
