/* What:      what a request weighs: one walk over its JSON, in place.
 * Owns:      nothing.
 * May use:   base, json.
 * Threading: any; pure.
 * Spec:      docs/adr/0022-size-by-estimated-tokens.md */
#ifndef PONS_FOOTPRINT_FOOTPRINT_H
#define PONS_FOOTPRINT_FOOTPRINT_H

#include "bus/json/json.h"

enum {
  FOOTPRINT_E_JSON = 1, /* the request is no JSON */
  FOOTPRINT_E_OBJECT,   /* it is, but no object */
};

/* What is counted in a request; all zero is an empty one. */
typedef struct Footprint {
  bool is_embedding;     /* it has input and no messages */
  uint32_t messages;     /* or inputs of an embedding */
  uint64_t text_bytes;   /* of all texts, unescaped, as UTF-8 */
  uint64_t input_tokens; /* estimated; of an embedding the largest input, since each has the context to itself */
  uint32_t images;       /* pictures to be seen */
  uint32_t attachments;  /* sounds and files */
  uint32_t tools;        /* functions that the model may call */
  bool wants_api;        /* several choices, probabilities or biases: what only a whole API has */
  bool wants_reasoning;  /* reasoning_effort asks for some */
  bool is_stream;        /* stream: true */
  bool can_wait;         /* service_tier is flex or batch */
  bool has_limit;        /* the request limits its answer, by a number above 0, to: */
  uint64_t limit_tokens; /* max_completion_tokens, else max_tokens */
  uint64_t choices;      /* n; 1 when it says nothing */
} Footprint;

/* Measures request, the body of POST /v1/chat/completions or /v1/embeddings. Members that it does not know, and known ones
   of another type, weigh nothing: who executes the request judges them. Returns 0; FOOTPRINT_E_JSON with *fault filled;
   FOOTPRINT_E_OBJECT. On failure *ret is left alone. Linear; allocates only for names that have escapes. */
int footprint_measure(Text request, Footprint *ret, JsonFault *fault);

/* Tokens of a JSON string's contents, in quarters, and its bytes of UTF-8, added to *ret_quarters and *ret_bytes. By
   character: ASCII a quarter (OpenAI's rule of thumb for English, four characters a token), two bytes of UTF-8 a half, three
   bytes (Chinese, Japanese, Korean) one, four bytes (emoji) two. */
void footprint_weigh(Json string, uint64_t *ret_quarters, uint64_t *ret_bytes);

#endif
