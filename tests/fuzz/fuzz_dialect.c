/* Rooms: adapters. The first byte is what the rest is: a request, an answer, an error, or events of a stream, for every dialect. */
#include <stdlib.h>

#include "adapters/dialect/sse.h"
#include "adapters/table.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const DialectSettings settings = {.base_url = "https://fuzz.example/v1"};

static Text of(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

static void must_be_json(Text text) {
  Json value;

  if (json_check(text, &value, NULL) != 0 || json_type(value) != JSON_OBJECT)
    abort();
}

static void must_say_why(int r, const DialectFault *fault) {
  if (r != DIALECT_E_FAULT || fault->fault.message.size == 0)
    abort();
}

static DialectAsked asked_of(bool streams) {
  return (DialectAsked){.settings = &settings, .model = TEXT("m"), .now_s = 1, .streams = streams};
}

static void encode(const Dialect *dialect, Text text) {
  _cleanup_(dialect_request_done) DialectRequest request = {.asked = asked_of(false)};
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  Json value;
  int r;

  if (json_check(text, &value, NULL) != 0 || json_type(value) != JSON_OBJECT)
    return;
  r = dialect->encode_chat(value, &request, &fault);
  if (r != 0)
    must_say_why(r, &fault);
  else
    must_be_json(of(&request.body));
}

static void decode(const Dialect *dialect, Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  _cleanup_(buffer_done) Buffer response = {0};
  DialectAsked asked = asked_of(false);
  ChatUsage usage = {0};
  int r = dialect->decode_chat(&asked, text, &response, &usage, &fault);

  if (r != 0)
    must_say_why(r, &fault);
  else
    must_be_json(of(&response));
}

static void decode_error(const Dialect *dialect, Text text) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  unsigned status = text.size > 0 ? 400 + (unsigned)(unsigned char)text.data[0] % 200 : 500;

  dialect->decode_error(&(DialectHead){.status = status, .retry_after = text, .error_type = text}, text, &fault);
  must_say_why(DIALECT_E_FAULT, &fault);
}

typedef struct Streaming {
  DialectStream stream;
  DialectFault fault;
  bool failed;
} Streaming;

static void on_event(void *userdata, Text type, Text data) {
  Streaming *streaming = userdata;
  int r = 0;

  if (!streaming->failed)
    r = streaming->stream.dialect->stream_event(&streaming->stream, type, data, &streaming->fault);
  if (r != 0)
    must_say_why(r, &streaming->fault);
  streaming->failed |= r != 0;
}

/* Whole events, each a line of an object. */
static void must_be_events(Text text) {
  while (text.size > 0) {
    const char *end = memmem(text.data, text.size, "\n\n", 2);
    size_t size;

    if (!end || text.size < 6 || memcmp(text.data, "data: ", 6) != 0)
      abort();
    size = (size_t)(end - text.data);
    must_be_json((Text){text.data + 6, size - 6});
    text = (Text){end + 2, text.size - size - 2};
  }
}

static void stream(const Dialect *dialect, Text text) {
  _cleanup_(sse_done) Sse sse = {.begun = false};
  Streaming streaming = {.failed = false};
  DialectAsked asked = asked_of(true);

  dialect_stream_begin(dialect, &asked, &streaming.stream);
  sse_feed(&sse, (Bytes){(const uint8_t *)text.data, text.size}, on_event, &streaming);
  must_be_events(of(&streaming.stream.events));
  dialect->stream_is_whole(&streaming.stream);
  dialect_stream_done(&streaming.stream);
  dialect_fault_done(&streaming.fault);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static void (*const readers[])(const Dialect *dialect, Text text) = {encode, decode, decode_error, stream};
  Text text;

  if (size == 0 || size > 1 << 20)
    return 0;
  text = (Text){(const char *)data + 1, size - 1};
  for (const Dialect *const *dialect = table_dialects(); *dialect; dialect++)
    readers[data[0] % ELEMENTS(readers)](*dialect, text);
  return 0;
}
