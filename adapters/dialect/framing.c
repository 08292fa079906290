#include "adapters/dialect/framing.h"

#include "adapters/dialect/sse.h"

static const char too_large[] = "an event of its stream is over 1 MiB";

static const char *feed_sse(void *state, Bytes bytes, OnFrame *on_frame, void *userdata) {
  return sse_feed(state, bytes, on_frame, userdata) == 0 ? NULL : too_large;
}

static void done_sse(void *state) {
  sse_done(state);
}

const Framing framing_sse = {
    .content_type = "text/event-stream", .state_bytes = sizeof(Sse), .feed = feed_sse, .done = done_sse};

/* --- bytes --- */

static const char *feed_raw(void *state, Bytes bytes, OnFrame *on_frame, void *userdata) {
  (void)state;
  on_frame(userdata, TEXT_NONE, (Text){(const char *)bytes.data, bytes.size});
  return NULL;
}

static void done_raw(void *state) {
  (void)state;
}

const Framing framing_raw = {.content_type = "audio/", .state_bytes = 1, .feed = feed_raw, .done = done_raw};

/* --- lines --- */

static void end_line(Buffer *line, OnFrame *on_frame, void *userdata) {
  Text text = {(const char *)line->data, line->size};

  while (text.size > 0 && (text.data[text.size - 1] == '\r' || text.data[text.size - 1] == ' '))
    text.size--;
  if (text.size > 0)
    on_frame(userdata, TEXT_NONE, text);
  buffer_clear(line);
}

static const char *feed_lines(void *state, Bytes bytes, OnFrame *on_frame, void *userdata) {
  Buffer *line = state;

  while (bytes.size > 0) {
    const uint8_t *end = memchr(bytes.data, '\n', bytes.size);
    size_t size = end ? (size_t)(end - bytes.data) : bytes.size;

    if (line->size + size > SSE_EVENT_MAX_BYTES)
      return too_large;
    buffer_append(line, bytes.data, size);
    if (end)
      end_line(line, on_frame, userdata);
    size += end != NULL;
    bytes = (Bytes){bytes.data + size, bytes.size - size};
  }
  return NULL;
}

static void done_lines(void *state) {
  buffer_done(state);
}

const Framing framing_lines = {
    .content_type = "application/x-ndjson", .state_bytes = sizeof(Buffer), .feed = feed_lines, .done = done_lines};
