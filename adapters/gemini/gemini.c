#include "adapters/gemini/gemini.h"

#include "adapters/gemini/gemini-internal.h"

/* The last event has a reason for the end; there is no other mark. */
static bool stream_is_whole(const DialectStream *stream) {
  return stream->finished;
}

static int encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault) {
  (void)ret_fault;
  buffer_printf(&ret->path, "/models?pageSize=1000");
  if (models->next.size == 0)
    return 0;
  buffer_printf(&ret->path, "&pageToken=");
  dialect_put_segment(&ret->path, (Text){(const char *)models->next.data, models->next.size});
  return 0;
}

static int decode_models(Text body, DialectModels *ret, DialectFault *ret_fault) {
  Json answer = {TEXT_NONE};
  int r;

  json_check(body, &answer, NULL);
  r = dialect_read_names(json_find(answer, "models"), "name", "models/", &ret->names, ret_fault);
  if (r == 0)
    json_get_string(json_find(answer, "nextPageToken"), &ret->next);
  return r;
}

const Dialect gemini_dialect = {
    .name = "gemini",
    .about = "Gemini's API",
    .key_header = "x-goog-api-key: ",
    .framing = &framing_sse,
    .table = &gemini_table,
    .stream_bytes = sizeof(GeminiTold),
    .stream_done = gemini_stream_done,
    .encode_chat = gemini_encode_chat,
    .encode_embed = gemini_encode_embed,
    .decode_chat = gemini_decode_chat,
    .decode_embed = gemini_decode_embed,
    .stream_event = gemini_stream_event,
    .stream_is_whole = stream_is_whole,
    .decode_error = gemini_decode_error,
    .encode_models = encode_models,
    .decode_models = decode_models,
};
