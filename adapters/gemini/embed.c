/* Embeddings: one text is embedContent, several are batchEmbedContents, and so is an answer. */
#include "adapters/dialect/embed.h"
#include "adapters/gemini/gemini-internal.h"

enum { TEXTS_MAX = 100 };

/* --- requests --- */

static void put_content(Json text, uint64_t dimensions, Buffer *out) {
  buffer_printf(out, "\"content\":{\"parts\":[{\"text\":");
  buffer_append(out, text.text.data, text.text.size);
  buffer_printf(out, "}]}");
  if (dimensions > 0)
    buffer_printf(out, ",\"outputDimensionality\":%llu", (unsigned long long)dimensions);
  buffer_append(out, "}", 1);
}

static void put_batch(const EmbedRequest *wanted, Text model, Buffer *out) {
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
  EmbedRequest wanted;
  int r = embed_read(request, "Gemini's API", TEXTS_MAX, NULL, &wanted, ret_fault);

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

static bool put_vector(Json embedding, unsigned index, bool base64, Buffer *out) {
  Json values = json_find(embedding, "values");

  if (json_type(values) != JSON_ARRAY)
    return false;
  embed_put_vector(values, index, base64, out);
  return true;
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
  embed_begin(ret_response);
  if (!put_vectors(answer, (asked->marks & GEMINI_BASE64) != 0, ret_response)) {
    ret_response->size = before;
    return dialect_fault_malformed(ret_fault, "its answer has no embeddings");
  }
  embed_end(asked->model, ret_usage, ret_response);
  return 0;
}
