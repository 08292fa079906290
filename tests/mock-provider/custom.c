/* A server of one's own that is like OpenAI's: /custom/MODEL/chat and /custom/MODEL/embed, the key in x-custom-key behind
   "Token ", a header x-team that has to be there, errors as Ollama has them, and no end mark. */
#include "tests/mock-provider/openai-internal.h"

static const char PREFIX[] = "/custom/";

static bool claims(Text path) {
  return path.size > sizeof PREFIX - 1 && memcmp(path.data, PREFIX, sizeof PREFIX - 1) == 0;
}

static void refuse(Answer *ret, unsigned status, Text why) {
  answer_done(ret);
  ret->status = status;
  ret->type = "application/json";
  buffer_printf(&ret->body, "{\"error\":");
  json_put_string(&ret->body, why);
  buffer_printf(&ret->body, "}");
}

static bool check(const Ask *ask, Answer *ret) {
  static const char TOKEN[] = "Token ";
  Text key = http_header(ask->http, "x-custom-key");

  if (ask->key && (key.size < sizeof TOKEN || memcmp(key.data, TOKEN, sizeof TOKEN - 1) != 0 ||
                   !text_is((Text){key.data + sizeof TOKEN - 1, key.size - sizeof TOKEN + 1}, ask->key)))
    refuse(ret, 401, TEXT("unauthorized"));
  else if (!text_is(http_header(ask->http, "x-team"), "blue"))
    refuse(ret, 400, TEXT("wants the header x-team"));
  else
    return true;
  return false;
}

/* What stands behind MODEL/. */
static Text method_of(Text path) {
  Text rest = {path.data + sizeof PREFIX - 1, path.size - sizeof PREFIX + 1};
  const char *slash = memchr(rest.data, '/', rest.size);

  return slash && slash > rest.data ? (Text){slash + 1, rest.size - (size_t)(slash - rest.data) - 1} : TEXT_NONE;
}

/* The words of OpenAI's error alone. */
static void simplify(Answer *ret) {
  Buffer message = {0};
  unsigned status = ret->status;
  Json body = {TEXT_NONE};

  if (json_check((Text){(const char *)ret->body.data, ret->body.size}, &body, NULL) == 0)
    json_get_string(json_find(json_find(body, "error"), "message"), &message);
  refuse(ret, status, (Text){(const char *)message.data, message.size});
  buffer_done(&message);
}

static void answer(const Ask *ask, Answer *ret) {
  Text method = method_of(ask->path);
  Ask inner = *ask;

  inner.key = NULL;
  inner.path = text_is(method, "chat")     ? TEXT("/v1/chat/completions")
               : text_is(method, "embed")  ? TEXT("/v1/embeddings")
               : text_is(method, "models") ? TEXT("/v1/models")
                                           : TEXT("/v1/none");
  if (!check(ask, ret))
    return;
  DIALECT_OPENAI.answer(&inner, ret);
  if (ret->status != 200)
    simplify(ret);
}

static void error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret) {
  DIALECT_OPENAI.error(ask, status, code, message, ret);
  simplify(ret);
}

static void put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  if (part != PART_DONE)
    DIALECT_OPENAI.put_part(ask, story, part, index, out);
}

const Dialect DIALECT_CUSTOM = {
    .name = "custom", .claims = claims, .answer = answer, .error = error, .put_part = put_part};
