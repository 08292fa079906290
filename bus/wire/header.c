/* The codec is written by hand: it runs twice per hop, and a table-driven loop over typed positions costs three times as
   much. The positions, limits and order still come from header.def: each `case` below is one line of it, and a test
   encodes every field of the table and decodes it again. */
#include "bus/wire/header.h"

#include <endian.h>

#include "bus/wire/next.h"

enum { NIL = 0xc0, BIN8 = 0xc4, STR8 = 0xd9, STR16 = 0xda, ARRAY16 = 0xdc, ARRAY32 = 0xdd };

/* --- encode --- */

static uint8_t *put_uint(uint8_t *at, uint64_t value) {
  if (value < 0x80) {
    *at++ = (uint8_t)value;
  } else if (value <= 0xff) {
    *at++ = 0xcc;
    *at++ = (uint8_t)value;
  } else if (value <= 0xffff) {
    uint16_t big = htobe16((uint16_t)value);

    *at++ = 0xcd;
    memcpy(at, &big, sizeof big);
    at += sizeof big;
  } else if (value <= 0xffffffff) {
    uint32_t big = htobe32((uint32_t)value);

    *at++ = 0xce;
    memcpy(at, &big, sizeof big);
    at += sizeof big;
  } else {
    uint64_t big = htobe64(value);

    *at++ = 0xcf;
    memcpy(at, &big, sizeof big);
    at += sizeof big;
  }
  return at;
}

/* Numbers that are 0 are absent. */
static uint8_t *put_number(uint8_t *at, uint64_t value) {
  if (value)
    return put_uint(at, value);
  *at++ = NIL;
  return at;
}

/* Normal is what an absent priority means, and only a REQUEST has one. */
static uint8_t *put_priority(uint8_t *at, const Header *header) {
  if (header->kind == KIND_REQUEST && header->priority != PRIORITY_NORMAL)
    return put_uint(at, header->priority);
  *at++ = NIL;
  return at;
}

static uint8_t *put_text(uint8_t *at, Text text) {
  if (text.size == 0) {
    *at++ = NIL;
    return at;
  }
  if (text.size < 32) {
    *at++ = (uint8_t)(0xa0 | text.size);
  } else if (text.size <= 0xff) {
    *at++ = STR8;
    *at++ = (uint8_t)text.size;
  } else { /* over every limit, but then the receiver shall say so */
    uint16_t big = htobe16((uint16_t)text.size);

    *at++ = STR16;
    memcpy(at, &big, sizeof big);
    at += sizeof big;
  }
  memcpy(at, text.data, text.size);
  return at + text.size;
}

static uint8_t *put_id(uint8_t *at, RequestId id) {
  uint64_t big;

  if (request_id_is_none(id)) {
    *at++ = NIL;
    return at;
  }
  *at++ = BIN8;
  *at++ = REQUEST_ID_WIRE_SIZE;
  big = htobe64(id.client.value);
  memcpy(at, &big, sizeof big);
  big = htobe64(id.sequence);
  memcpy(at + 8, &big, sizeof big);
  return at + REQUEST_ID_WIRE_SIZE;
}

static bool trace_is_none(const Trace *trace) {
  static const Trace none;

  return memcmp(trace, &none, sizeof none) == 0;
}

static uint8_t *put_trace(uint8_t *at, const Trace *trace) {
  if (trace_is_none(trace)) {
    *at++ = NIL;
    return at;
  }
  *at++ = BIN8;
  *at++ = sizeof trace->bytes;
  memcpy(at, trace->bytes, sizeof trace->bytes);
  return at + sizeof trace->bytes;
}

static uint8_t *put_map(uint8_t *at, Bytes map) {
  if (map.size == 0) {
    *at++ = NIL;
    return at;
  }
  memcpy(at, map.data, map.size);
  return at + map.size;
}

void header_encode(const Header *header, Buffer *buffer) {
  size_t text = header->service.size + header->method.size + header->content_type.size;
  /* The fixed parts of all 19 positions together take at most 143 bytes. */
  uint8_t *start = buffer_reserve(buffer, 152 + text + header->annotations.size);
  uint8_t *at = start + 3;
  uint8_t *end; /* after the last position that was not nil */
  uint32_t positions = 0;

#define PUT(position, put)                                                                                             \
  do {                                                                                                                 \
    uint8_t *before_ = at;                                                                                             \
    at = (put);                                                                                                        \
    if (*before_ != NIL) {                                                                                             \
      end = at;                                                                                                        \
      positions = (position) + 1;                                                                                      \
    }                                                                                                                  \
  } while (0)

  end = at;
  PUT(HEADER_KIND, put_uint(at, header->kind));
  PUT(HEADER_ID, put_id(at, header->id));
  PUT(HEADER_ATTEMPT, put_number(at, header->attempt));
  PUT(HEADER_HOP, put_number(at, header->hop));
  PUT(HEADER_SERVICE, put_text(at, header->service));
  PUT(HEADER_METHOD, put_text(at, header->method));
  PUT(HEADER_DEADLINE, put_number(at, header->deadline_us));
  PUT(HEADER_PRIORITY, put_priority(at, header));
  PUT(HEADER_FLAGS, put_number(at, header->flags));
  PUT(HEADER_TRACE, put_trace(at, &header->trace));
  PUT(HEADER_CONTENT_TYPE, put_text(at, header->content_type));
  PUT(HEADER_CREDIT, put_number(at, header->credit));
  PUT(HEADER_NUMBER, put_number(at, header->number));
  PUT(HEADER_WINDOW, put_number(at, header->window_bytes));
  PUT(HEADER_STATUS, put_number(at, header->status));
  PUT(HEADER_SESSION, put_number(at, header->session.value));
  PUT(HEADER_ANNOTATIONS, put_map(at, header->annotations));
  PUT(HEADER_AGE, put_number(at, header->age_us));
  PUT(HEADER_EXECUTION, put_number(at, header->execution));
  for (int i = 1; i <= HEADER_NEXT; i++)
    PUT((uint32_t)(HEADER_EXECUTION + i), put_uint(at, PROTOCOL_VERSION));
#undef PUT

  if (positions < 16) {
    /* A small array has a head of one byte: close the gap that was left for three. */
    start[0] = (uint8_t)(0x90 | positions);
    memmove(start + 1, start + 3, (size_t)(end - start) - 3);
    buffer->size += (size_t)(end - start) - 2;
  } else {
    uint16_t big = htobe16((uint16_t)positions);

    start[0] = ARRAY16;
    memcpy(start + 1, &big, sizeof big);
    buffer->size += (size_t)(end - start);
  }
}

/* --- decode --- */

typedef struct Cursor {
  const uint8_t *at;
  const uint8_t *end;
} Cursor;

static size_t left(const Cursor *cursor) {
  return (size_t)(cursor->end - cursor->at);
}

/* Reads a big-endian number of size bytes. */
static int take_big(Cursor *cursor, size_t size, uint64_t *ret) {
  uint64_t value = 0;

  if (left(cursor) < size)
    return HEADER_E_MALFORMED;
  for (size_t i = 0; i < size; i++)
    value = value << 8 | cursor->at[i];
  cursor->at += size;
  *ret = value;
  return 0;
}

static int take_uint(Cursor *cursor, uint64_t largest, uint64_t *ret) {
  uint64_t value;
  uint8_t tag = *cursor->at;

  if (tag < 0x80) {
    value = tag;
    cursor->at++;
  } else if (tag >= 0xcc && tag <= 0xcf) {
    cursor->at++;
    if (take_big(cursor, (size_t)1 << (tag - 0xcc), &value) != 0)
      return HEADER_E_MALFORMED;
  } else {
    return HEADER_E_MALFORMED;
  }
  if (value > largest)
    return HEADER_E_TOO_LARGE;
  *ret = value;
  return 0;
}

/* Reads the length after a tag of 1 << width bytes, and checks that so many bytes follow. */
static int take_length(Cursor *cursor, size_t width, size_t *ret) {
  uint64_t size;

  if (take_big(cursor, width, &size) != 0 || size > left(cursor))
    return HEADER_E_MALFORMED;
  *ret = (size_t)size;
  return 0;
}

static int take_text(Cursor *cursor, size_t largest, Text *ret) {
  uint8_t tag = *cursor->at++;
  size_t size;

  if ((tag & 0xe0) == 0xa0) {
    size = tag & 0x1f;
    if (size > left(cursor))
      return HEADER_E_MALFORMED;
  } else if (tag >= STR8 && tag <= STR8 + 2) {
    if (take_length(cursor, (size_t)1 << (tag - STR8), &size) != 0)
      return HEADER_E_MALFORMED;
  } else {
    return HEADER_E_MALFORMED;
  }
  *ret = (Text){(const char *)cursor->at, size};
  cursor->at += size;
  return size > largest ? HEADER_E_TOO_LARGE : 0;
}

/* Reads a bin 8 of exactly size bytes. */
static int take_bytes(Cursor *cursor, size_t size, const uint8_t **ret) {
  if (left(cursor) < 2 + size || cursor->at[0] != BIN8 || cursor->at[1] != size)
    return HEADER_E_MALFORMED;
  *ret = cursor->at + 2;
  cursor->at += 2 + size;
  return 0;
}

static int take_id(Cursor *cursor, RequestId *ret) {
  const uint8_t *bytes;
  uint64_t client;
  uint64_t sequence;

  if (take_bytes(cursor, REQUEST_ID_WIRE_SIZE, &bytes) != 0)
    return HEADER_E_MALFORMED;
  memcpy(&client, bytes, sizeof client);
  memcpy(&sequence, bytes + 8, sizeof sequence);
  if (client == 0)
    return HEADER_E_MALFORMED;
  *ret = (RequestId){{be64toh(client)}, be64toh(sequence)};
  return 0;
}

/* The bytes that a msgpack value of this tag has after the tag, not counting its elements; elements gets how many values
   follow it. */
static int value_shape(Cursor *cursor, size_t *ret_size, uint64_t *ret_elements) {
  static const uint8_t fixed[] = {[0xca - 0xc0] = 4, [0xcb - 0xc0] = 8, [0xcc - 0xc0] = 1,  [0xcd - 0xc0] = 2,
                                  [0xce - 0xc0] = 4, [0xcf - 0xc0] = 8, [0xd0 - 0xc0] = 1,  [0xd1 - 0xc0] = 2,
                                  [0xd2 - 0xc0] = 4, [0xd3 - 0xc0] = 8, [0xd4 - 0xc0] = 2,  [0xd5 - 0xc0] = 3,
                                  [0xd6 - 0xc0] = 5, [0xd7 - 0xc0] = 9, [0xd8 - 0xc0] = 17, [0xdf - 0xc0] = 0};
  uint8_t tag = *cursor->at++;
  uint64_t n = 0;

  *ret_size = 0;
  *ret_elements = 0;
  if (tag < 0x80 || tag >= 0xe0)
    return 0;
  if (tag < 0x90)
    *ret_elements = 2 * (uint64_t)(tag & 0x0f);
  else if (tag < 0xa0)
    *ret_elements = tag & 0x0f;
  else if (tag < 0xc0)
    *ret_size = tag & 0x1f;
  else if (tag >= 0xc4 && tag <= 0xc9) { /* bin and ext: 1, 2, 4 bytes of length; ext has a type byte more */
    if (take_big(cursor, (size_t)1 << ((tag - 0xc4) % 3), &n) != 0)
      return HEADER_E_MALFORMED;
    *ret_size = (size_t)n + (tag >= 0xc7);
  } else if (tag >= 0xd9 && tag <= 0xdb) {
    if (take_big(cursor, (size_t)1 << (tag - 0xd9), &n) != 0)
      return HEADER_E_MALFORMED;
    *ret_size = (size_t)n;
  } else if (tag >= 0xdc) {
    if (take_big(cursor, tag & 1 ? 4 : 2, &n) != 0)
      return HEADER_E_MALFORMED;
    *ret_elements = tag >= 0xde ? 2 * n : n;
  } else if (tag == 0xc1) {
    return HEADER_E_MALFORMED;
  } else {
    *ret_size = fixed[tag - 0xc0];
  }
  return 0;
}

/* Passes over one value of any depth without recursion: each value read may owe further ones. Every value has at least
   one byte, so the work is bounded by the bytes that are there. */
static int skip_value(Cursor *cursor) {
  uint64_t owed = 1;

  while (owed > 0) {
    size_t size;
    uint64_t elements;

    if (owed > left(cursor) || value_shape(cursor, &size, &elements) != 0 || size > left(cursor))
      return HEADER_E_MALFORMED;
    cursor->at += size;
    owed += elements - 1;
  }
  return 0;
}

static int take_map(Cursor *cursor, size_t largest, Bytes *ret) {
  const uint8_t *start = cursor->at;
  bool is_map = (*start & 0xf0) == 0x80 || *start == 0xde || *start == 0xdf;

  if (!is_map || skip_value(cursor) != 0)
    return HEADER_E_MALFORMED;
  *ret = (Bytes){start, (size_t)(cursor->at - start)};
  return ret->size > largest ? HEADER_E_TOO_LARGE : 0;
}

static int take_trace(Cursor *cursor, Trace *ret) {
  const uint8_t *bytes;

  if (take_bytes(cursor, sizeof ret->bytes, &bytes) != 0)
    return HEADER_E_MALFORMED;
  memcpy(ret->bytes, bytes, sizeof ret->bytes);
  return 0;
}

/* Reads a number into any unsigned member or enum. */
#define TAKE_NUMBER(member, largest)                                                                                   \
  ({                                                                                                                   \
    uint64_t value_ = 0;                                                                                               \
    int r_ = take_uint(cursor, (largest), &value_);                                                                    \
    if (r_ == 0)                                                                                                       \
      (member) = (__typeof__(member))value_;                                                                           \
    r_;                                                                                                                \
  })

/* One case per line of header.def. */
static int take_field(Cursor *cursor, unsigned position, Header *header) {
#define TYPE_U8(member, largest) TAKE_NUMBER(member, largest)
#define TYPE_U32(member, largest) TAKE_NUMBER(member, largest)
#define TYPE_U64(member, largest) TAKE_NUMBER(member, largest)
#define TYPE_SESSION(member, largest) TAKE_NUMBER(member.value, largest)
#define TYPE_TEXT(member, largest) take_text(cursor, largest, &member)
#define TYPE_REQUEST_ID(member, largest) take_id(cursor, &member)
#define TYPE_TRACE(member, largest) take_trace(cursor, &member)
#define TYPE_MAP(member, largest) take_map(cursor, largest, &member)
#define FIELD(at, name, member, type, largest)                                                                         \
  case at:                                                                                                             \
    return TYPE_##type(header->member, largest);
  switch (position) {
#include "bus/wire/header.def"
  default:
    return skip_value(cursor);
  }
#undef FIELD
}

/* What each kind needs, as bits of HAS. */
static const struct {
  uint32_t bits;
  bool known;
} kind_needs[KIND_END] = {
#define MSG(number, name, from, fields) [number] = {(fields), true},
#include "bus/wire/msgs.def"
#undef MSG
};

#define CAN_BE_NEEDED (HAS(ID) | HAS(SERVICE) | HAS(METHOD) | HAS(STATUS) | HAS(SESSION))

#define MSG(number, name, from, fields) _Static_assert(((fields) & ~CAN_BE_NEEDED) == 0, "teach is_whole this field");
#include "bus/wire/msgs.def"
#undef MSG

/* A number that is 0 and an empty text are as good as absent. */
static bool is_whole(const Header *header, uint32_t needs) {
  return !((needs & HAS(ID) && request_id_is_none(header->id)) || (needs & HAS(SERVICE) && header->service.size == 0) ||
           (needs & HAS(METHOD) && header->method.size == 0) || (needs & HAS(STATUS) && header->status == 0) ||
           (needs & HAS(SESSION) && header->session.value == 0));
}

static int take_count(Cursor *cursor, uint64_t *ret) {
  uint8_t tag = *cursor->at++;

  if ((tag & 0xf0) == 0x90) {
    *ret = tag & 0x0f;
    return 0;
  }
  if (tag != ARRAY16 && tag != ARRAY32)
    return HEADER_E_MALFORMED;
  return take_big(cursor, tag == ARRAY16 ? 2 : 4, ret);
}

int header_decode(Bytes bytes, Header *ret) {
  Cursor cursor = {bytes.data, bytes.size ? bytes.data + bytes.size : bytes.data};
  uint64_t count;
  int result = 0;

  *ret = (Header){.priority = PRIORITY_NORMAL};
  if (bytes.size > LIMIT_HEADER_BYTES)
    return HEADER_E_TOO_LARGE;
  if (bytes.size == 0 || take_count(&cursor, &count) != 0)
    return HEADER_E_MALFORMED;
  for (uint32_t i = 0; i < count; i++) {
    int r;

    if (cursor.at == cursor.end)
      return HEADER_E_MALFORMED;
    if (*cursor.at == NIL) {
      cursor.at++;
      continue;
    }
    r = take_field(&cursor, i, ret);
    if (r == HEADER_E_MALFORMED)
      return r;
    if (r != 0)
      result = r; /* over a limit: go on, so that the id is known to answer to */
    if (i < HEADER_POSITIONS)
      ret->fields |= UINT32_C(1) << i;
  }
  if (cursor.at != cursor.end)
    return HEADER_E_MALFORMED;
  if (result != 0)
    return result;
  if (ret->kind == 0)
    return HEADER_E_MALFORMED;
  if (ret->kind >= KIND_END || !kind_needs[ret->kind].known)
    return HEADER_E_KIND;
  return is_whole(ret, kind_needs[ret->kind].bits) ? 0 : HEADER_E_MALFORMED;
}
