/* A message of the event stream becomes a frame: its type out of its headers, its payload as it is. */
#include "adapters/bedrock/bedrock-internal.h"
#include "adapters/bedrock/event_stream.h"

typedef struct Sink {
  OnFrame *on_frame;
  void *userdata;
} Sink;

/* What failed is told with a '!' before its name. */
static void fail(const Sink *sink, Text type, Text data) {
  _cleanup_(buffer_done) Buffer marked = {0};

  buffer_printf(&marked, "!%.*s", TEXT_ARG(type));
  sink->on_frame(sink->userdata, (Text){(const char *)marked.data, marked.size}, data);
}

/* An error that the API's model does not have says its words in a header. */
static void fail_unmodelled(const Sink *sink, Bytes headers) {
  _cleanup_(buffer_done) Buffer data = {0};

  buffer_printf(&data, "{\"message\":");
  json_put_string(&data, event_header_string(headers, ":error-message"));
  buffer_append(&data, "}", 1);
  fail(sink, event_header_string(headers, ":error-code"), (Text){(const char *)data.data, data.size});
}

static void on_message(void *userdata, const EventMessage *message) {
  const Sink *sink = userdata;
  Text kind = event_header_string(message->headers, ":message-type");
  Text payload = {(const char *)message->payload.data, message->payload.size};

  if (text_is(kind, "event"))
    sink->on_frame(sink->userdata, event_header_string(message->headers, ":event-type"), payload);
  else if (text_is(kind, "exception"))
    fail(sink, event_header_string(message->headers, ":exception-type"), payload);
  else
    fail_unmodelled(sink, message->headers);
}

static const char *feed(void *state, Bytes bytes, OnFrame *on_frame, void *userdata) {
  static const char *const wrongs[] = {
      [0] = NULL,
      [EVENT_STREAM_E_SIZE] = "a message of its event stream has a length that can't be",
      [EVENT_STREAM_E_CHECKSUM] = "a message of its event stream has a wrong checksum",
      [EVENT_STREAM_E_HEADERS] = "a message of its event stream has headers that are none",
  };
  Sink sink = {on_frame, userdata};

  return wrongs[event_stream_feed(state, bytes, on_message, &sink)];
}

static void done(void *state) {
  event_stream_done(state);
}

const Framing bedrock_framing = {.content_type = "application/vnd.amazon.eventstream",
                                 .state_bytes = sizeof(EventStream),
                                 .feed = feed,
                                 .done = done};
