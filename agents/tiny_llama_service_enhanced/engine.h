/* What:      a language model in this process: loaded from a GGUF file, it continues prompts and embeds texts.
 * Owns:      an Engine owns the model and its contexts.
 * May use:   base; order, prompt. Nothing of libllama is seen here: engine.c is built with it, engine-none.c without.
 * Threading: one thread at a time, with a stack of ENGINE_STACK_BYTES: libllama recurses over grammars.
 * Spec:      docs/local-models.md */
#ifndef PONS_LOCAL_ENGINE_H
#define PONS_LOCAL_ENGINE_H

#include "agents/tiny_llama_service_enhanced/order.h"
#include "agents/tiny_llama_service_enhanced/prompt.h"

enum { ENGINE_STACK_BYTES = 64 << 20 /* of address space; what is not touched costs nothing */ };

enum {
  ENGINE_E_LIBRARY = 1, /* libllama is not there, or another version */
  ENGINE_E_MODEL,       /* the file is not there, is no model, or does not fit into memory */
  ENGINE_E_CONTEXT,     /* the prompt is longer than the context */
  ENGINE_E_GRAMMAR,     /* the grammar is none, or allows nothing further */
  ENGINE_E_CANCELLED,   /* the task's is_wanted said no */
  ENGINE_E_FAILED,      /* libllama failed at it */
};

typedef struct Engine Engine;

/* Texts are borrowed. */
typedef struct EngineOptions {
  const char *library_dir; /* NULL = beside the programs */
  const char *file;        /* NULL = none is configured */
  uint32_t threads;
  uint32_t context_tokens;
  uint32_t gpu_layers;
  bool (*is_wanted)(void *userdata); /* asked while the model loads; false gives up */
  void *userdata;
} EngineOptions;

/* Opens library and model. Returns 0 and the caller owns *ret, with what is amiss all the same in why; ENGINE_E_LIBRARY, _MODEL, _CANCELLED, with sentences in why
   that say what to do. Blocks for as long as reading the file takes. */
int engine_open(const EngineOptions *options, Engine **ret, Buffer *why);
/* Frees it and nulls the pointer; takes NULL. Usable as _cleanup_. */
void engine_close(Engine **engine);
/* The library without which none of this works: 0 or ENGINE_E_LIBRARY with the reason in why; opens it. */
int engine_check_library(const EngineOptions *options, Buffer *why);

typedef struct EngineTask {
  const Order *order;
  const Prompt *prompt;
  bool (*is_wanted)(void *userdata);            /* asked between tokens and inside long steps */
  bool (*on_token)(void *userdata, Bytes text); /* the bytes of one token, maybe half a character; false = enough */
  void *userdata;
} EngineTask;

typedef struct EngineResult {
  uint32_t prompt_tokens;
  uint32_t completion_tokens; /* without the one that ends it */
  bool is_cut;                /* by max_tokens or by the context, not by the model's own end */
} EngineResult;

/* Continues the prompt. Returns 0; ENGINE_E_CONTEXT, _GRAMMAR, _CANCELLED, _FAILED with a sentence in why. *ret is right in
   each case. Blocks. */
int engine_generate(Engine *engine, const EngineTask *task, EngineResult *ret, Buffer *why);
/* The mean of a text's token vectors, of length 1. Returns 0, *ret_values borrowed until the next call, and adds the text's
   tokens to *tokens; ENGINE_E_CONTEXT, _CANCELLED, _FAILED with a sentence in why. Blocks. */
int engine_embed(Engine *engine, Text text, const EngineTask *task, const float **ret_values, size_t *ret_count,
                 uint32_t *tokens, Buffer *why);

#endif
