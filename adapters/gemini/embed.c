/* Embeddings: batchEmbedContents for one text as for several, as Google's own SDK asks. */
#include "adapters/dialect/embed.h"
#include "adapters/gemini/gemini-internal.h"

enum { TEXTS_MAX = 100 };

/* --- requests --- */

static void put_content(Json text, Text model, uint64_t dimensions, Buffer *out) {
  buffer_printf(out, "{\"model\":%.*s,\"content\":{\"parts\":[{\"text\":", TEXT_ARG(model));
  buffer_put(out, text.text);
  buffer_printf(out, "}]}");
  if (dimensions > 0)
    buffer_printf(out, ",\"outputDimensionality\":%llu", (unsigned long long)dimensions);
  buffer_append(out, "}", 1);
}

/* model: its name there, quoted. */
static void put_contents(const EmbedRequest *wanted, Text model, Buffer *out) {
  JsonWalk walk = json_walk(wanted->input);
  bool first = true;
  Json one;

  if (json_type(wanted->input) == JSON_STRING)
    put_content(wanted->input, model, wanted->dimensions, out);
  for (; json_next_element(&walk, &one); first = false) {
    buffer_append(out, ",", first ? 0 : 1);
    put_content(one, model, wanted->dimensions, out);
  }
}

int gemini_encode_embed(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer name = {0};
  _cleanup_(buffer_done) Buffer quoted = {0};
  EmbedRequest wanted;
  int r = embed_read(request, "Gemini's API", TEXTS_MAX, NULL, &wanted, ret_fault);

  if (r != 0)
    return r;
  ret->asked.marks = wanted.base64 ? GEMINI_BASE64 : 0;
  gemini_put_path(ret->asked.model, "batchEmbedContents", &ret->path);
  buffer_printf(&name, "models/%.*s", TEXT_ARG(ret->asked.model));
  json_put_string(&quoted, buffer_text(&name));
  buffer_printf(&ret->body, "{\"requests\":[");
  put_contents(&wanted, buffer_text(&quoted), &ret->body);
  buffer_printf(&ret->body, "]}");
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
  JsonWalk walk = json_walk(json_find(answer, "embeddings"));
  unsigned index = 0;
  Json one;

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
