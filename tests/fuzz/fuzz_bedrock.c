/* Rooms: bedrock. The first byte says what the rest is: an event stream, an answer, a request, an error, a key, payloads of InvokeModel. */
#include <stdlib.h>

#include "adapters/bedrock/bedrock.h"
#include "adapters/bedrock/crc32.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const DialectAsked asked = {.model = {"m", 1}, .streams = true};

static void must_be_json(const Buffer *buffer) {
  Json value;

  if (json_check((Text){(const char *)buffer->data, buffer->size}, &value, NULL) != 0)
    abort();
}

/* Each event must be one of OpenAI's: "data: ", JSON, an empty line. */
static void check_events(const Buffer *events) {
  const char *at = (const char *)events->data;
  const char *end = events->size ? at + events->size : at;
  Json value;

  while (at < end) {
    const char *stop = memmem(at, (size_t)(end - at), "\n\n", 2);

    if (!stop || stop - at < 6 || memcmp(at, "data: ", 6) != 0 ||
        json_check((Text){at + 6, (size_t)(stop - at) - 6}, &value, NULL) != 0)
      abort();
    at = stop + 2;
  }
}

static void on_frame(void *userdata, Text type, Text data) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  bedrock_dialect.stream_event(userdata, type, data, &fault);
}

static void fuzz_stream(Bytes bytes) {
  _cleanup_(dialect_stream_done) DialectStream stream;
  void *state = calloc(1, bedrock_dialect.framing->state_bytes);

  if (!state)
    abort();
  dialect_stream_begin(&bedrock_dialect, &asked, &stream);
  bedrock_dialect.framing->feed(state, bytes, on_frame, &stream);
  check_events(&stream.events);
  bedrock_dialect.framing->done(state);
  free(state);
}

/* The same without the checksums: lines of a type, a blank and its data. */
static void fuzz_events(Text text) {
  _cleanup_(dialect_stream_done) DialectStream stream;

  dialect_stream_begin(&bedrock_dialect, &asked, &stream);
  while (text.size > 0) {
    const char *end = memchr(text.data, '\n', text.size);
    Text line = {text.data, end ? (size_t)(end - text.data) : text.size};
    const char *blank = memchr(line.data, ' ', line.size);
    size_t type = blank ? (size_t)(blank - line.data) : line.size;

    on_frame(&stream, (Text){line.data, type}, (Text){line.data + type, line.size - type});
    text = (Text){text.data + line.size + (end != NULL), text.size - line.size - (end != NULL)};
  }
  check_events(&stream.events);
}

/* --- payloads inside of messages that are whole --- */

static void put_u32(Buffer *out, size_t number) {
  for (unsigned shift = 32; shift > 0; shift -= 8)
    buffer_append(out, &(uint8_t){(uint8_t)(number >> (shift - 8))}, 1);
}

static void put_header(const char *name, const char *value, Buffer *out) {
  size_t n = strlen(name), size = strlen(value);

  buffer_append(out, &(uint8_t){(uint8_t)n}, 1);
  buffer_append(out, name, n);
  buffer_append(out, (const uint8_t[]){7, (uint8_t)(size >> 8), (uint8_t)size}, 3);
  buffer_append(out, value, size);
}

static void put_message(Text payload, Buffer *out) {
  _cleanup_(buffer_done) Buffer headers = {0};
  _cleanup_(buffer_done) Buffer message = {0};

  put_header(":message-type", "event", &headers);
  put_header(":event-type", "chunk", &headers);
  put_u32(&message, headers.size + payload.size + 16);
  put_u32(&message, headers.size);
  put_u32(&message, crc32_of(buffer_bytes(&message)));
  buffer_append(&message, headers.data, headers.size);
  buffer_append(&message, payload.data, payload.size);
  put_u32(&message, crc32_of(buffer_bytes(&message)));
  buffer_append(out, message.data, message.size);
}

static void on_invoked(void *userdata, Text type, Text data) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  bedrock_invoke_dialect.stream_event(userdata, type, data, &fault);
}

/* Each line is a payload: JSON with an event of Anthropic's in base64, or what is none. */
static void fuzz_invoke(Text text) {
  _cleanup_(dialect_stream_done) DialectStream stream;
  _cleanup_(buffer_done) Buffer bytes = {0};
  void *state = calloc(1, bedrock_invoke_dialect.framing->state_bytes);

  if (!state)
    abort();
  while (text.size > 0) {
    const char *end = memchr(text.data, '\n', text.size);
    size_t size = end ? (size_t)(end - text.data) : text.size;

    put_message((Text){text.data, size}, &bytes);
    text = (Text){text.data + size + (end != NULL), text.size - size - (end != NULL)};
  }
  dialect_stream_begin(&bedrock_invoke_dialect, &asked, &stream);
  if (bytes.size > 0 && bedrock_invoke_dialect.framing->feed(state, buffer_bytes(&bytes), on_invoked, &stream))
    abort();
  check_events(&stream.events);
  bedrock_invoke_dialect.framing->done(state);
  free(state);
}

/* --- the others --- */

static void fuzz_answer(Text text) {
  _cleanup_(buffer_done) Buffer response = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  ChatUsage usage = {.input_tokens = 0};

  if (bedrock_dialect.decode_chat(&(DialectAsked){.model = TEXT("m")}, text, &response, &usage, &fault) == 0)
    must_be_json(&response);
}

static void fuzz_request(Text text) {
  _cleanup_(dialect_request_done) DialectRequest request = {.asked = {.model = TEXT("eu.anthropic.claude:0")}};
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
  Json value;

  if (json_check(text, &value, NULL) == 0 && json_type(value) == JSON_OBJECT &&
      bedrock_dialect.encode_chat(value, &request, &fault) == 0)
    must_be_json(&request.body);
}

static void fuzz_error(Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  bedrock_dialect.decode_error(&(DialectHead){.status = 400, .error_type = TEXT("ValidationException")}, text, &fault);
  if (fault.fault.message.size == 0)
    abort();
}

static void fuzz_key(Text text) {
  _cleanup_(buffer_done) Buffer headers = {0};
  _cleanup_(buffer_done) Buffer secret = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  buffer_append(&secret, text.data, text.size);
  buffer_append(&secret, "", 1);
  dialect_authorize(&bedrock_dialect, &(DialectKey){.secret = (const char *)secret.data},
                    &(DialectSend){.settings = &(DialectSettings){.region = "r"}, .method = "POST", .path = TEXT("/p")},
                    &headers, &fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Text text = {(const char *)data + 1, size - 1};

  if (size < 1)
    return 0;
  switch (data[0] % 8) { /* the corpus begins with digits: '0' is 48 */
  case 0:
    fuzz_stream((Bytes){data + 1, size - 1});
    break;
  case 1:
    fuzz_events(text);
    break;
  case 2:
    fuzz_answer(text);
    break;
  case 3:
    fuzz_request(text);
    break;
  case 4:
    fuzz_error(text);
    break;
  case 6:
    fuzz_invoke(text);
    break;
  default:
    fuzz_key(text);
  }
  return 0;
}
