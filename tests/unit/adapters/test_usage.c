/* What each provider counts, in one set of words: the prompt is all of it, whatever a cache had a part in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapters/table.h"

typedef struct Row {
  const char *dialect;
  const char *answer;
  ChatUsage usage;
} Row;

#define OPENAI(usage)                                                                                                  \
  "{\"choices\":[{\"index\":0,\"message\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}],\"usage\":" usage "}"
#define ANTHROPIC(usage)                                                                                               \
  "{\"id\":\"m\",\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"stop_reason\":\"end_turn\","  \
  "\"usage\":" usage "}"
#define GEMINI(usage)                                                                                                  \
  "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"a\"}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":" usage  \
  "}"
#define BEDROCK(usage)                                                                                                 \
  "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"text\":\"a\"}]}},\"stopReason\":\"end_turn\","     \
  "\"usage\":" usage "}"

/* What the answers of all of them come to, as far as each can say it. */
#define IN_AND_OUT                                                                                                     \
  .has_input_tokens = true, .input_tokens = 100, .has_cached_tokens = true, .cached_tokens = 30,                       \
  .has_output_tokens = true, .output_tokens = 20
#define WRITTEN_TO_CACHE .has_cache_write_tokens = true, .cache_write_tokens = 40
#define AUDIO_AND_REASONING                                                                                            \
  .has_input_audio_tokens = true, .input_audio_tokens = 5, .has_reasoning_tokens = true, .reasoning_tokens = 7

static const Row rows[] = {
    {"openai",
     OPENAI("{\"prompt_tokens\":100,\"completion_tokens\":20,\"prompt_tokens_details\":{\"cached_tokens\":30,"
            "\"cache_write_tokens\":40,\"audio_tokens\":5},\"completion_tokens_details\":{\"reasoning_tokens\":7,"
            "\"audio_tokens\":2}}"),
     {IN_AND_OUT, WRITTEN_TO_CACHE, AUDIO_AND_REASONING, .has_output_audio_tokens = true, .output_audio_tokens = 2}},
    {"anthropic",
     ANTHROPIC("{\"input_tokens\":30,\"cache_read_input_tokens\":30,\"cache_creation_input_tokens\":40,"
               "\"cache_creation\":{\"ephemeral_5m_input_tokens\":28,\"ephemeral_1h_input_tokens\":12},"
               "\"output_tokens\":20}"),
     {IN_AND_OUT, WRITTEN_TO_CACHE, .has_cache_write_hour_tokens = true, .cache_write_hour_tokens = 12}},
    {"gemini",
     GEMINI("{\"promptTokenCount\":90,\"toolUsePromptTokenCount\":10,\"cachedContentTokenCount\":30,"
            "\"candidatesTokenCount\":13,\"thoughtsTokenCount\":7,\"promptTokensDetails\":[{\"modality\":\"TEXT\","
            "\"tokenCount\":85},{\"modality\":\"AUDIO\",\"tokenCount\":5}]}"),
     {IN_AND_OUT, AUDIO_AND_REASONING}},
    {"bedrock",
     BEDROCK("{\"inputTokens\":30,\"outputTokens\":20,\"totalTokens\":120,\"cacheReadInputTokens\":30,"
             "\"cacheWriteInputTokens\":40,\"cacheDetails\":[{\"ttl\":\"5m\",\"inputTokens\":28},{\"ttl\":\"1h\","
             "\"inputTokens\":12}]}"),
     {IN_AND_OUT, WRITTEN_TO_CACHE, .has_cache_write_hour_tokens = true, .cache_write_hour_tokens = 12}},
    {"azure", OPENAI("null"), {.has_input_tokens = false}},
    /* DeepSeek's word for what a cache had */
    {"custom",
     OPENAI("{\"prompt_tokens\":100,\"completion_tokens\":20,\"total_tokens\":120,\"prompt_cache_hit_tokens\":64}"),
     {.has_input_tokens = true,
      .input_tokens = 100,
      .has_cached_tokens = true,
      .cached_tokens = 64,
      .has_output_tokens = true,
      .output_tokens = 20}},
    /* xAI counts thoughts apart, and its total says so */
    {"custom",
     OPENAI("{\"prompt_tokens\":32,\"completion_tokens\":9,\"total_tokens\":135,\"completion_tokens_details\":{"
            "\"reasoning_tokens\":94}}"),
     {.has_input_tokens = true,
      .input_tokens = 32,
      .has_output_tokens = true,
      .output_tokens = 103,
      .has_reasoning_tokens = true,
      .reasoning_tokens = 94}},
    {"custom",
     OPENAI("{\"prompt_tokens\":99999999999,\"completion_tokens\":-1}"),
     {.has_input_tokens = true, .input_tokens = UINT32_MAX}},
};

static void check(const char *dialect, const char *name, bool has, uint64_t count, bool want, uint64_t wanted) {
  if (has != want || (want && count != wanted))
    fail_msg("%s: %s is %llu, not %llu", dialect, name, has ? (unsigned long long)count : 0ULL,
             (unsigned long long)wanted);
}

static void each_provider_counts_in_the_same_words(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    const Dialect *dialect = table_find_dialect(rows[i].dialect);
    _cleanup_(buffer_done) Buffer response = {0};
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    const ChatUsage *want = &rows[i].usage;
    ChatUsage usage = {.estimated = false};

    assert_int_equal(
        dialect->decode_chat(&(DialectAsked){.model = TEXT("m")}, text_of(rows[i].answer), &response, &usage, &fault),
        0);
#define CHECK(count) check(rows[i].dialect, #count, usage.has_##count, usage.count, want->has_##count, want->count)
    CHECK(input_tokens);
    CHECK(cached_tokens);
    CHECK(cache_write_tokens);
    CHECK(cache_write_hour_tokens);
    CHECK(input_audio_tokens);
    CHECK(output_tokens);
    CHECK(output_audio_tokens);
    CHECK(reasoning_tokens);
#undef CHECK
    assert_false(usage.estimated);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_provider_counts_in_the_same_words)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
