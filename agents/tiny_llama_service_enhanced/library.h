/* What:      libllama, opened while the program runs: the functions that we use of it, by their own names.
 * Owns:      nothing; what was opened stays open to the end of the process.
 * May use:   base; llama.h of exactly the version that is opened.
 * Threading: library_open on one thread, once at a time; the functions as libllama says.
 * Spec:      llama.h; docs/local-models.md, "The library"; docs/adr/0024-libllama-at-run-time.md */
#ifndef PONS_LOCAL_LIBRARY_H
#define PONS_LOCAL_LIBRARY_H

#include <llama.h>

#include "bus/base/buffer.h"

#define LIBRARY_VERSION "0.5.0"
#define LIBRARY_GGML_VERSION "0.25.1"

enum {
  LIBRARY_E_ABSENT = 1,  /* there is no libllama in the folder, or it can't be opened */
  LIBRARY_E_VERSION = 2, /* it is another version than the headers that this program was built with */
};

#define LIBRARY_FUNCTIONS(X)                                                                                           \
  X(llama_version)                                                                                                     \
  X(llama_backend_init)                                                                                                \
  X(llama_supports_gpu_offload)                                                                                        \
  X(llama_log_set)                                                                                                     \
  X(llama_model_default_params)                                                                                        \
  X(llama_model_load_from_file)                                                                                        \
  X(llama_model_free)                                                                                                  \
  X(llama_model_get_vocab)                                                                                             \
  X(llama_model_n_embd)                                                                                                \
  X(llama_context_default_params)                                                                                      \
  X(llama_init_from_model)                                                                                             \
  X(llama_free)                                                                                                        \
  X(llama_n_ctx)                                                                                                       \
  X(llama_get_memory)                                                                                                  \
  X(llama_memory_clear)                                                                                                \
  X(llama_tokenize)                                                                                                    \
  X(llama_token_to_piece)                                                                                              \
  X(llama_vocab_is_eog)                                                                                                \
  X(llama_vocab_n_tokens)                                                                                              \
  X(llama_vocab_bos)                                                                                                   \
  X(llama_vocab_get_add_bos)                                                                                           \
  X(llama_batch_init)                                                                                                  \
  X(llama_batch_free)                                                                                                  \
  X(llama_decode)                                                                                                      \
  X(llama_set_abort_callback)                                                                                          \
  X(llama_get_logits_ith)                                                                                              \
  X(llama_get_embeddings_seq)                                                                                          \
  X(llama_sampler_chain_default_params)                                                                                \
  X(llama_sampler_chain_init)                                                                                          \
  X(llama_sampler_chain_add)                                                                                           \
  X(llama_sampler_init_greedy)                                                                                         \
  X(llama_sampler_init_penalties)                                                                                      \
  X(llama_sampler_init_top_k)                                                                                          \
  X(llama_sampler_init_top_p)                                                                                          \
  X(llama_sampler_init_temp)                                                                                           \
  X(llama_sampler_init_dist)                                                                                           \
  X(llama_sampler_init_grammar)                                                                                        \
  X(llama_sampler_apply)                                                                                               \
  X(llama_sampler_accept)                                                                                              \
  X(llama_sampler_free)

typedef struct Library {
#define LIBRARY_MEMBER(name) __typeof__(&name) name;
  LIBRARY_FUNCTIONS(LIBRARY_MEMBER)
#undef LIBRARY_MEMBER
} Library;

/* Opens libllama and its backends in folder; NULL = llama/lib beside the folder of the programs, or one above that. Once
   it has succeeded it gives the same again. Returns 0 and *ret lives as long as the process; LIBRARY_E_* with one sentence in
   why, and *ret is left alone. Reads files. */
int library_open(const char *folder, const Library **ret, Buffer *why);
/* The first error that libllama has logged since the last call, appended to ret, or nothing. Any thread. */
void library_take_error(Buffer *ret);

#endif
