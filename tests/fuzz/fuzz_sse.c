/* Rooms: dialect. The first byte is a size; the rest is a stream. In pieces of that size it has the events that it has whole. */
#include <stdlib.h>

#include "adapters/dialect/sse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_event(void *userdata, Text type, Text data) {
  Buffer *seen = userdata;

  if (type.size > SSE_EVENT_MAX_BYTES || data.size > SSE_EVENT_MAX_BYTES)
    abort();
  buffer_append(seen, &type.size, sizeof type.size);
  buffer_append(seen, type.data, type.size);
  buffer_append(seen, &data.size, sizeof data.size);
  buffer_append(seen, data.data, data.size);
}

static void feed(const uint8_t *data, size_t size, size_t piece_bytes, Buffer *seen) {
  _cleanup_(sse_done) Sse sse = {.begun = false};

  for (size_t at = 0; at < size; at += piece_bytes) {
    size_t piece = size - at < piece_bytes ? size - at : piece_bytes;

    if (sse_feed(&sse, (Bytes){data + at, piece}, on_event, seen) != 0)
      return;
    if (sse.line.size > SSE_EVENT_MAX_BYTES || sse.data.size > SSE_EVENT_MAX_BYTES + 1)
      abort();
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  _cleanup_(buffer_done) Buffer whole = {0};
  _cleanup_(buffer_done) Buffer pieces = {0};

  if (size < 2 || size > SSE_EVENT_MAX_BYTES / 2)
    return 0;
  feed(data + 1, size - 1, size, &whole);
  feed(data + 1, size - 1, data[0] % 17 + 1u, &pieces);
  if (whole.size != pieces.size || (whole.size > 0 && memcmp(whole.data, pieces.data, whole.size) != 0))
    abort();
  return 0;
}
