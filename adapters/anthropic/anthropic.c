#include "adapters/anthropic/anthropic-internal.h"

static bool stream_is_whole(const DialectStream *stream) {
  return stream->done || stream->finished;
}

_Static_assert(sizeof(AnthropicStream) <= ANTHROPIC_STREAM_BYTES, "a stream's state has the room that others give it");

const Dialect anthropic_dialect = {
    .name = "anthropic",
    .about = "Anthropic's API",
    .key_header = "x-api-key: ",
    .framing = &framing_sse,
    .table = &anthropic_table,
    .stream_bytes = sizeof(AnthropicStream),
    .stream_done = anthropic_stream_done,
    .encode_chat = anthropic_encode,
    .decode_chat = anthropic_decode,
    .stream_event = anthropic_stream_event,
    .stream_is_whole = stream_is_whole,
    .decode_error = anthropic_decode_error,
    .encode_models = anthropic_encode_models,
    .decode_models = anthropic_decode_models,
};
