/* Rooms: bedrock. The first byte is a size, the second whether checksums are mended; the rest is an event stream. */
#include <stdlib.h>

#include "adapters/bedrock/crc32.h"
#include "adapters/bedrock/event_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void on_message(void *userdata, const EventMessage *message) {
  Bytes rest = message->headers;
  Buffer *seen = userdata;
  EventHeader header;

  while (event_header_next(&rest, &header)) {
    buffer_append(seen, header.name.data, header.name.size);
    buffer_append(seen, &header.number, sizeof header.number);
    buffer_append(seen, header.value.data, header.value.size);
  }
  if (rest.size > 0)
    abort();
  buffer_append(seen, message->payload.data, message->payload.size);
  buffer_append(seen, "\n", 1);
}

static int feed(Bytes bytes, size_t piece_bytes, Buffer *seen) {
  _cleanup_(event_stream_done) EventStream stream = {{0}};
  int r = 0;

  for (size_t at = 0; at < bytes.size && r == 0; at += piece_bytes)
    r = event_stream_feed(&stream, (Bytes){bytes.data + at, min_u64(piece_bytes, bytes.size - at)}, on_message, seen);
  if (stream.message.size > EVENT_STREAM_MESSAGE_MAX_BYTES)
    abort();
  return r;
}

static uint32_t read_u32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void put_u32(uint8_t *at, uint32_t number) {
  for (unsigned i = 0; i < 4; i++)
    at[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* Sets the checksums right, as far as lengths lead: no fuzzer guesses them. */
static void mend(Buffer *bytes) {
  size_t at = 0;

  while (bytes->size - at >= 16) {
    uint8_t *message = bytes->data + at;
    size_t size = read_u32(message);

    put_u32(message + 8, crc32_of((Bytes){message, 8}));
    if (size < 16 || size > bytes->size - at)
      return;
    put_u32(message + size - 4, crc32_of((Bytes){message, size - 4}));
    at += size;
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  _cleanup_(buffer_done) Buffer bytes = {0};
  _cleanup_(buffer_done) Buffer whole = {0};
  _cleanup_(buffer_done) Buffer pieces = {0};

  if (size < 3)
    return 0;
  buffer_append(&bytes, data + 2, size - 2);
  if (data[1] & 1)
    mend(&bytes);
  if (feed(buffer_bytes(&bytes), bytes.size, &whole) != feed(buffer_bytes(&bytes), data[0] % 37 + 1u, &pieces))
    abort();
  if (whole.size != pieces.size || (whole.size > 0 && memcmp(whole.data, pieces.data, whole.size) != 0))
    abort();
  return 0;
}
