/* The dated API has the deployment in the path and its version in the query; v1 has neither, and is like OpenAI's. */
#include "adapters/azure/azure.h"

#include "adapters/openai/openai.h"

/* From this version on a stream may be asked for its usage; versions are dates, so they compare as texts. */
static const char usage_since[] = "2024-09-01";

static void put_path(DialectRequest *ret, const char *method) {
  const char *version = ret->asked.settings->api_version;

  if (!version) {
    buffer_printf(&ret->path, "/openai/v1/%s", method);
    return;
  }
  buffer_printf(&ret->path, "/openai/deployments/");
  dialect_put_segment(&ret->path, ret->asked.model);
  buffer_printf(&ret->path, "/%s?api-version=%s", method, version);
}

static int encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  const char *version = ret->asked.settings->api_version;

  (void)ret_fault;
  put_path(ret, "chat/completions");
  openai_put_chat(request, !version || strncmp(version, usage_since, strlen(usage_since)) >= 0, ret);
  return 0;
}

static int encode_embed(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  (void)ret_fault;
  put_path(ret, "embeddings");
  openai_put_embed(request, ret);
  return 0;
}

/* Puts a path of OpenAI's, behind its version, where Azure has it: under no deployment. */
static int put_plain(int r, DialectRequest *ret) {
  const char *version = ret->asked.settings->api_version;
  _cleanup_(buffer_done) Buffer path = ret->path;
  bool has_query = path.size > 0 && memchr(path.data, '?', path.size);

  ret->path = (Buffer){0};
  buffer_printf(&ret->path, version ? "/openai%.*s" : "/openai/v1%.*s", (int)path.size, (const char *)path.data);
  if (version)
    buffer_printf(&ret->path, "%sapi-version=%s", has_query ? "&" : "?", version);
  return r;
}

static int encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault) {
  return put_plain(openai_encode_models(models, ret, ret_fault), ret);
}

static int encode_tune(const DialectTune *tune, DialectRequest *ret, DialectFault *ret_fault) {
  return put_plain(openai_encode_tune(tune, ret, ret_fault), ret);
}

static int encode_transcribe(const TranscribeAsk *ask, DialectRequest *ret, DialectFault *ret_fault) {
  int r = openai_encode_transcribe(ask, ret, ret_fault);

  buffer_clear(&ret->path);
  put_path(ret, "audio/transcriptions");
  return r;
}

static int encode_speak(const SpeakAsk *ask, DialectRequest *ret, DialectFault *ret_fault) {
  int r = openai_encode_speak(ask, ret, ret_fault);

  buffer_clear(&ret->path);
  put_path(ret, "audio/speech");
  return r;
}

/* Whether a chunk says what a filter thinks and nothing else: of the prompt, in a first one without choices, or of text that has
   gone out, in one whose choices have no delta. Clients of OpenAI's know neither. */
static bool is_of_filter(const OpenaiChunk *chunk) {
  return chunk->has_choices && !chunk->has_usage && chunk->deltas == 0;
}

static int stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  OpenaiChunk chunk;
  int r = openai_read_event(stream, data, &chunk, ret_fault);

  (void)type;
  if (r == 0 && !is_of_filter(&chunk))
    openai_put_event(stream, data, &chunk);
  return r;
}

const Dialect azure_dialect = {
    .name = "azure",
    .about = "Azure's OpenAI API",
    .key_header = "api-key: ",
    .framing = &framing_sse,
    .encode_chat = encode_chat,
    .encode_embed = encode_embed,
    .decode_chat = openai_decode_chat,
    .decode_embed = openai_decode_embed,
    .stream_event = stream_event,
    .stream_is_whole = openai_stream_is_whole,
    .decode_error = openai_decode_error,
    .encode_models = encode_models,
    .decode_models = openai_decode_models,
    .encode_transcribe = encode_transcribe,
    .decode_transcribe = openai_decode_transcribe,
    .transcribe_event = openai_transcribe_event,
    .encode_speak = encode_speak,
    .encode_tune = encode_tune,
    .decode_tune = openai_decode_tune,
};
