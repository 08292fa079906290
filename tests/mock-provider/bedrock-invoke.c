/* InvokeModel takes the model's own words: those of Titan's and of Cohere's embeddings. */
#include "tests/mock-provider/bedrock-internal.h"
#include "tests/mock-provider/openai-internal.h"

enum { TITAN_DIMENSIONS = 1024, COHERE_DIMENSIONS = 1024, COHERE_TEXTS_MAX = 96 };

static bool begins(Text text, const char *with) {
  return text.size >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

static bool check_names(Json body, const char *const *names, Answer *ret) {
  JsonWalk walk = json_walk(body);
  Json key, value;

  while (json_next_member(&walk, &key, &value)) {
    const char *const *name = names;

    while (*name && !json_string_is(key, *name))
      name++;
    if (!*name)
      return bedrock_invalid(ret,
                             "Malformed input request: #: extraneous key [%.*s] is not permitted, please reformat your "
                             "input and try again.",
                             key.text.size > 66 ? 64 : (int)key.text.size - 2, key.text.data + 1);
  }
  return true;
}

static void put_vector(uint64_t dimensions, uint32_t words, Buffer *out) {
  for (uint64_t i = 0; i < dimensions; i++)
    buffer_printf(out, "%c%.7g", i ? ',' : '[', (double)((i * 37 + words * 11) % 128) / 128 - 0.5);
  buffer_append(out, "]", 1);
}

static void put_count(uint32_t tokens, Answer *ret) {
  buffer_printf(&ret->headers, "x-amzn-bedrock-input-token-count: %u\r\n", tokens);
  ret->status = 200;
  ret->type = "application/json";
}

static void answer_titan(const Ask *ask, Json body, Answer *ret) {
  static const char *const NAMES[] = {"inputText", "dimensions", "normalize", "embeddingTypes", NULL};
  Json text = json_find(body, "inputText");
  uint64_t dimensions = TITAN_DIMENSIONS;
  uint32_t words;

  if (!ask->knobs.lax && !check_names(body, NAMES, ret))
    return;
  json_get_uint(json_find(body, "dimensions"), &dimensions);
  if (json_type(text) != JSON_STRING || text.text.size == 2) {
    bedrock_invalid(ret,
                    "Malformed input request: expected minLength: 1, actual: 0, please reformat your input and try "
                    "again.");
    return;
  }
  if (dimensions != 256 && dimensions != 512 && dimensions != 1024) {
    bedrock_invalid(ret,
                    "Malformed input request: #/dimensions: %llu is not a valid enum value, please reformat your input "
                    "and try again.",
                    (unsigned long long)dimensions);
    return;
  }
  words = story_words(text.text);
  put_count(words, ret);
  buffer_printf(&ret->body, "{\"embedding\":");
  put_vector(dimensions, words, &ret->body);
  if (!ask->knobs.no_usage)
    buffer_printf(&ret->body, ",\"inputTextTokenCount\":%u", words);
  buffer_append(&ret->body, "}", 1);
}

/* Whether a member, if it is there, is one of words. */
static bool is_word(Json body, const char *name, const char *words) {
  Json value = json_find(body, name);
  Text text = TEXT_NONE;

  json_get_plain(value, &text);
  return json_is_none(value) || openai_is_one_of(text, words);
}

static void answer_cohere(const Ask *ask, Json body, Answer *ret) {
  static const char *const NAMES[] = {"texts", "input_type", "truncate", "embedding_types", NULL};
  Json texts = json_find(body, "texts"), text;
  JsonWalk walk = json_walk(texts);
  uint32_t count = 0, words = 0;

  if (!ask->knobs.lax && !check_names(body, NAMES, ret))
    return;
  if (!is_word(body, "input_type", "search_document search_query classification clustering image") ||
      !is_word(body, "truncate", "NONE START END LEFT RIGHT")) {
    bedrock_invalid(ret, "Malformed input request: #: a value is not a valid enum value, please reformat your input "
                         "and try again.");
    return;
  }
  if (json_type(texts) != JSON_ARRAY || json_type(json_find(body, "input_type")) != JSON_STRING) {
    bedrock_invalid(
        ret, "Malformed input request: #: required key [%s] not found, please reformat your input and try again.",
        json_type(texts) != JSON_ARRAY ? "texts" : "input_type");
    return;
  }
  buffer_printf(&ret->body, "{\"embeddings\":[");
  for (; json_next_element(&walk, &text); count++) {
    if (json_string_bytes(text) == 0) {
      bedrock_invalid(ret,
                      "Malformed input request: #/texts/%u: expected minLength: 1, please reformat your input and "
                      "try again.",
                      count);
      return;
    }
    buffer_printf(&ret->body, "%s", count ? "," : "");
    put_vector(COHERE_DIMENSIONS, story_words(text.text), &ret->body);
    words += story_words(text.text);
  }
  if (!count || count > COHERE_TEXTS_MAX) {
    bedrock_invalid(ret,
                    "Malformed input request: #/texts: expected maximum item count: 96, found: %u, please reformat "
                    "your input and try again.",
                    count);
    return;
  }
  put_count(words, ret);
  buffer_printf(&ret->body, "],\"id\":\"mock\",\"response_type\":\"embeddings_floats\",\"texts\":%.*s}",
                TEXT_ARG(texts.text));
}

void bedrock_answer_invoke(const Ask *ask, Text model, Json body, Answer *ret) {
  if (begins(model, "amazon.titan-embed-text"))
    answer_titan(ask, body, ret);
  else if (begins(model, "cohere.embed"))
    answer_cohere(ask, body, ret);
  else
    bedrock_invalid(ret, "The mock invokes embeddings of Titan and Cohere alone.");
}
