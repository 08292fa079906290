#include "adapters/bedrock/bedrock.h"

#include "adapters/bedrock/bedrock-internal.h"

const Dialect bedrock_dialect = {
    .name = "bedrock",
    .about = bedrock_about,
    .framing = &bedrock_framing,
    .table = &bedrock_table,
    .stream_bytes = sizeof(BedrockStream),
    .stream_done = bedrock_stream_done,
    .encode_chat = bedrock_encode_chat,
    .encode_embed = bedrock_encode_embed,
    .authorize = bedrock_authorize,
    .decode_chat = bedrock_decode_chat,
    .decode_embed = bedrock_decode_embed,
    .stream_event = bedrock_stream_event,
    .stream_is_whole = bedrock_stream_is_whole,
    .decode_error = bedrock_decode_error,
    .encode_models = bedrock_encode_models,
    .decode_models = bedrock_decode_models,
};
