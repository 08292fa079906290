/* A message: length of all, length of the headers, checksum of these eight bytes; headers; payload; checksum of all before.
   The prelude is checked as soon as it is there, so that a length nobody meant is not waited for. */
#include "adapters/bedrock/event_stream.h"

#include "adapters/bedrock/crc32.h"

enum { LENGTHS_BYTES = 8, PRELUDE_BYTES = 12, CHECKSUM_BYTES = 4 };

static uint32_t read_u32(const uint8_t *at) {
  return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

/* Big-endian and signed. */
static int64_t read_number(Bytes value) {
  uint64_t number = 0;

  for (size_t i = 0; i < value.size; i++)
    number = number << 8 | value.data[i];
  if (value.size > 0 && value.size < 8 && value.data[0] & 0x80)
    number |= UINT64_MAX << (8 * value.size);
  return (int64_t)number;
}

/* --- headers --- */

static Bytes take(Bytes *from, size_t size_bytes) {
  Bytes ret = {from->data, size_bytes};

  *from = (Bytes){from->data + size_bytes, from->size - size_bytes};
  return ret;
}

/* Takes the value of a type off. Returns whether all of it is there. */
static bool take_value(Bytes *rest, unsigned type, Bytes *ret) {
  static const uint8_t sizes[] = {
      [EVENT_HEADER_BYTE] = 1, [EVENT_HEADER_SHORT] = 2,     [EVENT_HEADER_INT] = 4,
      [EVENT_HEADER_LONG] = 8, [EVENT_HEADER_TIMESTAMP] = 8, [EVENT_HEADER_UUID] = 16,
  };
  size_t size;

  if (type > EVENT_HEADER_UUID)
    return false;
  size = sizes[type];
  if (type == EVENT_HEADER_BYTES || type == EVENT_HEADER_STRING) {
    if (rest->size < 2)
      return false;
    size = (size_t)rest->data[0] << 8 | rest->data[1];
    take(rest, 2);
  }
  if (rest->size < size)
    return false;
  *ret = take(rest, size);
  return true;
}

bool event_header_next(Bytes *headers, EventHeader *ret) {
  Bytes rest = *headers;
  EventHeader header;
  Bytes name;

  if (rest.size == 0)
    return false;
  name = take(&rest, 1);
  if (name.data[0] == 0 || rest.size < name.data[0] + 1u)
    return false;
  name = take(&rest, name.data[0]);
  header = (EventHeader){.name = {(const char *)name.data, name.size}, .type = take(&rest, 1).data[0]};
  if (!take_value(&rest, header.type, &header.value))
    return false;
  if (header.type != EVENT_HEADER_BYTES && header.type != EVENT_HEADER_STRING && header.type != EVENT_HEADER_UUID)
    header.number = read_number(header.value);
  *headers = rest;
  *ret = header;
  return true;
}

Text event_header_string(Bytes headers, const char *name) {
  EventHeader header;

  while (event_header_next(&headers, &header))
    if (header.type == EVENT_HEADER_STRING && text_is(header.name, name))
      return (Text){(const char *)header.value.data, header.value.size};
  return TEXT_NONE;
}

static bool are_headers(Bytes headers) {
  EventHeader header;

  while (event_header_next(&headers, &header))
    continue;
  return headers.size == 0;
}

/* --- messages --- */

/* The length of the message whose first bytes these are: 0 in *ret while the prelude is not whole. */
static int read_prelude(Bytes bytes, size_t *ret) {
  size_t size;
  size_t headers;

  *ret = 0;
  if (bytes.size < PRELUDE_BYTES)
    return 0;
  size = read_u32(bytes.data);
  headers = read_u32(bytes.data + 4);
  if (crc32_of((Bytes){bytes.data, LENGTHS_BYTES}) != read_u32(bytes.data + LENGTHS_BYTES))
    return EVENT_STREAM_E_CHECKSUM;
  if (size > EVENT_STREAM_MESSAGE_MAX_BYTES || headers > EVENT_STREAM_HEADERS_MAX_BYTES ||
      size < PRELUDE_BYTES + headers + CHECKSUM_BYTES)
    return EVENT_STREAM_E_SIZE;
  *ret = size;
  return 0;
}

static int take_message(Bytes bytes, OnEventMessage *on_message, void *userdata) {
  size_t checked = bytes.size - CHECKSUM_BYTES;
  size_t headers = read_u32(bytes.data + 4);
  EventMessage message = {.headers = {bytes.data + PRELUDE_BYTES, headers},
                          .payload = {bytes.data + PRELUDE_BYTES + headers, checked - PRELUDE_BYTES - headers}};

  if (crc32_of((Bytes){bytes.data, checked}) != read_u32(bytes.data + checked))
    return EVENT_STREAM_E_CHECKSUM;
  if (!are_headers(message.headers))
    return EVENT_STREAM_E_HEADERS;
  on_message(userdata, &message);
  return 0;
}

/* Fills up what is kept to size, as far as bytes go. Returns whether it is that long now. */
static bool fill(Buffer *kept, Bytes *bytes, size_t size_bytes) {
  size_t more = kept->size < size_bytes ? min_u64(size_bytes - kept->size, bytes->size) : 0;

  buffer_append(kept, bytes->data, more);
  take(bytes, more);
  return kept->size >= size_bytes;
}

/* Goes on with the message whose beginning is kept. */
static int feed_kept(Buffer *kept, Bytes *bytes, OnEventMessage *on_message, void *userdata) {
  size_t size;
  int r;

  if (!fill(kept, bytes, PRELUDE_BYTES))
    return 0;
  r = read_prelude(buffer_bytes(kept), &size);
  if (r != 0 || !fill(kept, bytes, size))
    return r;
  r = take_message(buffer_bytes(kept), on_message, userdata);
  buffer_clear(kept);
  return r;
}

int event_stream_feed(EventStream *stream, Bytes bytes, OnEventMessage *on_message, void *userdata) {
  int r = 0;

  while (bytes.size > 0 && r == 0) {
    size_t size = 0;

    /* Most messages come in one piece and are not copied. */
    if (stream->message.size == 0)
      r = read_prelude(bytes, &size);
    if (size > 0 && size <= bytes.size)
      r = take_message(take(&bytes, size), on_message, userdata);
    else if (r == 0)
      r = feed_kept(&stream->message, &bytes, on_message, userdata);
  }
  return r;
}

void event_stream_done(EventStream *stream) {
  buffer_done(&stream->message);
}
