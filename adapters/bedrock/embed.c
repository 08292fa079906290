/* Embeddings go through InvokeModel, whose words are those of the model's maker: Titan takes one text, Cohere a list. */
#include "adapters/dialect/embed.h"

#include "adapters/bedrock/bedrock-internal.h"

enum { BASE64 = 1, COHERE_TEXTS_MAX = 96 };

typedef enum Maker { MAKER_TITAN, MAKER_COHERE, MAKER_END } Maker;

static Maker maker_of(Text model) {
  static const char *const marks[] = {[MAKER_TITAN] = "amazon.titan-embed-text", [MAKER_COHERE] = "cohere.embed"};
  Maker maker = 0;

  while (maker < MAKER_END && !memmem(model.data, model.size, marks[maker], strlen(marks[maker])))
    maker++;
  return maker;
}

/* --- requests --- */

static void put_titan(const EmbedRequest *wanted, Json request, Buffer *out) {
  Json normalize = json_find(request, "normalize");

  buffer_printf(out, "{\"inputText\":%.*s", TEXT_ARG(embed_text(wanted, 0).text));
  if (wanted->dimensions > 0)
    buffer_printf(out, ",\"dimensions\":%llu", (unsigned long long)wanted->dimensions);
  if (json_type(normalize) == JSON_BOOL)
    buffer_printf(out, ",\"normalize\":%.*s", TEXT_ARG(normalize.text));
  buffer_append(out, "}", 1);
}

/* What a text is for has to be said; for a store of documents is what OpenAI's clients most often mean. */
static void put_cohere(const EmbedRequest *wanted, Json request, Buffer *out) {
  bool is_list = json_type(wanted->input) == JSON_ARRAY;
  Json type = json_find(request, "input_type");

  buffer_printf(out, is_list ? "{\"texts\":%.*s" : "{\"texts\":[%.*s]", TEXT_ARG(wanted->input.text));
  buffer_printf(out, ",\"input_type\":%.*s",
                TEXT_ARG(json_type(type) == JSON_STRING ? type.text : TEXT("\"search_document\"")));
  if (wanted->dimensions > 0)
    buffer_printf(out, ",\"output_dimension\":%llu", (unsigned long long)wanted->dimensions);
  buffer_append(out, "}", 1);
}

int bedrock_encode_embed(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  static const struct {
    const char *about;
    uint32_t texts_max;
    const char *own[2];
    void (*put)(const EmbedRequest *wanted, Json request, Buffer *out);
  } makers[] = {
      [MAKER_TITAN] = {"Titan at Bedrock", 1, {"normalize", NULL}, put_titan},
      [MAKER_COHERE] = {"Cohere at Bedrock", COHERE_TEXTS_MAX, {"input_type", NULL}, put_cohere},
  };
  Maker maker = maker_of(ret->asked.model);
  EmbedRequest wanted;
  int r;

  if (maker == MAKER_END)
    return dialect_fault_set(ret_fault,
                             &(Fault){.cause = CAUSE_UNAVAILABLE,
                                      .message = TEXT("embeddings of this maker are not known here: Titan's and "
                                                      "Cohere's are")});
  r = embed_read(request, makers[maker].about, makers[maker].texts_max, makers[maker].own, &wanted, ret_fault);
  if (r != 0)
    return r;
  ret->asked.marks = wanted.base64 ? BASE64 : 0;
  bedrock_put_path(ret->asked.model, "invoke", &ret->path);
  makers[maker].put(&wanted, request, &ret->body);
  return 0;
}

/* --- answers --- */

/* Cohere's newer models have a list for each type of number. */
static Json vectors_of(Json answer) {
  Json list = json_find(answer, "embeddings");

  return json_type(list) == JSON_OBJECT ? json_find(list, "float") : list;
}

static bool put_vectors(Json answer, bool base64, Buffer *out) {
  Json one = json_find(answer, "embedding");
  JsonWalk walk = json_walk(vectors_of(answer));
  uint32_t index = 0;

  if (json_type(one) == JSON_ARRAY) {
    embed_put_vector(one, 0, base64, out);
    return true;
  }
  for (; json_next_element(&walk, &one); index++) {
    if (json_type(one) != JSON_ARRAY)
      return false;
    embed_put_vector(one, index, base64, out);
  }
  return index > 0;
}

int bedrock_decode_embed(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                         DialectFault *ret_fault) {
  size_t before = ret_response->size;
  Json answer;

  if (json_check(body, &answer, NULL) != 0)
    return dialect_fault_malformed(ret_fault, "its answer is not JSON");
  ret_usage->has_input_tokens = json_get_uint(json_find(answer, "inputTextTokenCount"), &ret_usage->input_tokens) == 0;
  ret_usage->input_tokens = min_u64(ret_usage->input_tokens, UINT32_MAX);
  embed_begin(ret_response);
  if (!put_vectors(answer, (asked->marks & BASE64) != 0, ret_response)) {
    ret_response->size = before;
    return dialect_fault_malformed(ret_fault, "its answer has no embeddings");
  }
  embed_end(asked->model, ret_usage, ret_response);
  return 0;
}
