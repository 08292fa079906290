/* One context for completions and, from the first embedding on, one for these: libllama pools vectors only in a context that
   was made for it. Each answer begins with an empty memory, so that the same seed gives the same words. */
#ifdef PONS_LIBLLAMA
#include "agents/tiny_llama_service_enhanced/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <unistd.h>

#include "agents/tiny_llama_service_enhanced/library.h"
#include "agents/tiny_llama_service_enhanced/sampling.h"

enum {
  BATCH_TOKENS = 512,   /* of a prompt, in one step */
  EMBED_TOKENS = 2048,  /* of a text to be embedded: its vectors are pooled in one step */
  TOKEN_BYTES_MAX = 64, /* the longest that a token is taken to be, where only an estimate is wanted */
  PIECE_BYTES = 512,
};

struct Engine {
  const Library *library;
  EngineOptions options;
  struct llama_model *model;
  const struct llama_vocab *vocab;
  struct llama_context *context;
  struct llama_context *embedder; /* NULL until the first embedding */
  struct llama_batch batch;
  struct llama_batch embed_batch;
  Buffer tokens; /* of llama_token */
  Buffer values; /* of float: the last embedding */
};

/* --- opening --- */

int engine_check_library(const EngineOptions *options, Buffer *why) {
  const Library *library;

  return library_open(options->library_dir, &library, why) == 0 ? 0 : ENGINE_E_LIBRARY;
}

/* What a person has to mend is said here; the rest only libllama can know. */
static int check_file(const char *path, Buffer *why) {
  char magic[4] = {0};
  ssize_t size;
  int fd;

  if (!path) {
    buffer_printf(why,
                  "no model is configured; put a GGUF file there and name it in local_llm.file (docs/local-models.md)");
    return ENGINE_E_MODEL;
  }
  fd = open(path, O_RDONLY | O_CLOEXEC);
  size = fd < 0 ? -1 : read(fd, magic, sizeof magic);
  if (size < 0)
    buffer_printf(why, "local_llm.file %s can't be read: %s", path, strerror(errno));
  else if (memcmp(magic, "GGUF", sizeof magic) != 0)
    buffer_printf(why, "local_llm.file %s is no GGUF file", path);
  if (fd >= 0)
    close(fd);
  return why->size > 0 ? ENGINE_E_MODEL : 0;
}

static bool on_progress(float done, void *userdata) {
  const EngineOptions *options = userdata;

  (void)done;
  return options->is_wanted(options->userdata);
}

static int load(Engine *engine, Buffer *why) {
  const EngineOptions *options = &engine->options;
  struct llama_model_params params = engine->library->llama_model_default_params();
  _cleanup_(buffer_done) Buffer said = {0};

  params.n_gpu_layers = (int32_t)options->gpu_layers;
  params.progress_callback = on_progress;
  params.progress_callback_user_data = &engine->options;
  library_take_error(&said);
  buffer_clear(&said);
  engine->model = engine->library->llama_model_load_from_file(options->file, params);
  if (engine->model)
    return 0;
  if (!options->is_wanted(options->userdata))
    return ENGINE_E_CANCELLED;
  library_take_error(&said);
  buffer_printf(why, "libllama can't load %s: %.*s", options->file, (int)said.size, (const char *)said.data);
  return ENGINE_E_MODEL;
}

static struct llama_context_params context_params(const Engine *engine, uint32_t context_tokens,
                                                  uint32_t batch_tokens) {
  struct llama_context_params params = engine->library->llama_context_default_params();

  params.n_ctx = context_tokens;
  params.n_batch = batch_tokens;
  params.n_ubatch = batch_tokens;
  params.n_seq_max = 1;
  params.n_threads = (int32_t)engine->options.threads;
  params.n_threads_batch = (int32_t)engine->options.threads;
  params.no_perf = true;
  return params;
}

static int make_context(Engine *engine, struct llama_context_params params, struct llama_context **ret, Buffer *why) {
  _cleanup_(buffer_done) Buffer said = {0};

  library_take_error(&said);
  buffer_clear(&said);
  *ret = engine->library->llama_init_from_model(engine->model, params);
  if (*ret)
    return 0;
  library_take_error(&said);
  buffer_printf(why,
                "libllama can't make a context of %u tokens (local_llm.context_tokens; is there memory for it?): %.*s",
                params.n_ctx, (int)said.size, (const char *)said.data);
  return ENGINE_E_MODEL;
}

int engine_open(const EngineOptions *options, Engine **ret, Buffer *why) {
  _cleanup_(engine_close) Engine *engine = calloc(1, sizeof *engine);
  int r;

  if (!engine)
    abort();
  engine->options = *options;
  if (library_open(options->library_dir, &engine->library, why) != 0)
    return ENGINE_E_LIBRARY;
  r = check_file(options->file, why);
  if (r == 0)
    r = load(engine, why);
  if (r == 0)
    r = make_context(engine, context_params(engine, options->context_tokens, BATCH_TOKENS), &engine->context, why);
  if (r != 0)
    return r;
  engine->vocab = engine->library->llama_model_get_vocab(engine->model);
  engine->batch = engine->library->llama_batch_init(BATCH_TOKENS, 0, 1);
  if (options->gpu_layers > 0 && !engine->library->llama_supports_gpu_offload())
    buffer_printf(why,
                  "it runs on the CPU, for libllama finds no GPU: does local_llm.library_dir have the build for Vulkan "
                  "(deploy/llm --vulkan), and is libvulkan1 installed?");
  *ret = TAKE(engine);
  return 0;
}

void engine_close(Engine **p) {
  Engine *engine = TAKE(*p);

  if (!engine)
    return;
  if (engine->batch.token)
    engine->library->llama_batch_free(engine->batch);
  if (engine->embed_batch.token)
    engine->library->llama_batch_free(engine->embed_batch);
  if (engine->embedder)
    engine->library->llama_free(engine->embedder);
  if (engine->context)
    engine->library->llama_free(engine->context);
  if (engine->model)
    engine->library->llama_model_free(engine->model);
  buffer_done(&engine->tokens);
  buffer_done(&engine->values);
  free(engine);
}

/* --- tokens --- */

static uint32_t tokens_count(const Engine *engine) {
  return (uint32_t)(engine->tokens.size / sizeof(llama_token));
}

static const llama_token *tokens_of(const Engine *engine) {
  return (const llama_token *)(const void *)engine->tokens.data;
}

/* Appends the tokens of a text. Returns false when libllama can't. */
static bool tokenize(Engine *engine, const char *text, size_t size, bool ends, bool marks) {
  size_t room = size + 8; /* a token is at least a byte, but for those that it adds itself */
  llama_token *at = (llama_token *)(void *)buffer_reserve(&engine->tokens, room * sizeof *at);
  int32_t count = engine->library->llama_tokenize(engine->vocab, text, (int32_t)size, at, (int32_t)room, ends, marks);

  if (count < 0)
    return false;
  engine->tokens.size += (size_t)count * sizeof *at;
  return true;
}

static int too_long(Buffer *why, const char *about, uint64_t tokens, uint32_t most) {
  buffer_printf(why, "the prompt has %s%llu tokens, and the context has %u, the answer included", about,
                (unsigned long long)tokens, most);
  return ENGINE_E_CONTEXT;
}

/* The prompt as tokens: part by part, so that what a user wrote is never taken for a mark of the model. */
static int tokenize_prompt(Engine *engine, const Prompt *prompt, Buffer *why) {
  const Library *library = engine->library;
  uint32_t most = library->llama_n_ctx(engine->context);
  llama_token first = library->llama_vocab_bos(engine->vocab);
  size_t count;
  const PromptPart *parts = prompt_parts(prompt, &count);
  const char *text = (const char *)prompt->text.data;

  if (prompt->text.size / TOKEN_BYTES_MAX > most)
    return too_long(why, "more than ", prompt->text.size / TOKEN_BYTES_MAX, most);
  buffer_clear(&engine->tokens);
  if (library->llama_vocab_get_add_bos(engine->vocab))
    buffer_append(&engine->tokens, &first, sizeof first);
  for (size_t i = 0; i < count; i++) {
    if (!tokenize(engine, text, parts[i].size_bytes, false, parts[i].is_special)) {
      buffer_printf(why, "libllama can't split the prompt into tokens");
      return ENGINE_E_FAILED;
    }
    text += parts[i].size_bytes;
  }
  return tokens_count(engine) < most ? 0 : too_long(why, "", tokens_count(engine), most);
}

/* --- steps --- */

/* libllama asks this in the middle of a step; true gives up. */
static bool on_abort(void *userdata) {
  const EngineTask *task = userdata;

  return !task->is_wanted(task->userdata);
}

static void set_batch(struct llama_batch *batch, const llama_token *tokens, uint32_t count, uint32_t position,
                      bool all) {
  batch->n_tokens = (int32_t)count;
  for (uint32_t i = 0; i < count; i++) {
    batch->token[i] = tokens[i];
    batch->pos[i] = (llama_pos)(position + i);
    batch->n_seq_id[i] = 1;
    batch->seq_id[i][0] = 0;
    batch->logits[i] = all || i + 1 == count;
  }
}

static int step(Engine *engine, const EngineTask *task, const llama_token *tokens, uint32_t count, uint32_t position,
                Buffer *why) {
  int32_t r;

  if (!task->is_wanted(task->userdata))
    return ENGINE_E_CANCELLED;
  set_batch(&engine->batch, tokens, count, position, false);
  r = engine->library->llama_decode(engine->context, engine->batch);
  if (r == 0)
    return 0;
  if (r == 2)
    return ENGINE_E_CANCELLED;
  buffer_printf(why, "libllama failed at token %u: ", position);
  library_take_error(why);
  return ENGINE_E_FAILED;
}

static int read_prompt(Engine *engine, const EngineTask *task, uint32_t count, Buffer *why) {
  int r = 0;

  for (uint32_t at = 0; r == 0 && at < count; at += BATCH_TOKENS)
    r = step(engine, task, tokens_of(engine) + at, (uint32_t)min_u64(count - at, BATCH_TOKENS), at, why);
  return r;
}

/* Gives the bytes of a token to the task. Returns false when it has enough. */
static bool hand_over(Engine *engine, const EngineTask *task, llama_token token) {
  char piece[PIECE_BYTES];
  int32_t size = engine->library->llama_token_to_piece(engine->vocab, token, piece, sizeof piece, 0, false);

  return size <= 0 || task->on_token(task->userdata, (Bytes){(const uint8_t *)piece, (size_t)size});
}

static int write_answer(Engine *engine, const EngineTask *task, Sampling *sampling, EngineResult *ret, Buffer *why) {
  uint64_t room = engine->library->llama_n_ctx(engine->context) - ret->prompt_tokens;
  uint64_t most = task->order->max_tokens ? min_u64(task->order->max_tokens, room) : room;

  for (;;) {
    llama_token token;
    int r = sampling_next(sampling, engine->library->llama_get_logits_ith(engine->context, -1), &token, why);

    if (r != 0)
      return r;
    if (engine->library->llama_vocab_is_eog(engine->vocab, token))
      return 0;
    ret->completion_tokens++;
    if (!hand_over(engine, task, token))
      return 0;
    ret->is_cut = ret->completion_tokens == most;
    if (ret->is_cut)
      return 0;
    r = step(engine, task, &token, 1, ret->prompt_tokens + ret->completion_tokens - 1, why);
    if (r != 0)
      return r;
  }
}

int engine_generate(Engine *engine, const EngineTask *task, EngineResult *ret, Buffer *why) {
  const Library *library = engine->library;
  _cleanup_(sampling_destroy) Sampling *sampling = NULL;
  int r = tokenize_prompt(engine, task->prompt, why);

  *ret = (EngineResult){.prompt_tokens = tokens_count(engine)};
  if (r == 0)
    r = sampling_new(library, engine->vocab, task->order, &sampling, why);
  if (r != 0)
    return r;
  if (!library->llama_get_memory(engine->context)) {
    buffer_printf(why, "this model can only embed texts, it writes none");
    return ENGINE_E_FAILED;
  }
  library->llama_memory_clear(library->llama_get_memory(engine->context), true);
  library->llama_set_abort_callback(engine->context, on_abort, (void *)(uintptr_t)task);
  r = read_prompt(engine, task, ret->prompt_tokens, why);
  return r == 0 ? write_answer(engine, task, sampling, ret, why) : r;
}

/* --- embeddings --- */

static int make_embedder(Engine *engine, Buffer *why) {
  uint32_t tokens = (uint32_t)min_u64(engine->options.context_tokens, EMBED_TOKENS);
  struct llama_context_params params = context_params(engine, tokens, tokens);

  if (engine->embedder)
    return 0;
  params.embeddings = true;
  params.pooling_type = LLAMA_POOLING_TYPE_MEAN;
  if (make_context(engine, params, &engine->embedder, why) != 0)
    return ENGINE_E_FAILED;
  engine->embed_batch =
      engine->library->llama_batch_init((int32_t)engine->library->llama_n_ctx(engine->embedder), 0, 1);
  return 0;
}

/* To length 1, so that a product of two is their likeness. */
static void normalise(float *values, size_t count) {
  double sum = 0;

  for (size_t i = 0; i < count; i++)
    sum += (double)values[i] * (double)values[i];
  for (size_t i = 0; i < count && sum > 0; i++)
    values[i] = (float)(values[i] / sqrt(sum));
}

static int take_values(Engine *engine, Buffer *why) {
  const Library *library = engine->library;
  size_t count = (size_t)library->llama_model_n_embd(engine->model);
  const float *values = library->llama_get_embeddings_seq(engine->embedder, 0);

  if (!values) {
    buffer_printf(why, "libllama gave no embedding: ");
    library_take_error(why);
    return ENGINE_E_FAILED;
  }
  buffer_clear(&engine->values);
  buffer_append(&engine->values, values, count * sizeof *values);
  normalise((float *)(void *)engine->values.data, count);
  return 0;
}

static int embed_tokens(Engine *engine, const EngineTask *task, Buffer *why) {
  const Library *library = engine->library;
  llama_memory_t memory = library->llama_get_memory(engine->embedder);
  int32_t r;

  if (memory)
    library->llama_memory_clear(memory, true);
  library->llama_set_abort_callback(engine->embedder, on_abort, (void *)(uintptr_t)task);
  set_batch(&engine->embed_batch, tokens_of(engine), tokens_count(engine), 0, true);
  r = library->llama_decode(engine->embedder, engine->embed_batch);
  if (r == 2)
    return ENGINE_E_CANCELLED;
  if (r == 0)
    return take_values(engine, why);
  buffer_printf(why, "libllama failed to embed: ");
  library_take_error(why);
  return ENGINE_E_FAILED;
}

int engine_embed(Engine *engine, Text text, const EngineTask *task, const float **ret_values, size_t *ret_count,
                 uint32_t *tokens, Buffer *why) {
  uint32_t most;
  int r = make_embedder(engine, why);

  if (r != 0)
    return r;
  if (!task->is_wanted(task->userdata))
    return ENGINE_E_CANCELLED;
  most = engine->library->llama_n_ctx(engine->embedder);
  if (text.size / TOKEN_BYTES_MAX > most)
    return too_long(why, "more than ", text.size / TOKEN_BYTES_MAX, most);
  buffer_clear(&engine->tokens);
  if (!tokenize(engine, text.data, text.size, true, false) || tokens_count(engine) == 0) {
    buffer_printf(why, "libllama can't split the text into tokens");
    return ENGINE_E_FAILED;
  }
  if (tokens_count(engine) > most)
    return too_long(why, "", tokens_count(engine), most);
  r = embed_tokens(engine, task, why);
  if (r != 0)
    return r;
  *tokens += tokens_count(engine);
  *ret_values = (const float *)(const void *)engine->values.data;
  *ret_count = engine->values.size / sizeof(float);
  return 0;
}

#else
/* Built without libllama: engine-none.c. */
typedef int EngineNone;
#endif
