#include "adapters/dialect/embed.h"

#include <stdio.h>

#include "bus/base/base64.h"

/* --- requests --- */

static bool is_one_of(Json key, const char *const *names) {
  for (; names && *names; names++)
    if (json_string_is(key, *names))
      return true;
  return false;
}

static int read_dimensions(Json value, EmbedRequest *ret, DialectFault *ret_fault) {
  if (json_get_uint(value, &ret->dimensions) == 0 && ret->dimensions > 0 && ret->dimensions <= INT32_MAX)
    return 0;
  return dialect_fault_caller(ret_fault, "dimensions", "'dimensions' must be a whole number above 0");
}

static int read_format(Json value, EmbedRequest *ret, DialectFault *ret_fault) {
  ret->base64 = json_string_is(value, "base64");
  if (ret->base64 || json_string_is(value, "float"))
    return 0;
  return dialect_fault_caller(ret_fault, "encoding_format", "'encoding_format' must be float or base64");
}

static int read_member(Json key, Json value, const char *about, EmbedRequest *ret, DialectFault *ret_fault) {
  static const char *const passed_over[] = {"model", "user", "fallbacks", NULL};
  char name[80];

  if (json_type(value) == JSON_NULL || is_one_of(key, passed_over))
    return 0;
  if (json_string_is(key, "dimensions"))
    return read_dimensions(value, ret, ret_fault);
  if (json_string_is(key, "encoding_format"))
    return read_format(value, ret, ret_fault);
  if (json_string_is(key, "input")) {
    ret->input = value;
    return 0;
  }
  snprintf(name, sizeof name, "%.*s", (int)min_u64(key.text.size - 2, sizeof name - 1), key.text.data + 1);
  return dialect_fault_caller(ret_fault, name, "%s can't do what '%s' asks for", about, name);
}

static int check_input(const char *about, uint32_t texts_max, EmbedRequest *ret, DialectFault *ret_fault) {
  JsonWalk walk = json_walk(ret->input);
  Json one;

  ret->count = json_type(ret->input) == JSON_STRING ? 1 : 0;
  for (; json_type(ret->input) == JSON_ARRAY && json_next_element(&walk, &one); ret->count++)
    if (json_type(one) != JSON_STRING)
      return dialect_fault_caller(ret_fault, "input",
                                  "'input' must be a text or a list of texts: tokens are known to one provider");
  if (ret->count == 0 || ret->count > texts_max)
    return dialect_fault_caller(
        ret_fault, "input", "'input' must be a text or a list of texts, for %s at most %u at a time", about, texts_max);
  return 0;
}

int embed_read(Json request, const char *about, uint32_t texts_max, const char *const *own, EmbedRequest *ret,
               DialectFault *ret_fault) {
  JsonWalk walk = json_walk(request);
  Json key;
  Json value;
  int r = 0;

  *ret = (EmbedRequest){.count = 0};
  while (r == 0 && json_next_member(&walk, &key, &value))
    if (!is_one_of(key, own))
      r = read_member(key, value, about, ret, ret_fault);
  return r ? r : check_input(about, texts_max, ret, ret_fault);
}

Json embed_text(const EmbedRequest *request, uint32_t index) {
  JsonWalk walk = json_walk(request->input);
  Json one = request->input;

  if (json_type(request->input) == JSON_STRING)
    return one;
  for (uint32_t i = 0; i <= index; i++)
    json_next_element(&walk, &one);
  return one;
}

/* --- answers --- */

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
  base64_put(out, buffer_bytes(&bytes));
  buffer_append(out, "\"", 1);
}

void embed_begin(Buffer *out) {
  buffer_printf(out, "{\"object\":\"list\",\"data\":[");
}

void embed_put_vector(Json values, uint32_t index, bool base64, Buffer *out) {
  buffer_printf(out, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":", index ? "," : "", index);
  if (base64)
    put_packed(values, out);
  else
    buffer_append(out, values.text.data, values.text.size);
  buffer_append(out, "}", 1);
}

void embed_end(Text model, const ChatUsage *usage, Buffer *out) {
  buffer_printf(out, "],\"model\":");
  json_put_string(out, model);
  if (usage->has_input_tokens)
    buffer_printf(out, ",\"usage\":{\"prompt_tokens\":%llu,\"total_tokens\":%llu}",
                  (unsigned long long)usage->input_tokens, (unsigned long long)usage->input_tokens);
  buffer_append(out, "}", 1);
}
