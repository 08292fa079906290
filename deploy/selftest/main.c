/* Writes a small model of the llama architecture: pons-selftest-model chain|random FILE. Both are for tests and for a first
   start without a download; neither knows anything, and they are called pons-selftest so that nobody takes them for more.

   chain: one layer that does nothing (its weights are 0), one-hot embeddings, and an output matrix that is a table of which
   token follows which. Decoding therefore gives one known sentence and then the end, whatever was asked.
   random: two layers of fixed pseudo-random weights: any prompt, any grammar, endless text, the same for the same seed. The
   end has no weight in it, so that only a limit, a grammar or a cancel ends it. */
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "deploy/selftest/gguf.h"
#include "deploy/selftest/words.h"

typedef struct Shape {
  bool chain;
  uint64_t width;
  uint32_t layers;
  uint32_t heads;
  uint64_t inner;
} Shape;

/* What fills a tensor. */
typedef enum Kind { KIND_ONES, KIND_WEIGHTS, KIND_EMBEDDING, KIND_OUTPUT } Kind;

typedef struct Filling {
  Kind kind;
  uint64_t columns;
  uint64_t rows;
} Filling;

static Filling fillings[GGUF_TENSORS];
static uint64_t state = 88172645463325252u;

/* The sum of four even numbers from a xorshift: about normal with deviation 1, without a library's rounding in it. */
static float next_random(void) {
  double sum = 0;

  for (int i = 0; i < 4; i++) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    sum += (double)(state >> 11) / 9007199254740992.0 - 0.5;
  }
  return (float)(sum * 1.7);
}

static Shape shape_of(bool chain) {
  uint64_t words = words_all()->count;
  uint64_t width = (words + 63) / 64 * 64;

  return chain ? (Shape){.chain = true, .width = width, .layers = 1, .heads = (uint32_t)(width / 64), .inner = 64}
               : (Shape){.width = 64, .layers = 2, .heads = 4, .inner = 128};
}

static void write_keys(Gguf *gguf, const Shape *shape) {
  gguf_key_string(gguf, "general.architecture", "llama");
  gguf_key_string(gguf, "general.name", shape->chain ? "pons-selftest" : "pons-selftest-random");
  gguf_key_u32(gguf, "general.file_type", 0);
  gguf_key_u32(gguf, "llama.context_length", 2048);
  gguf_key_u32(gguf, "llama.embedding_length", (uint32_t)shape->width);
  gguf_key_u32(gguf, "llama.block_count", shape->layers);
  gguf_key_u32(gguf, "llama.feed_forward_length", (uint32_t)shape->inner);
  gguf_key_u32(gguf, "llama.attention.head_count", shape->heads);
  gguf_key_u32(gguf, "llama.attention.head_count_kv", shape->heads);
  gguf_key_f32(gguf, "llama.attention.layer_norm_rms_epsilon", 1e-5f);
  gguf_key_u32(gguf, "llama.rope.dimension_count", (uint32_t)(shape->width / shape->heads));
  gguf_key_u32(gguf, "llama.vocab_size", words_all()->count);
}

static void write_words(Gguf *gguf) {
  const Words *words = words_all();

  gguf_key_string(gguf, "tokenizer.ggml.model", "llama");
  gguf_key_array(gguf, "tokenizer.ggml.tokens", GGUF_STRING, words->count);
  for (uint32_t i = 0; i < words->count; i++)
    gguf_string(gguf, words->text[i]);
  gguf_key_array(gguf, "tokenizer.ggml.scores", GGUF_FLOAT32, words->count);
  gguf_write(gguf, words->score, words->count * sizeof *words->score);
  gguf_key_array(gguf, "tokenizer.ggml.token_type", GGUF_INT32, words->count);
  gguf_write(gguf, words->type, words->count * sizeof *words->type);
  gguf_key_u32(gguf, "tokenizer.ggml.bos_token_id", WORDS_BOS);
  gguf_key_u32(gguf, "tokenizer.ggml.eos_token_id", WORDS_EOS);
  gguf_key_u32(gguf, "tokenizer.ggml.unknown_token_id", 0);
  gguf_key_bool(gguf, "tokenizer.ggml.add_bos_token", 1);
  gguf_key_bool(gguf, "tokenizer.ggml.add_eos_token", 0);
  gguf_key_bool(gguf, "tokenizer.ggml.add_space_prefix", 0);
  /* For other programs than ours; we write prompts ourselves. */
  gguf_key_string(gguf, "tokenizer.chat_template",
                  "{% for message in messages %}{{ '<|' + message['role'] + '|>\\n' + message['content'] + '</s>\\n' }}"
                  "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}");
}

static void announce(Gguf *gguf, Kind kind, const char *name, uint64_t columns, uint64_t rows) {
  fillings[gguf->tensors_count] = (Filling){kind, columns, rows ? rows : 1};
  gguf_tensor(gguf, name, columns, rows);
}

static void announce_layer(Gguf *gguf, const Shape *shape, uint32_t layer) {
  const struct {
    const char *name;
    Kind kind;
    uint64_t columns;
    uint64_t rows;
  } tensors[] = {{"attn_norm", KIND_ONES, shape->width, 0},
                 {"attn_q", KIND_WEIGHTS, shape->width, shape->width},
                 {"attn_k", KIND_WEIGHTS, shape->width, shape->width},
                 {"attn_v", KIND_WEIGHTS, shape->width, shape->width},
                 {"attn_output", KIND_WEIGHTS, shape->width, shape->width},
                 {"ffn_norm", KIND_ONES, shape->width, 0},
                 {"ffn_gate", KIND_WEIGHTS, shape->width, shape->inner},
                 {"ffn_up", KIND_WEIGHTS, shape->width, shape->inner},
                 {"ffn_down", KIND_WEIGHTS, shape->inner, shape->width}};
  char name[40];

  for (size_t i = 0; i < sizeof tensors / sizeof *tensors; i++) {
    snprintf(name, sizeof name, "blk.%u.%s.weight", layer, tensors[i].name);
    announce(gguf, tensors[i].kind, name, tensors[i].columns, tensors[i].rows);
  }
}

/* The sentence, and behind its last word the end; whatever else was there is followed by the first word. */
static void fill_table(float *values, uint64_t width) {
  static const char *const sentence[] = {"Hello", ",", " I", " am", " the", " local", " test", " model", "."};
  enum { LENGTH = sizeof sentence / sizeof *sentence };
  uint32_t next[WORDS_MAX];

  for (uint32_t i = 0; i < words_all()->count; i++)
    next[i] = words_get(sentence[0]);
  for (size_t i = 0; i < LENGTH; i++)
    next[words_get(sentence[i])] = i + 1 < LENGTH ? words_get(sentence[i + 1]) : WORDS_EOS;
  for (uint64_t i = 0; i < words_all()->count; i++)
    values[next[i] * width + i] = 1;
}

static void fill_random(float *values, const Filling *filling) {
  float scale = filling->kind == KIND_EMBEDDING ? 1.0f : 1.5f / sqrtf((float)filling->columns);

  for (uint64_t i = 0; i < filling->columns * filling->rows; i++)
    values[i] = next_random() * scale;
  if (filling->kind == KIND_OUTPUT)
    memset(&values[WORDS_EOS * filling->columns], 0, filling->columns * sizeof *values);
}

static void fill(float *values, const Shape *shape, const Filling *filling) {
  if (filling->kind == KIND_ONES)
    for (uint64_t i = 0; i < filling->columns; i++)
      values[i] = 1;
  else if (!shape->chain)
    fill_random(values, filling);
  else if (filling->kind == KIND_EMBEDDING)
    for (uint64_t i = 0; i < filling->rows; i++)
      values[i * filling->columns + i] = 1;
  else if (filling->kind == KIND_OUTPUT)
    fill_table(values, filling->columns);
}

static void write_data(Gguf *gguf, const Shape *shape) {
  gguf_begin_data(gguf);
  for (uint32_t i = 0; i < gguf->tensors_count; i++) {
    uint64_t count = fillings[i].columns * fillings[i].rows;
    float *values = calloc(count, sizeof *values);

    if (!values)
      abort();
    fill(values, shape, &fillings[i]);
    gguf_data(gguf, values, count);
    free(values);
  }
}

int main(int argc, char **argv) {
  Gguf gguf;
  Shape shape;

  if (argc != 3 || (strcmp(argv[1], "chain") != 0 && strcmp(argv[1], "random") != 0)) {
    fprintf(stderr, "usage: pons-selftest-model chain|random FILE\n");
    return 2;
  }
  shape = shape_of(strcmp(argv[1], "chain") == 0);
  gguf_begin(&gguf, argv[2]);
  write_keys(&gguf, &shape);
  write_words(&gguf);
  announce(&gguf, KIND_EMBEDDING, "token_embd.weight", shape.width, words_all()->count);
  for (uint32_t layer = 0; layer < shape.layers; layer++)
    announce_layer(&gguf, &shape, layer);
  announce(&gguf, KIND_ONES, "output_norm.weight", shape.width, 0);
  announce(&gguf, KIND_OUTPUT, "output.weight", shape.width, words_all()->count);
  write_data(&gguf, &shape);
  gguf_end(&gguf);
  return 0;
}
