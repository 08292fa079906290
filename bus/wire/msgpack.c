#include "bus/wire/msgpack.h"

#include <endian.h>

/* One value's head, read: what it is, its number or count, and where its content begins. */
typedef struct Head {
  MsgpackType type;
  uint64_t number; /* value of a number, bool or bit pattern; size of text, bytes, ext; count of array, map */
  bool narrow;     /* REAL: number holds a float 32 */
  const uint8_t *content;
} Head;

static void put_head(Buffer *buffer, uint8_t tag, uint64_t value, unsigned size_bytes) {
  uint8_t *at = buffer_reserve(buffer, 9);
  uint64_t wide = htobe64(value);

  at[0] = tag;
  memcpy(at + 1, (const uint8_t *)&wide + (8 - size_bytes), size_bytes);
  buffer->size += 1 + size_bytes;
}

void msgpack_put_nil(Buffer *buffer) {
  put_head(buffer, 0xc0, 0, 0);
}

void msgpack_put_bool(Buffer *buffer, bool value) {
  put_head(buffer, value ? 0xc3 : 0xc2, 0, 0);
}

void msgpack_put_uint(Buffer *buffer, uint64_t value) {
  if (value < 0x80)
    put_head(buffer, (uint8_t)value, 0, 0);
  else if (value <= UINT8_MAX)
    put_head(buffer, 0xcc, value, 1);
  else if (value <= UINT16_MAX)
    put_head(buffer, 0xcd, value, 2);
  else if (value <= UINT32_MAX)
    put_head(buffer, 0xce, value, 4);
  else
    put_head(buffer, 0xcf, value, 8);
}

void msgpack_put_int(Buffer *buffer, int64_t value) {
  uint64_t bits = (uint64_t)value;

  if (value >= 0)
    msgpack_put_uint(buffer, bits);
  else if (value >= -32)
    put_head(buffer, (uint8_t)bits, 0, 0);
  else if (value >= INT8_MIN)
    put_head(buffer, 0xd0, bits, 1);
  else if (value >= INT16_MIN)
    put_head(buffer, 0xd1, bits, 2);
  else if (value >= INT32_MIN)
    put_head(buffer, 0xd2, bits, 4);
  else
    put_head(buffer, 0xd3, bits, 8);
}

/* The range is asked before the cast, which is undefined outside it. */
static bool fits_float(double value) {
  return value != value ||
         (value >= -3.4028234663852886e38 && value <= 3.4028234663852886e38 && (double)(float)value - value == 0) ||
         value - value != 0;
}

void msgpack_put_real(Buffer *buffer, double value) {
  if (fits_float(value)) {
    float narrow = (float)value;
    uint32_t bits;

    memcpy(&bits, &narrow, sizeof bits);
    put_head(buffer, 0xca, bits, 4);
  } else {
    uint64_t bits;

    memcpy(&bits, &value, sizeof bits);
    put_head(buffer, 0xcb, bits, 8);
  }
}

void msgpack_put_text(Buffer *buffer, Text text) {
  if (text.size < 32)
    put_head(buffer, (uint8_t)(0xa0 | text.size), 0, 0);
  else if (text.size <= UINT8_MAX)
    put_head(buffer, 0xd9, text.size, 1);
  else if (text.size <= UINT16_MAX)
    put_head(buffer, 0xda, text.size, 2);
  else
    put_head(buffer, 0xdb, text.size, 4);
  buffer_append(buffer, text.data, text.size);
}

void msgpack_put_bytes(Buffer *buffer, Bytes bytes) {
  if (bytes.size <= UINT8_MAX)
    put_head(buffer, 0xc4, bytes.size, 1);
  else if (bytes.size <= UINT16_MAX)
    put_head(buffer, 0xc5, bytes.size, 2);
  else
    put_head(buffer, 0xc6, bytes.size, 4);
  buffer_append(buffer, bytes.data, bytes.size);
}

void msgpack_put_array(Buffer *buffer, uint32_t count) {
  if (count < 16)
    put_head(buffer, (uint8_t)(0x90 | count), 0, 0);
  else if (count <= UINT16_MAX)
    put_head(buffer, 0xdc, count, 2);
  else
    put_head(buffer, 0xdd, count, 4);
}

void msgpack_put_map(Buffer *buffer, uint32_t count) {
  if (count < 16)
    put_head(buffer, (uint8_t)(0x80 | count), 0, 0);
  else if (count <= UINT16_MAX)
    put_head(buffer, 0xde, count, 2);
  else
    put_head(buffer, 0xdf, count, 4);
}

void msgpack_put_raw(Buffer *buffer, Bytes encoded) {
  buffer_append(buffer, encoded.data, encoded.size);
}

static inline uint64_t load(const uint8_t *at, unsigned size_bytes) {
  uint64_t value = 0;

  for (unsigned i = 0; i < size_bytes; i++)
    value = value << 8 | at[i];
  return value;
}

/* What the tags 0xc0 to 0xdf mean: type, and how many bytes of number follow the tag. */
typedef struct Tag {
  uint8_t type;
  uint8_t size_bytes;
  bool is_signed;
  uint8_t fixed_size; /* fixext: size of the data, plus one for its type byte */
} Tag;

#define TAG_UNUSED UINT8_MAX
static const Tag tags[32] = {
    [0x00] = {MSGPACK_NIL, 0, false, 0},   [0x01] = {TAG_UNUSED, 0, false, 0},    [0x02] = {MSGPACK_BOOL, 0, false, 0},
    [0x03] = {MSGPACK_BOOL, 0, false, 0},  [0x04] = {MSGPACK_BYTES, 1, false, 0}, [0x05] = {MSGPACK_BYTES, 2, false, 0},
    [0x06] = {MSGPACK_BYTES, 4, false, 0}, [0x07] = {MSGPACK_EXT, 1, false, 0},   [0x08] = {MSGPACK_EXT, 2, false, 0},
    [0x09] = {MSGPACK_EXT, 4, false, 0},   [0x0a] = {MSGPACK_REAL, 4, false, 0},  [0x0b] = {MSGPACK_REAL, 8, false, 0},
    [0x0c] = {MSGPACK_UINT, 1, false, 0},  [0x0d] = {MSGPACK_UINT, 2, false, 0},  [0x0e] = {MSGPACK_UINT, 4, false, 0},
    [0x0f] = {MSGPACK_UINT, 8, false, 0},  [0x10] = {MSGPACK_INT, 1, true, 0},    [0x11] = {MSGPACK_INT, 2, true, 0},
    [0x12] = {MSGPACK_INT, 4, true, 0},    [0x13] = {MSGPACK_INT, 8, true, 0},    [0x14] = {MSGPACK_EXT, 0, false, 2},
    [0x15] = {MSGPACK_EXT, 0, false, 3},   [0x16] = {MSGPACK_EXT, 0, false, 5},   [0x17] = {MSGPACK_EXT, 0, false, 9},
    [0x18] = {MSGPACK_EXT, 0, false, 17},  [0x19] = {MSGPACK_TEXT, 1, false, 0},  [0x1a] = {MSGPACK_TEXT, 2, false, 0},
    [0x1b] = {MSGPACK_TEXT, 4, false, 0},  [0x1c] = {MSGPACK_ARRAY, 2, false, 0}, [0x1d] = {MSGPACK_ARRAY, 4, false, 0},
    [0x1e] = {MSGPACK_MAP, 2, false, 0},   [0x1f] = {MSGPACK_MAP, 4, false, 0},
};

/* The heads that are one byte: small numbers and short texts, arrays and maps. False for the tags 0xc0 to 0xdf. */
static inline bool read_short_head(uint8_t byte, Head *ret) {
  if (byte < 0x80)
    *ret = (Head){.type = MSGPACK_UINT, .number = byte};
  else if (byte < 0x90)
    *ret = (Head){.type = MSGPACK_MAP, .number = byte & 0x0fu};
  else if (byte < 0xa0)
    *ret = (Head){.type = MSGPACK_ARRAY, .number = byte & 0x0fu};
  else if (byte < 0xc0)
    *ret = (Head){.type = MSGPACK_TEXT, .number = byte & 0x1fu};
  else if (byte >= 0xe0)
    *ret = (Head){.type = MSGPACK_INT, .number = (uint64_t)(int64_t)(int8_t)byte};
  else
    return false;
  return true;
}

static int read_tagged_head(const uint8_t *at, size_t left, Head *ret) {
  Tag tag = tags[at[0] & 0x1f];

  if (tag.type == TAG_UNUSED)
    return MSGPACK_E_TYPE;
  if (left < 1u + tag.size_bytes)
    return MSGPACK_E_SHORT;
  *ret = (Head){.type = (MsgpackType)tag.type, .number = load(at + 1, tag.size_bytes)};
  ret->content = at + 1 + tag.size_bytes;
  if (tag.is_signed) {
    unsigned shift = 64 - 8u * tag.size_bytes;

    ret->number = (uint64_t)((int64_t)(ret->number << shift) >> shift);
    if ((int64_t)ret->number >= 0)
      ret->type = MSGPACK_UINT;
  } else if (tag.type == MSGPACK_BOOL) {
    ret->number = at[0] & 1;
  } else if (tag.type == MSGPACK_EXT) {
    ret->number += tag.fixed_size ? tag.fixed_size : 1;
  } else if (tag.type == MSGPACK_REAL) {
    ret->narrow = tag.size_bytes == 4;
  }
  return 0;
}

/* Reads the head of the next value and holds what it claims against the bytes that are left. */
static inline int read_head(const MsgpackReader *reader, Head *ret) {
  size_t left = (size_t)(reader->end - reader->at);
  int r;

  if (left == 0)
    return MSGPACK_E_SHORT;
  if (read_short_head(*reader->at, ret)) {
    ret->content = reader->at + 1;
  } else {
    r = read_tagged_head(reader->at, left, ret);
    if (r)
      return r;
  }
  left = (size_t)(reader->end - ret->content);
  if (ret->type >= MSGPACK_TEXT && ret->number > (ret->type == MSGPACK_MAP ? left / 2 : left))
    return MSGPACK_E_SHORT;
  return 0;
}

int msgpack_peek_type(const MsgpackReader *reader, MsgpackType *ret) {
  if (msgpack_at_end(reader))
    return MSGPACK_E_SHORT;

  Head head;
  if (read_short_head(*reader->at, &head)) {
    *ret = head.type;
    return 0;
  }
  Tag tag = tags[*reader->at & 0x1f];
  if (tag.type == TAG_UNUSED)
    return MSGPACK_E_TYPE;
  *ret = (MsgpackType)tag.type;
  /* int 8 to int 64 may hold a number >= 0: the sign bit is the first one behind the tag */
  if (tag.is_signed) {
    if (reader->end - reader->at < 2)
      return MSGPACK_E_SHORT;
    *ret = reader->at[1] & 0x80 ? MSGPACK_INT : MSGPACK_UINT;
  }
  return 0;
}

/* Reads a head that must be of one type. */
static inline int read_typed(const MsgpackReader *reader, MsgpackType type, Head *ret) {
  int r = read_head(reader, ret);

  if (r == MSGPACK_E_SHORT) {
    MsgpackType there;

    /* the wrong type is the better answer where both are true */
    if (msgpack_peek_type(reader, &there) == 0 && there != type)
      return MSGPACK_E_TYPE;
  }
  if (r)
    return r;
  return ret->type == type ? 0 : MSGPACK_E_TYPE;
}

/* The same, and the reader stands behind it: at what it is the head of. */
static inline int take_head(MsgpackReader *reader, MsgpackType type, Head *ret) {
  int r = read_typed(reader, type, ret);

  if (r == 0)
    reader->at = ret->content;
  return r;
}

int msgpack_get_nil(MsgpackReader *reader) {
  Head head;

  return take_head(reader, MSGPACK_NIL, &head);
}

int msgpack_get_bool(MsgpackReader *reader, bool *ret) {
  Head head;
  int r = take_head(reader, MSGPACK_BOOL, &head);

  if (r == 0)
    *ret = head.number != 0;
  return r;
}

int msgpack_get_uint(MsgpackReader *reader, uint64_t *ret) {
  Head head;
  int r = take_head(reader, MSGPACK_UINT, &head);

  if (r == 0)
    *ret = head.number;
  return r;
}

int msgpack_get_int(MsgpackReader *reader, int64_t *ret) {
  Head head;
  int r = read_head(reader, &head);

  if (r)
    return r;
  if (head.type != MSGPACK_INT && (head.type != MSGPACK_UINT || head.number > INT64_MAX))
    return MSGPACK_E_TYPE;
  *ret = (int64_t)head.number;
  reader->at = head.content;
  return 0;
}

static double real_of(const Head *head) {
  double wide;
  float narrow;
  uint32_t bits = (uint32_t)head->number;

  if (!head->narrow) {
    memcpy(&wide, &head->number, sizeof wide);
    return wide;
  }
  memcpy(&narrow, &bits, sizeof narrow);
  return (double)narrow;
}

int msgpack_get_real(MsgpackReader *reader, double *ret) {
  Head head;
  int r = read_head(reader, &head);

  if (r)
    return r;
  if (head.type == MSGPACK_REAL)
    *ret = real_of(&head);
  else if (head.type == MSGPACK_UINT)
    *ret = (double)head.number;
  else if (head.type == MSGPACK_INT)
    *ret = (double)(int64_t)head.number;
  else
    return MSGPACK_E_TYPE;
  reader->at = head.content;
  return 0;
}

int msgpack_get_text(MsgpackReader *reader, Text *ret) {
  Head head;
  int r = read_typed(reader, MSGPACK_TEXT, &head);
  Text text;

  if (r)
    return r;
  text = (Text){(const char *)head.content, head.number};
  if (!text_is_utf8(text))
    return MSGPACK_E_UTF8;
  *ret = text;
  reader->at = head.content + head.number;
  return 0;
}

int msgpack_get_bytes(MsgpackReader *reader, Bytes *ret) {
  Head head;
  int r = read_typed(reader, MSGPACK_BYTES, &head);

  if (r)
    return r;
  *ret = (Bytes){head.content, head.number};
  reader->at = head.content + head.number;
  return 0;
}

/* How many values, or pairs of them, follow. */
static inline int take_count(MsgpackReader *reader, MsgpackType type, uint32_t *ret) {
  Head head;
  int r = take_head(reader, type, &head);

  if (r == 0)
    *ret = (uint32_t)head.number;
  return r;
}

int msgpack_get_array(MsgpackReader *reader, uint32_t *ret) {
  return take_count(reader, MSGPACK_ARRAY, ret);
}

int msgpack_get_map(MsgpackReader *reader, uint32_t *ret) {
  return take_count(reader, MSGPACK_MAP, ret);
}

int msgpack_skip(MsgpackReader *reader) {
  MsgpackReader inner = *reader;
  uint64_t left[MSGPACK_DEPTH_MAX + 1] = {1}; /* values still to come, per level */
  unsigned level = 0;

  for (;;) {
    Head head;
    int r;

    while (left[level] == 0) {
      if (level == 0) {
        *reader = inner;
        return 0;
      }
      level--;
    }
    r = read_head(&inner, &head);
    if (r)
      return r;
    left[level]--;
    inner.at = head.content;
    if (head.type == MSGPACK_ARRAY || head.type == MSGPACK_MAP) {
      if (level == MSGPACK_DEPTH_MAX)
        return MSGPACK_E_DEPTH;
      left[++level] = head.type == MSGPACK_MAP ? 2 * head.number : head.number;
    } else if (head.type >= MSGPACK_TEXT) {
      inner.at += head.number;
    }
  }
}

int msgpack_get_span(MsgpackReader *reader, Bytes *ret) {
  const uint8_t *from = reader->at;
  int r = msgpack_skip(reader);

  if (r)
    return r;
  *ret = (Bytes){from, (size_t)(reader->at - from)};
  return 0;
}

/* Length of the well-formed sequence at at, which does not begin with ASCII; 0 if there is none (RFC 3629 section 4).
 */
static size_t utf8_sequence(const uint8_t *at, size_t left) {
  uint8_t low = 0x80;
  uint8_t high = 0xbf;
  size_t size;

  if (at[0] >= 0xc2 && at[0] <= 0xdf)
    size = 2;
  else if ((at[0] & 0xf0) == 0xe0)
    size = 3;
  else if (at[0] >= 0xf0 && at[0] <= 0xf4)
    size = 4;
  else
    return 0;
  if (left < size)
    return 0;
  if (at[0] == 0xe0)
    low = 0xa0;
  else if (at[0] == 0xed)
    high = 0x9f;
  else if (at[0] == 0xf0)
    low = 0x90;
  else if (at[0] == 0xf4)
    high = 0x8f;
  if (at[1] < low || at[1] > high)
    return 0;
  for (size_t i = 2; i < size; i++)
    if ((at[i] & 0xc0) != 0x80)
      return 0;
  return size;
}

bool text_is_utf8(Text text) {
  const uint8_t *at = (const uint8_t *)text.data;
  size_t left = text.size;

  while (left > 0) {
    uint64_t eight;
    size_t step = 1;

    if (left >= sizeof eight) {
      memcpy(&eight, at, sizeof eight);
      if ((eight & UINT64_C(0x8080808080808080)) == 0) {
        at += sizeof eight;
        left -= sizeof eight;
        continue;
      }
    }
    if (*at >= 0x80)
      step = utf8_sequence(at, left);
    if (step == 0)
      return false;
    at += step;
    left -= step;
  }
  return true;
}
