/* What:      OpenAI's embeddings for dialects that have to say them in other words: the request read, the vectors told.
 * Owns:      nothing: everything borrows from the request.
 * May use:   base, json, contracts, fault.
 * Threading: any; pure.
 * Spec:      OpenAI's API description (openai/openai-openapi), "Create embeddings" */
#ifndef PONS_DIALECT_EMBED_H
#define PONS_DIALECT_EMBED_H

#include "adapters/dialect/fault.h"
#include "agents/contracts/contracts.h"
#include "bus/json/json.h"

typedef struct EmbedRequest {
  Json input;          /* a string, or a list of count strings */
  uint32_t count;      /* of texts */
  uint64_t dimensions; /* 0: the model's own */
  bool base64;         /* vectors are wanted as OpenAI packs them, and not as lists of numbers */
} EmbedRequest;

/* Reads request, an object. own: further members, the provider's own, NULL at the end; may be NULL. Returns 0, or
   DIALECT_E_FAULT with *ret_fault a mistake of the caller's: a member that about ("Gemini's API") does not have, no text,
   tokens, or more than texts_max. */
int embed_read(Json request, const char *about, uint32_t texts_max, const char *const *own, EmbedRequest *ret,
               DialectFault *ret_fault);
/* The text of index, below count. */
Json embed_text(const EmbedRequest *request, uint32_t index);

/* Appends the beginning of OpenAI's list of embeddings. */
void embed_begin(Buffer *out);
/* Appends the vector of index, counted from 0; values is a list of numbers. */
void embed_put_vector(Json values, uint32_t index, bool base64, Buffer *out);
/* Appends the end; of usage what is known. */
void embed_end(Text model, const ChatUsage *usage, Buffer *out);

#endif
