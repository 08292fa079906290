#include "adapters/gemini/gemini.h"

#include "adapters/gemini/gemini-internal.h"

/* The last event has a reason for the end; there is no other mark. */
static bool stream_is_whole(const DialectStream *stream) {
  return stream->finished;
}

static int decode_models(Text body, Buffer *ret_names, DialectFault *ret_fault) {
  Json answer = {TEXT_NONE};

  json_check(body, &answer, NULL);
  return dialect_read_names(json_find(answer, "models"), "name", "models/", ret_names, ret_fault);
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
    .models_path = "/models?pageSize=1000",
    .decode_models = decode_models,
};
