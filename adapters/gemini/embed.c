/* Embeddings: one text is embedContent, several are batchEmbedContents, and so is an answer. */
#include <stdio.h>

#include "adapters/gemini/gemini-internal.h"

enum { TEXTS_MAX = 100 };

/* --- requests --- */

typedef struct Wanted {
  Json input;
  uint64_t dimensions; /* 0: the model's own */
  bool base64;
} Wanted;

static int refuse(Json key, DialectFault *ret_fault) {
  char name[80];

  snprintf(name, sizeof name, "%.*s", (int)min_u64(key.text.size - 2, sizeof name - 1), key.text.data + 1);
  return dialect_fault_caller(ret_fault, name, "Gemini's API can't do what '%s' asks for", name);
}

static int read_member(Json key, Json value, Wanted *ret, DialectFault *ret_fault) {
  static const char *const passed_over[] = {"model", "user", "fallbacks"};
  bool is_base64 = json_string_is(value, "base64");

  if (json_type(value) == JSON_NULL)
    return 0;
  for (size_t i = 0; i < ELEMENTS(passed_over); i++)
    if (json_string_is(key, passed_over[i]))
      return 0;
  if (json_string_is(key, "input")) {
    ret->input = value;
    return 0;
  }
  if (json_string_is(key, "dimensions"))
    return json_get_uint(value, &ret->dimensions) == 0 && ret->dimensions > 0 && ret->dimensions <= INT32_MAX
               ? 0
               : dialect_fault_caller(ret_fault, "dimensions", "'dimensions' must be a whole number above 0");
  if (!json_string_is(key, "encoding_format"))
    return refuse(key, ret_fault);
  ret->base64 = is_base64;
  return is_base64 || json_string_is(value, "float")
             ? 0
             : dialect_fault_caller(ret_fault, "encoding_format", "'encoding_format' must be float or base64");
}

static int check_input(Json input, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(input);
  unsigned count = 0;
  Json one;

  if (json_type(input) == JSON_STRING)
    return 0;
  for (; json_type(input) == JSON_ARRAY && json_next_element(&walk, &one); count++)
    if (json_type(one) != JSON_STRING)
      return dialect_fault_caller(ret_fault, "input",
                                  "'input' must be a text or a list of texts: tokens are known to one provider");
  if (count == 0 || count > TEXTS_MAX)
    return dialect_fault_caller(ret_fault, "input",
                                "'input' must be a text or a list of texts, for Gemini's API at most %d at a time",
                                TEXTS_MAX);
  return 0;
}

static void put_content(Json text, uint64_t dimensions, Buffer *out) {
  buffer_printf(out, "\"content\":{\"parts\":[{\"text\":");
  buffer_append(out, text.text.data, text.text.size);
  buffer_printf(out, "}]}");
  if (dimensions > 0)
    buffer_printf(out, ",\"outputDimensionality\":%llu", (unsigned long long)dimensions);
  buffer_append(out, "}", 1);
}

static void put_batch(const Wanted *wanted, Text model, Buffer *out) {
  _cleanup_(buffer_done) Buffer name = {0};
  _cleanup_(buffer_done) Buffer quoted = {0};
  JsonWalk walk = json_walk(wanted->input);
  bool first = true;
  Json one;

  buffer_printf(&name, "models/%.*s", TEXT_ARG(model));
  json_put_string(&quoted, (Text){(const char *)name.data, name.size});
  buffer_printf(out, "{\"requests\":[");
  for (; json_next_element(&walk, &one); first = false) {
    buffer_printf(out, "%s{\"model\":%.*s,", first ? "" : ",", (int)quoted.size, (const char *)quoted.data);
    put_content(one, wanted->dimensions, out);
  }
  buffer_printf(out, "]}");
}

int gemini_encode_embed(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(request);
  Wanted wanted = {.dimensions = 0};
  Json key, value;
  int r = 0;

  while (r == 0 && json_next_member(&walk, &key, &value))
    r = read_member(key, value, &wanted, ret_fault);
  if (r == 0)
    r = check_input(wanted.input, ret_fault);
  if (r != 0)
    return r;
  ret->asked.marks = wanted.base64 ? GEMINI_BASE64 : 0;
  if (json_type(wanted.input) == JSON_STRING) {
    gemini_put_path(ret->asked.model, "embedContent", &ret->path);
    buffer_append(&ret->body, "{", 1);
    put_content(wanted.input, wanted.dimensions, &ret->body);
  } else {
    gemini_put_path(ret->asked.model, "batchEmbedContents", &ret->path);
    put_batch(&wanted, ret->asked.model, &ret->body);
  }
  return 0;
}

/* --- answers --- */

static void put_base64(const uint8_t *data, size_t size, Buffer *out) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  for (size_t i = 0; i < size; i += 3) {
    size_t left = size - i;
    uint32_t bits =
        (uint32_t)data[i] << 16 | (left > 1 ? (uint32_t)data[i + 1] << 8 : 0) | (left > 2 ? data[i + 2] : 0);
    char four[4] = {letters[bits >> 18], letters[bits >> 12 & 63], left > 1 ? letters[bits >> 6 & 63] : '=',
                    left > 2 ? letters[bits & 63] : '='};

    buffer_append(out, four, sizeof four);
  }
}

/* The numbers as OpenAI packs them: 32-bit floats, the lowest byte first. */
static void put_packed(Json values, Buffer *out) {
  _cleanup_(buffer_done) Buffer bytes = {0};
  JsonWalk walk = json_walk(values);
  Json one;

  while (json_next_element(&walk, &one)) {
    double number = 0;
    float small;
    uint32_t bits;

    json_get_real(one, &number);
    small = (float)number;
    memcpy(&bits, &small, sizeof bits);
    for (int shift = 0; shift < 32; shift += 8)
      buffer_append(&bytes, &(uint8_t){(uint8_t)(bits >> shift)}, 1);
  }
  buffer_append(out, "\"", 1);
  put_base64(bytes.data, bytes.size, out);
  buffer_append(out, "\"", 1);
}

static bool put_vector(Json embedding, unsigned index, bool base64, Buffer *out) {
  Json values = json_find(embedding, "values");

  if (json_type(values) != JSON_ARRAY)
    return false;
  buffer_printf(out, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":", index ? "," : "", index);
  if (base64)
    put_packed(values, out);
  else
    buffer_append(out, values.text.data, values.text.size);
  buffer_append(out, "}", 1);
  return true;
}

static void put_usage(const ChatUsage *usage, Buffer *out) {
  if (usage->has_input_tokens)
    buffer_printf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}",
                  (unsigned long long)usage->input_tokens, (unsigned long long)usage->input_tokens);
}

static bool put_vectors(Json answer, bool base64, Buffer *out) {
  Json list = json_find(answer, "embeddings"), one = json_find(answer, "embedding");
  JsonWalk walk = json_walk(list);
  unsigned index = 0;

  if (json_type(list) != JSON_ARRAY)
    return put_vector(one, 0, base64, out);
  for (; json_next_element(&walk, &one); index++)
    if (!put_vector(one, index, base64, out))
      return false;
  return index > 0;
}

int gemini_decode_embed(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                        DialectFault *ret_fault) {
  size_t before = ret_response->size;
  Json answer;

  if (json_check(body, &answer, NULL) != 0)
    return dialect_fault_malformed(ret_fault, "its answer is not JSON");
  gemini_read_usage(json_find(answer, "usageMetadata"), ret_usage);
  ret_usage->has_output_tokens = false;
  buffer_printf(ret_response, "{\"object\":\"list\",\"data\":[");
  if (!put_vectors(answer, (asked->marks & GEMINI_BASE64) != 0, ret_response)) {
    ret_response->size = before;
    return dialect_fault_malformed(ret_fault, "its answer has no embeddings");
  }
  buffer_printf(ret_response, "],\"model\":");
  json_put_string(ret_response, asked->model);
  put_usage(ret_usage, ret_response);
  buffer_append(ret_response, "}", 1);
  return 0;
}
