/* What:      chooses the next token: grammar, penalties, top-k, top-p, temperature, chance.
 * Owns:      libllama's samplers and the list of candidates.
 * May use:   library, order, engine's error codes.
 * Threading: as the Engine.
 * Spec:      llama.h, "Sampling API" */
#ifndef PONS_LOCAL_SAMPLING_H
#define PONS_LOCAL_SAMPLING_H

#include "agents/tiny_llama_service_enhanced/engine.h"
#include "agents/tiny_llama_service_enhanced/library.h"

typedef struct Sampling Sampling;

/* Makes it for one answer. Returns 0 and the caller owns *ret; ENGINE_E_GRAMMAR with a sentence in why. */
int sampling_new(const Library *library, const struct llama_vocab *vocab, const Order *order, Sampling **ret,
                 Buffer *why);
/* Chooses by the logits of all tokens, and counts with the choice from now on. Returns 0; ENGINE_E_GRAMMAR with a sentence in
   why when the grammar allows none. */
int sampling_next(Sampling *sampling, const float *logits, llama_token *ret, Buffer *why);
/* Frees it; takes NULL, nulls the pointer. Usable as _cleanup_. */
void sampling_destroy(Sampling **sampling);

#endif
