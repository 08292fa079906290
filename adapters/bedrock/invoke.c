/* Claude through InvokeModel: a request and an answer are Anthropic's own, so what Converse has no words for can be said. Without
   the members that the path says already, and with the version of Bedrock's; a stream has Anthropic's events, each in base64
   inside a message of AWS's. */
#include "adapters/anthropic/anthropic.h"
#include "adapters/bedrock/bedrock-internal.h"
#include "adapters/bedrock/event_stream.h"
#include "bus/base/base64.h"

static const char about[] = "InvokeModel of Bedrock";

/* --- the request --- */

/* Bedrock fetches nothing from the web. */
static int check_media(const AskChat *ask, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer room = {0};
  AskMessages messages = ask_messages(ask);
  AskMessage message;
  AskMedia media;
  AskParts parts;
  AskPart part;

  while (ask_next_message(&messages, &message))
    for (parts = ask_parts(message.content); ask_next_part(&parts, ask, &part);) {
      if (part.kind != ASK_PART_image)
        continue;
      ask_read_media(part.url, &room, &media);
      if (!media.is_inline)
        return dialect_fault_caller(ret_fault, "messages", "%s takes images as data: URLs alone", about);
    }
  return 0;
}

static int encode(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  AskChat ask;
  int r = dialect_read_chat(request, &anthropic_table, about, ret, &ask, ret_fault);

  if (r == 0)
    r = check_media(&ask, ret_fault);
  if (r != 0)
    return r;
  bedrock_put_path(ret->asked.model, ret->asked.streams ? "invoke-with-response-stream" : "invoke", &ret->path);
  buffer_put(&ret->body, TEXT("{\"anthropic_version\":\"bedrock-2023-05-31\""));
  r = anthropic_put_request(&ask, ret->asked.model, &ret->body, ret_fault);
  buffer_put(&ret->body, TEXT("}"));
  return r;
}

/* --- the stream --- */

typedef struct Sink {
  OnFrame *on_frame;
  void *userdata;
} Sink;

/* What is no chunk goes on as it is: exceptions, and what is newer than this. */
static void on_message(void *userdata, Text type, Text data) {
  const Sink *sink = userdata;
  _cleanup_(buffer_done) Buffer event = {0};
  Json object;
  Text bytes;

  if (!text_is(type, "chunk") || json_check(data, &object, NULL) != 0 ||
      json_get_plain(json_find(object, "bytes"), &bytes) != 0 || !base64_get(bytes, &event)) {
    sink->on_frame(sink->userdata, type, data);
    return;
  }
  sink->on_frame(sink->userdata, TEXT_NONE, buffer_text(&event));
}

static const char *feed(void *state, Bytes bytes, OnFrame *on_frame, void *userdata) {
  Sink sink = {on_frame, userdata};

  return bedrock_framing.feed(state, bytes, on_message, &sink);
}

static void done(void *state) {
  bedrock_framing.done(state);
}

static const Framing invoke_framing = {.content_type = "application/vnd.amazon.eventstream",
                                       .state_bytes = sizeof(EventStream),
                                       .feed = feed,
                                       .done = done};

static int stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  if (type.size > 0 && type.data[0] == '!')
    return bedrock_fail_stream((Text){type.data + 1, type.size - 1}, data, ret_fault);
  if (text_is(type, "chunk"))
    return dialect_fault_malformed(ret_fault, "a piece of its answer is not in base64");
  return anthropic_dialect.stream_event(stream, type, data, ret_fault);
}

static int decode(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                  DialectFault *ret_fault) {
  return anthropic_dialect.decode_chat(asked, body, ret_response, ret_usage, ret_fault);
}

static bool stream_is_whole(const DialectStream *stream) {
  return anthropic_dialect.stream_is_whole(stream);
}

static void stream_done(void *own) {
  anthropic_dialect.stream_done(own);
}

const Dialect bedrock_invoke_dialect = {
    .name = "bedrock_invoke",
    .about = about,
    .framing = &invoke_framing,
    .table = &anthropic_table,
    .stream_bytes = ANTHROPIC_STREAM_BYTES,
    .stream_done = stream_done,
    .encode_chat = encode,
    .encode_embed = bedrock_encode_embed,
    .authorize = bedrock_authorize,
    .decode_chat = decode,
    .decode_embed = bedrock_decode_embed,
    .stream_event = stream_event,
    .stream_is_whole = stream_is_whole,
    .decode_error = bedrock_decode_error,
    .encode_models = bedrock_encode_models,
    .decode_models = bedrock_decode_models,
};
