/* We apply the samplers ourselves instead of by llama_sampler_sample: that one lets an exception out of C++ when a grammar has
   come to its end in a way that no token fits, and so a caller's grammar would end the process. */
#ifdef PONS_LIBLLAMA
#include "agents/tiny_llama_service_enhanced/sampling.h"

#include <math.h>
#include <stdlib.h>

#include "bus/base/ids.h"

enum { PENALTY_WINDOW = 1024 /* tokens that penalties look back at */ };

struct Sampling {
  const Library *library;
  struct llama_sampler *grammar; /* NULL = none */
  struct llama_sampler *chain;
  llama_token_data *candidates;
  size_t count;
};

static void add(const Library *library, struct llama_sampler *chain, struct llama_sampler *link) {
  library->llama_sampler_chain_add(chain, link);
}

static struct llama_sampler *make_chain(const Library *library, const Order *order, int32_t words) {
  struct llama_sampler *chain = library->llama_sampler_chain_init(library->llama_sampler_chain_default_params());
  uint32_t seed = order->has_seed ? order->seed : (uint32_t)random_u64() & 0x7fffffff;

  if (order->presence != 0 || order->frequency != 0)
    add(library, chain,
        library->llama_sampler_init_penalties(words, PENALTY_WINDOW, 1, (float)order->frequency,
                                              (float)order->presence));
  if (order->temperature <= 0) {
    add(library, chain, library->llama_sampler_init_greedy());
    return chain;
  }
  if (order->top_k > 0)
    add(library, chain, library->llama_sampler_init_top_k((int32_t)min_u64(order->top_k, (uint64_t)words)));
  add(library, chain, library->llama_sampler_init_top_p((float)order->top_p, 1));
  add(library, chain, library->llama_sampler_init_temp((float)order->temperature));
  add(library, chain, library->llama_sampler_init_dist(seed));
  return chain;
}

int sampling_new(const Library *library, const struct llama_vocab *vocab, const Order *order, Sampling **ret,
                 Buffer *why) {
  struct llama_sampler *grammar = NULL;
  Sampling *sampling;
  int32_t words = library->llama_vocab_n_tokens(vocab);

  if (order->grammar.size > 0) {
    grammar = library->llama_sampler_init_grammar(vocab, (const char *)order->grammar.data, "root");
    if (!grammar) {
      buffer_printf(why, "the grammar is no GBNF with a rule named root");
      return ENGINE_E_GRAMMAR;
    }
  }
  sampling = calloc(1, sizeof *sampling);
  if (sampling)
    sampling->candidates = calloc((size_t)words, sizeof *sampling->candidates);
  if (!sampling || !sampling->candidates)
    abort();
  sampling->library = library;
  sampling->grammar = grammar;
  sampling->chain = make_chain(library, order, words);
  sampling->count = (size_t)words;
  *ret = sampling;
  return 0;
}

static bool any_allowed(const llama_token_data_array *candidates) {
  for (size_t i = 0; i < candidates->size; i++)
    if (candidates->data[i].logit > -INFINITY)
      return true;
  return false;
}

int sampling_next(Sampling *sampling, const float *logits, llama_token *ret, Buffer *why) {
  const Library *library = sampling->library;
  llama_token_data_array candidates = {.data = sampling->candidates, .size = sampling->count, .selected = -1};

  for (size_t i = 0; i < sampling->count; i++)
    sampling->candidates[i] = (llama_token_data){.id = (llama_token)i, .logit = logits[i]};
  if (sampling->grammar)
    library->llama_sampler_apply(sampling->grammar, &candidates);
  if (!any_allowed(&candidates)) {
    buffer_printf(why, "the grammar allows none of the model's tokens after what was written");
    return ENGINE_E_GRAMMAR;
  }
  library->llama_sampler_apply(sampling->chain, &candidates);
  if (candidates.selected < 0 || (size_t)candidates.selected >= candidates.size)
    candidates.selected = 0;
  *ret = candidates.data[candidates.selected].id;
  if (sampling->grammar)
    library->llama_sampler_accept(sampling->grammar, *ret);
  library->llama_sampler_accept(sampling->chain, *ret);
  return 0;
}

void sampling_destroy(Sampling **p) {
  Sampling *sampling = TAKE(*p);

  if (!sampling)
    return;
  if (sampling->grammar)
    sampling->library->llama_sampler_free(sampling->grammar);
  sampling->library->llama_sampler_free(sampling->chain);
  free(sampling->candidates);
  free(sampling);
}

#else
/* Built without libllama: engine-none.c. */
typedef int SamplingNone;
#endif
