/* The real libllama with the models that pons-selftest-model wrote. Without libllama: that it says so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agents/tiny_llama_service_enhanced/engine.h"
#include "bus/json/json.h"

#define SENTENCE "Hello, I am the local test model."

static char folder[PATH_MAX];

static const char *beside(const char *name, char ret[PATH_MAX + 64]) {
  snprintf(ret, PATH_MAX + 64, "%s/../share/%s", folder, name);
  return ret;
}

/* Who listens to an answer. */
typedef struct Ear {
  Buffer heard;
  uint32_t tokens;
  uint32_t wanted_for; /* asked so often, then no more; 0 = always */
  uint32_t asked;
  uint32_t enough; /* tokens; 0 = never */
} Ear;

static bool is_wanted(void *userdata) {
  Ear *ear = userdata;

  return ear->wanted_for == 0 || ++ear->asked <= ear->wanted_for;
}

static void assert_says(const Buffer *why, const char *words) {
  if (!memmem(why->data ? why->data : (const uint8_t *)"", why->size, words, strlen(words)))
    fail_msg("wanted \"%s\" in: %.*s", words, (int)why->size, why->data ? (const char *)why->data : "");
}

static int open_model(const char *name, Engine **ret, Buffer *why) {
  static Ear always;
  char path[PATH_MAX + 64];

  return engine_open(&(EngineOptions){.file = name ? beside(name, path) : NULL,
                                      .threads = 1,
                                      .context_tokens = 512,
                                      .is_wanted = is_wanted,
                                      .userdata = &always},
                     ret, why);
}

#ifdef PONS_LIBLLAMA

static bool on_token(void *userdata, Bytes text) {
  Ear *ear = userdata;

  buffer_append(&ear->heard, text.data, text.size);
  return ++ear->tokens != ear->enough;
}

static Engine *opened(const char *name) {
  Engine *engine = NULL;
  _cleanup_(buffer_done) Buffer why = {0};

  if (open_model(name, &engine, &why) != 0)
    fail_msg("%.*s", (int)why.size, (const char *)why.data);
  return engine;
}

/* Asks the model with a request of these members besides the messages. */
static int generate(Engine *engine, const char *members, Ear *ear, EngineResult *result, Buffer *why) {
  _cleanup_(buffer_done) Buffer json = {0};
  _cleanup_(order_done) Order order = {0};
  _cleanup_(prompt_done) Prompt prompt = {0};
  OrderFault fault;
  int r;

  buffer_printf(&json, "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]%s}", members);
  assert_int_equal(order_read((Text){(const char *)json.data, json.size}, &order, &fault), 0);
  prompt_write(PROMPT_TINYLLAMA, order.messages, &prompt);
  r = engine_generate(
      engine,
      &(EngineTask){.order = &order, .prompt = &prompt, .is_wanted = is_wanted, .on_token = on_token, .userdata = ear},
      result, why);
  return r;
}

static Text heard(const Ear *ear) {
  return (Text){(const char *)ear->heard.data, ear->heard.size};
}

static void test_known_answer(void **state) {
  _cleanup_(engine_close) Engine *engine = opened("pons-selftest.gguf");
  _cleanup_(buffer_done) Buffer why = {0};

  (void)state;
  for (int i = 0; i < 3; i++) {
    Ear ear = {0};
    EngineResult result;

    assert_int_equal(generate(engine, i == 0 ? ",\"temperature\":0" : "", &ear, &result, &why), 0);
    assert_true(text_is(heard(&ear), SENTENCE));
    assert_int_equal(result.completion_tokens, 9);
    assert_false(result.is_cut);
    /* BOS, "<|user|>\nhi", </s>, "\n<|assistant|>\n": words that it knows are one token, else bytes or letters. */
    assert_int_equal(result.prompt_tokens, 1 + 8 + 1 + 7);
    buffer_done(&ear.heard);
  }
}

static void test_limits(void **state) {
  _cleanup_(engine_close) Engine *engine = opened("pons-selftest-random.gguf");
  _cleanup_(buffer_done) Buffer why = {0};
  EngineResult result;
  Ear ear = {0};

  (void)state;
  assert_int_equal(generate(engine, ",\"max_tokens\":5,\"temperature\":0", &ear, &result, &why), 0);
  assert_true(result.is_cut && result.completion_tokens == 5);
  assert_int_equal(generate(engine, ",\"temperature\":0", &ear, &result, &why), 0);
  assert_true(result.is_cut);
  assert_int_equal(result.prompt_tokens + result.completion_tokens, 512);
  ear.tokens = 0;
  ear.enough = 4;
  assert_int_equal(generate(engine, ",\"temperature\":0", &ear, &result, &why), 0);
  assert_true(!result.is_cut && result.completion_tokens == 4);
  buffer_done(&ear.heard);
}

static void test_cancel(void **state) {
  _cleanup_(engine_close) Engine *engine = opened("pons-selftest-random.gguf");
  _cleanup_(buffer_done) Buffer why = {0};
  EngineResult result;
  Ear ear = {.wanted_for = 40};
  Ear other = {0};

  (void)state;
  assert_int_equal(generate(engine, ",\"temperature\":0", &ear, &result, &why), ENGINE_E_CANCELLED);
  assert_true(result.completion_tokens < 41);
  assert_int_equal(generate(engine, ",\"max_tokens\":1", &other, &result, &why), 0);
  buffer_done(&ear.heard);
  buffer_done(&other.heard);
}

static void test_seeds(void **state) {
  _cleanup_(engine_close) Engine *engine = opened("pons-selftest-random.gguf");
  _cleanup_(buffer_done) Buffer why = {0};
  EngineResult result;
  Ear ears[3] = {0};

  (void)state;
  for (int i = 0; i < 3; i++)
    assert_int_equal(generate(engine, i < 2 ? ",\"seed\":7,\"max_tokens\":30" : ",\"seed\":8,\"max_tokens\":30",
                              &ears[i], &result, &why),
                     0);
  assert_true(text_equal(heard(&ears[0]), heard(&ears[1])));
  assert_false(text_equal(heard(&ears[0]), heard(&ears[2])));
  for (int i = 0; i < 3; i++)
    buffer_done(&ears[i].heard);
}

static void test_grammar(void **state) {
  _cleanup_(engine_close) Engine *engine = opened("pons-selftest-random.gguf");
  _cleanup_(buffer_done) Buffer why = {0};
  EngineResult result;
  Ear ear = {0};
  Ear none = {0};
  Json json;

  (void)state;
  assert_int_equal(
      generate(engine,
               ",\"seed\":1,\"grammar\":\"root ::= \\\"{\\\\\\\"intent\\\\\\\":\\\\\\\"\\\" (\\\"music\\\" | "
               "\\\"light\\\") \\\"\\\\\\\",\\\\\\\"n\\\\\\\":\\\" [1-9] [0-9] \\\"}\\\"\"",
               &ear, &result, &why),
      0);
  assert_int_equal(json_check(heard(&ear), &json, NULL), 0);
  assert_true(json_string_is(json_find(json, "intent"), "music") || json_string_is(json_find(json, "intent"), "light"));
  assert_false(result.is_cut);
  assert_int_equal(generate(engine, ",\"grammar\":\"root ::= \"", &none, &result, &why),
                   0); /* nothing: the end at once */
  assert_int_equal(result.completion_tokens, 0);
  assert_int_equal(generate(engine, ",\"grammar\":\"nonsense\"", &none, &result, &why), ENGINE_E_GRAMMAR);
  assert_says(&why, "no GBNF");
  assert_int_equal(generate(engine, ",\"grammar\":\"root ::= root\"", &none, &result, &why), ENGINE_E_GRAMMAR);
  buffer_done(&ear.heard);
}

/* Whatever the weights are, what comes is a value of the schema. */
static void test_schema(void **state) {
  _cleanup_(engine_close) Engine *engine = opened("pons-selftest-random.gguf");
  _cleanup_(buffer_done) Buffer why = {0};

  (void)state;
  for (int seed = 1; seed < 6; seed++) {
    _cleanup_(buffer_done) Buffer more = {0};
    EngineResult result;
    Ear ear = {0};
    Json json, list;
    uint64_t stars = 0;

    buffer_printf(
        &more,
        ",\"seed\":%d,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{"
        "\"type\":\"object\",\"properties\":{\"h\\u00e9\\\"\":{\"enum\":[\"a\",\"q\\\"\"]},\"stars\":{\"type\":"
        "\"integer\",\"minimum\":1,\"maximum\":5},\"list\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/"
        "day\"},\"minItems\":2,\"maxItems\":3}},\"required\":[\"stars\",\"list\",\"h\u00e9\\\"\"],"
        "\"additionalProperties\":false,\"$defs\":{\"day\":{\"type\":\"string\",\"format\":\"date\"}}}}}",
        seed);
    buffer_append(&more, "", 1);
    assert_int_equal(generate(engine, (const char *)more.data, &ear, &result, &why), 0);
    assert_false(result.is_cut);
    assert_int_equal(json_check(heard(&ear), &json, NULL), 0);
    assert_int_equal(json_get_uint(json_find(json, "stars"), &stars), 0);
    assert_in_range(stars, 1, 5);
    list = json_find(json, "list");
    assert_in_range(list.text.size, strlen("[\"2026-01-01\",\"2026-01-01\"]"), 60);
    assert_non_null(memmem(ear.heard.data, ear.heard.size, "h\xc3\xa9\\\"", 5));
    buffer_done(&ear.heard);
  }
}

static void test_context(void **state) {
  _cleanup_(engine_close) Engine *engine = opened("pons-selftest.gguf");
  _cleanup_(buffer_done) Buffer why = {0};
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(prompt_done) Prompt prompt = {0};
  Order order = {.top_p = 1};
  EngineResult result;
  Ear ear = {0};
  EngineTask task = {
      .order = &order, .prompt = &prompt, .is_wanted = is_wanted, .on_token = on_token, .userdata = &ear};
  const float *values;
  size_t count;
  uint32_t tokens = 0;
  Json messages;

  (void)state;
  buffer_printf(&text, "[{\"role\":\"user\",\"content\":\"%0600d\"}]", 0);
  assert_int_equal(json_check((Text){(const char *)text.data, text.size}, &messages, NULL), 0);
  prompt_write(PROMPT_TINYLLAMA, messages, &prompt);
  assert_int_equal(engine_generate(engine, &task, &result, &why), ENGINE_E_CONTEXT);
  assert_says(&why, "the prompt has 615 tokens, and the context has 512");
  assert_int_equal(
      engine_embed(engine, (Text){(const char *)text.data, text.size}, &task, &values, &count, &tokens, &why),
      ENGINE_E_CONTEXT);
}

static double product(const float *a, const float *b, size_t count) {
  double sum = 0;

  for (size_t i = 0; i < count; i++)
    sum += (double)a[i] * (double)b[i];
  return sum;
}

static void test_embeddings(void **state) {
  _cleanup_(engine_close) Engine *engine = opened("pons-selftest-random.gguf");
  _cleanup_(buffer_done) Buffer why = {0};
  Ear ear = {0};
  EngineTask task = {.is_wanted = is_wanted, .userdata = &ear};
  const float *values;
  float first[64];
  size_t count;
  uint32_t tokens = 0;

  (void)state;
  assert_int_equal(engine_embed(engine, TEXT("turn on the light"), &task, &values, &count, &tokens, &why), 0);
  assert_int_equal(count, 64);
  assert_true(tokens > 1);
  memcpy(first, values, sizeof first);
  assert_true(product(first, first, 64) > 0.999 && product(first, first, 64) < 1.001);
  assert_int_equal(engine_embed(engine, TEXT("turn on the light"), &task, &values, &count, &tokens, &why), 0);
  assert_true(product(first, values, 64) > 0.999);
  assert_int_equal(engine_embed(engine, TEXT("I am no model"), &task, &values, &count, &tokens, &why), 0);
  assert_true(product(first, values, 64) < 0.99);
  ear.wanted_for = 1;
  ear.asked = 1;
  assert_int_equal(engine_embed(engine, TEXT("x"), &task, &values, &count, &tokens, &why), ENGINE_E_CANCELLED);
}

/* --- what can't be loaded --- */

static void write_file(const char *path, const char *from, size_t bytes) {
  char name[PATH_MAX + 64];
  FILE *in = fopen(beside(from, name), "rb");
  FILE *out = fopen(path, "wb");
  char *data = calloc(1, bytes);

  assert_true(in && out && data && fread(data, 1, bytes, in) == bytes && fwrite(data, 1, bytes, out) == bytes);
  free(data);
  fclose(in);
  fclose(out);
}

static void test_bad_models(void **state) {
  static Ear ear;
  char place[] = "/tmp/pons-engine-XXXXXX";
  char path[PATH_MAX];
  EngineOptions options = {.file = path, .threads = 1, .context_tokens = 512, .is_wanted = is_wanted, .userdata = &ear};
  _cleanup_(buffer_done) Buffer why = {0};
  Engine *engine = NULL;

  (void)state;
  assert_non_null(mkdtemp(place));
  snprintf(path, sizeof path, "%s/cut.gguf", place);
  assert_int_equal(engine_open(&options, &engine, &why), ENGINE_E_MODEL);
  assert_says(&why, "can't be read: No such file");
  buffer_clear(&why);
  write_file(path, "pons-selftest.gguf", 9000);
  assert_int_equal(engine_open(&options, &engine, &why), ENGINE_E_MODEL);
  assert_says(&why, "libllama can't load");
  buffer_clear(&why);
  write_file(path, "../../../README.md", 900);
  assert_int_equal(engine_open(&options, &engine, &why), ENGINE_E_MODEL);
  assert_says(&why, "is no GGUF file");
  buffer_clear(&why);
  options.file = NULL;
  assert_int_equal(engine_open(&options, &engine, &why), ENGINE_E_MODEL);
  assert_says(&why, "local_llm.file");
  assert_null(engine);
  unlink(path);
  rmdir(place);
}

static void test_unwanted_load(void **state) {
  Ear ear = {.wanted_for = 1, .asked = 1};
  char path[PATH_MAX + 64];
  EngineOptions options = {.file = beside("pons-selftest.gguf", path),
                           .threads = 1,
                           .context_tokens = 512,
                           .is_wanted = is_wanted,
                           .userdata = &ear};
  _cleanup_(buffer_done) Buffer why = {0};
  Engine *engine = NULL;

  (void)state;
  assert_int_equal(engine_open(&options, &engine, &why), ENGINE_E_CANCELLED);
  assert_null(engine);
}

#else

static void test_without_library(void **state) {
  _cleanup_(buffer_done) Buffer why = {0};
  Engine *engine = NULL;

  (void)state;
  assert_int_equal(open_model("pons-selftest.gguf", &engine, &why), ENGINE_E_LIBRARY);
  assert_says(&why, "deploy/llm");
  assert_null(engine);
}

#endif

int main(void) {
  const struct CMUnitTest tests[] = {
#ifdef PONS_LIBLLAMA
      cmocka_unit_test(test_known_answer), cmocka_unit_test(test_limits),     cmocka_unit_test(test_cancel),
      cmocka_unit_test(test_seeds),        cmocka_unit_test(test_grammar),    cmocka_unit_test(test_schema),
      cmocka_unit_test(test_context),      cmocka_unit_test(test_embeddings), cmocka_unit_test(test_unwanted_load),
      cmocka_unit_test(test_bad_models),
#else
      cmocka_unit_test(test_without_library),
#endif
  };
  ssize_t size = readlink("/proc/self/exe", folder, sizeof folder - 1);

  if (size <= 0)
    return 1;
  *strrchr(folder, '/') = 0;
  return cmocka_run_group_tests(tests, NULL, NULL);
}
