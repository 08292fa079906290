/* Claude by InvokeModel: the body is Anthropic's without what the path says, and is checked as Anthropic does; a stream has
   Anthropic's events in base64. */
#include "tests/mock-provider/anthropic-internal.h"
#include "tests/mock-provider/bedrock-internal.h"
#include "tests/mock-provider/openai-internal.h"

static Text text_of_buffer(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

static bool check_version(Json body, Answer *ret) {
  if (!json_string_is(json_find(body, "anthropic_version"), "bedrock-2023-05-31"))
    return bedrock_invalid(ret,
                           "Malformed input request: anthropic_version: Field required or unknown, please reformat "
                           "your input and try again.");
  if (!json_is_none(json_find(body, "model")) || !json_is_none(json_find(body, "stream")))
    return bedrock_invalid(ret,
                           "Malformed input request: #: extraneous key [%s] is not permitted, please reformat your "
                           "input and try again.",
                           json_is_none(json_find(body, "model")) ? "stream" : "model");
  return true;
}

/* The body as Anthropic itself would have it. */
static void complete(Json body, const char *model, bool streams, Buffer *ret) {
  Buffer name = {0}, first = {0}, second = {0};

  json_put_string(&name, text_of(model));
  json_put_with(&first, body, "anthropic_version", TEXT_NONE);
  json_put_with(&second, (Json){text_of_buffer(&first)}, "model", text_of_buffer(&name));
  json_put_with(ret, (Json){text_of_buffer(&second)}, "stream", streams ? TEXT("true") : TEXT("false"));
  buffer_done(&name);
  buffer_done(&first);
  buffer_done(&second);
}

/* Anthropic's refusal in Bedrock's shape. */
static void translate(Answer *ret) {
  Buffer message = {0};
  Json body = {TEXT_NONE};

  json_check(text_of_buffer(&ret->body), &body, NULL);
  json_get_string(json_find(json_find(body, "error"), "message"), &message);
  answer_done(ret);
  bedrock_invalid(ret, "%.*s", (int)message.size, (const char *)message.data);
  buffer_done(&message);
}

void bedrock_answer_claude(const Ask *ask, const char *model, Json body, bool streams, Answer *ret) {
  HttpRequest http = *ask->http;
  Ask inner = *ask;
  Buffer whole = {0};
  AnthropicAsk asked;

  if (!check_version(body, ret))
    return;
  complete(body, model, streams, &whole);
  http.body = text_of_buffer(&whole);
  inner.http = &http;
  if (anthropic_check(&inner, false, &asked, ret)) {
    anthropic_plan(&inner, &asked, &ret->story);
    ret->status = 200;
    ret->streams = ret->story.claude = streams;
    ret->type = streams ? "application/vnd.amazon.eventstream" : "application/json";
    if (!streams)
      anthropic_put_plain(&inner, &ret->story, &ret->body);
  } else {
    translate(ret);
  }
  buffer_done(&whole);
}

static void put_event(Text data, Buffer *out) {
  Buffer payload = {0};

  buffer_printf(&payload, "{\"bytes\":\"");
  openai_put_base64((const uint8_t *)data.data, data.size, &payload);
  buffer_printf(&payload, "\",\"p\":\"abcdef\"}");
  bedrock_put_message(BEDROCK_EVENT, "chunk", text_of_buffer(&payload), out);
  buffer_done(&payload);
}

void bedrock_put_claude(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  static const char MARK[] = "data: ";
  Buffer events = {0};
  const char *at, *end;

  if (part == PART_ERROR) {
    bedrock_put_exception(ask, out);
    return;
  }
  anthropic_put_part(ask, story, part, index, &events);
  buffer_append(&events, "", 1);
  for (at = (const char *)events.data; (at = strstr(at, MARK)); at = end) {
    at += sizeof MARK - 1;
    end = at + strcspn(at, "\n");
    put_event((Text){at, (size_t)(end - at)}, out);
  }
  buffer_done(&events);
  if (part == PART_CHUNK && index + 1 == ask->knobs.bad_checksum)
    out->data[out->size - 1] ^= 1;
}
