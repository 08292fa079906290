/* Templates were checked when the configuration was read: {model} stands in paths, {key} once in the header of the key. */
#include "adapters/custom/custom.h"

#include "adapters/openai/openai.h"

static void put_path(DialectRequest *ret, const char *template, const char *standard) {
  static const char mark[] = "{model}";
  const char *at = template ? template : standard;
  const char *found;

  for (; (found = strstr(at, mark)); at = found + sizeof mark - 1) {
    buffer_append(&ret->path, at, (size_t)(found - at));
    dialect_put_segment(&ret->path, ret->asked.model);
  }
  buffer_append(&ret->path, at, strlen(at));
}

static void put_headers(DialectRequest *ret) {
  const DialectSettings *settings = ret->asked.settings;

  for (uint32_t i = 0; i < settings->headers_count; i++)
    buffer_append(&ret->headers, settings->headers[i], strlen(settings->headers[i]) + 1);
}

static int encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  (void)ret_fault;
  put_path(ret, ret->asked.settings->chat_path, "/chat/completions");
  put_headers(ret);
  openai_put_chat(request, !ret->asked.settings->without_usage, ret);
  return 0;
}

static int encode_embed(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  (void)ret_fault;
  put_path(ret, ret->asked.settings->embed_path, "/embeddings");
  put_headers(ret);
  openai_put_embed(request, ret);
  return 0;
}

static int encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault) {
  (void)models;
  (void)ret_fault;
  put_path(ret, ret->asked.settings->models_path, "/models");
  put_headers(ret);
  return 0;
}

/* Where OpenAI has them; a server that has none says so itself. */
static int encode_transcribe(const TranscribeAsk *ask, DialectRequest *ret, DialectFault *ret_fault) {
  put_headers(ret);
  return openai_encode_transcribe(ask, ret, ret_fault);
}

static int encode_speak(const SpeakAsk *ask, DialectRequest *ret, DialectFault *ret_fault) {
  put_headers(ret);
  return openai_encode_speak(ask, ret, ret_fault);
}

static int authorize(const DialectKey *key, const DialectSend *send, Buffer *ret_headers, DialectFault *ret_fault) {
  static const char mark[] = "{key}";
  const char *template = send->settings->key_header ? send->settings->key_header : "Authorization: Bearer {key}";
  const char *found = strstr(template, mark);

  (void)ret_fault;
  if (!key->secret || !found)
    return 0;
  buffer_append(ret_headers, template, (size_t)(found - template));
  buffer_append(ret_headers, key->secret, strlen(key->secret));
  buffer_append(ret_headers, found + sizeof mark - 1, strlen(found + sizeof mark - 1) + 1);
  return 0;
}

const Dialect custom_dialect = {
    .name = "custom",
    .about = "this API",
    .key_header = "Authorization: Bearer ",
    .framing = &framing_sse,
    .encode_chat = encode_chat,
    .encode_embed = encode_embed,
    .authorize = authorize,
    .decode_chat = openai_decode_chat,
    .decode_embed = openai_decode_embed,
    .stream_event = openai_stream_event,
    .stream_is_whole = openai_stream_is_whole,
    .decode_error = openai_decode_error,
    .encode_models = encode_models,
    .decode_models = openai_decode_models,
    .encode_transcribe = encode_transcribe,
    .decode_transcribe = openai_decode_transcribe,
    .transcribe_event = openai_transcribe_event,
    .encode_speak = encode_speak,
};
