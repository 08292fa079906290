#include "bus/zmtp/zmtp.h"

#include <strings.h>

enum {
  FLAG_MORE = 1,
  FLAG_LONG = 2,
  FLAG_COMMAND = 4,
  SIGNATURE_BYTES = 10,
  VERSION_AT = 10,
  MECHANISM_AT = 12,
  AS_SERVER_AT = 32,
  SHORT_MAX = 255, /* the largest frame with a head of two bytes */
  PING_CONTEXT_MAX = 16,
};

/* --- greeting --- */

/* Padded with zeros; a name of the whole length has none. */
static void put_mechanism(const char *mechanism, uint8_t ret[ZMTP_MECHANISM_BYTES]) {
  memset(ret, 0, ZMTP_MECHANISM_BYTES);
  for (size_t i = 0; i < ZMTP_MECHANISM_BYTES && mechanism[i]; i++)
    ret[i] = (uint8_t)mechanism[i];
}

void zmtp_greeting(const char *mechanism, bool as_server, uint8_t ret[ZMTP_GREETING_BYTES]) {
  memset(ret, 0, ZMTP_GREETING_BYTES);
  ret[0] = 0xff;
  ret[SIGNATURE_BYTES - 1] = 0x7f;
  ret[VERSION_AT] = 3;
  put_mechanism(mechanism, ret + MECHANISM_AT);
  ret[AS_SERVER_AT] = as_server;
}

int zmtp_greeting_check(Bytes in, const char *mechanism) {
  uint8_t expected[ZMTP_MECHANISM_BYTES];

  put_mechanism(mechanism, expected);
  if ((in.size > 0 && in.data[0] != 0xff) || (in.size >= SIGNATURE_BYTES && in.data[SIGNATURE_BYTES - 1] != 0x7f))
    return ZMTP_E_MALFORMED;
  if (in.size > VERSION_AT && in.data[VERSION_AT] < 3)
    return ZMTP_E_VERSION;
  if (in.size < ZMTP_GREETING_BYTES)
    return ZMTP_E_SHORT;
  return memcmp(in.data + MECHANISM_AT, expected, sizeof expected) == 0 ? 0 : ZMTP_E_MECHANISM;
}

/* --- frames --- */

static uint64_t get_big(const uint8_t *at, size_t bytes) {
  uint64_t value = 0;

  for (size_t i = 0; i < bytes; i++)
    value = value << 8 | at[i];
  return value;
}

int zmtp_head_decode(Bytes in, size_t most_bytes, ZmtpHead *ret) {
  size_t size_bytes;
  uint64_t body_bytes;
  uint8_t flags;

  if (in.size == 0)
    return ZMTP_E_SHORT;
  flags = in.data[0];
  if (flags & ~(FLAG_MORE | FLAG_LONG | FLAG_COMMAND) || (flags & FLAG_MORE && flags & FLAG_COMMAND))
    return ZMTP_E_MALFORMED;
  size_bytes = flags & FLAG_LONG ? 8 : 1;
  if (in.size < 1 + size_bytes)
    return ZMTP_E_SHORT;
  body_bytes = get_big(in.data + 1, size_bytes);
  if (body_bytes > most_bytes)
    return ZMTP_E_TOO_LARGE;
  *ret = (ZmtpHead){.more = flags & FLAG_MORE,
                    .command = flags & FLAG_COMMAND,
                    .head_bytes = 1 + size_bytes,
                    .body_bytes = (size_t)body_bytes};
  return 0;
}

size_t zmtp_head_encode(bool more, bool command, size_t body_bytes, uint8_t ret[ZMTP_HEAD_BYTES]) {
  bool is_long = body_bytes > SHORT_MAX;

  ret[0] = (uint8_t)((more ? FLAG_MORE : 0) | (is_long ? FLAG_LONG : 0) | (command ? FLAG_COMMAND : 0));
  if (!is_long) {
    ret[1] = (uint8_t)body_bytes;
    return 2;
  }
  for (int i = 8; i > 0; i--, body_bytes >>= 8)
    ret[i] = (uint8_t)body_bytes;
  return ZMTP_HEAD_BYTES;
}

/* --- messages --- */

static Bytes after(Bytes in, size_t bytes) {
  return (Bytes){in.data + bytes, in.size - bytes};
}

/* Throws away the frames behind the second. */
static int skip(ZmtpReader *reader, Bytes *in) {
  while (reader->skipping) {
    size_t bytes = reader->skip_bytes < in->size ? reader->skip_bytes : in->size;
    ZmtpHead head;
    int r;

    *in = after(*in, bytes);
    reader->skip_bytes -= bytes;
    if (reader->skip_bytes > 0)
      return ZMTP_E_SHORT;
    reader->skipping = reader->skip_more;
    if (!reader->skip_more)
      break;
    r = zmtp_head_decode(*in, ZMTP_FRAME_BYTES, &head);
    if (r != 0)
      return r;
    if (head.command)
      return ZMTP_E_MALFORMED;
    *in = after(*in, head.head_bytes);
    reader->skip_more = head.more;
    reader->skip_bytes = head.body_bytes;
  }
  return 0;
}

/* One whole frame at the beginning of in. want is what the frames before it take. */
static int read_frame(Bytes in, size_t want, ZmtpHead *ret, size_t *ret_want) {
  int r = zmtp_head_decode(in, ZMTP_FRAME_BYTES, ret);

  if (r != 0)
    return r;
  if (want == 0 && ret->more && ret->body_bytes > ZMTP_FIRST_BYTES)
    return ZMTP_E_TOO_LARGE;
  if (in.size - ret->head_bytes >= ret->body_bytes)
    return 0;
  *ret_want = want + ret->head_bytes + ret->body_bytes;
  return ZMTP_E_SHORT;
}

int zmtp_read(ZmtpReader *reader, Bytes *in, ZmtpMessage *ret, size_t *ret_want) {
  ZmtpHead first;
  ZmtpHead second;
  size_t used;
  int r;

  *ret_want = 0;
  r = skip(reader, in);
  if (r == 0)
    r = read_frame(*in, 0, &first, ret_want);
  if (r != 0)
    return r;
  used = first.head_bytes + first.body_bytes;
  *ret = (ZmtpMessage){.frames = 1, .header = {in->data + first.head_bytes, first.body_bytes}};
  if (first.more) {
    Bytes rest = after(*in, used);

    *ret_want = 0;
    r = read_frame(rest, used, &second, ret_want);
    if (r != 0)
      return r;
    if (second.command)
      return ZMTP_E_MALFORMED;
    ret->frames = second.more ? 3 : 2;
    ret->body = (Bytes){rest.data + second.head_bytes, second.body_bytes};
    used += second.head_bytes + second.body_bytes;
    reader->skipping = second.more;
    reader->skip_more = second.more;
    reader->skip_bytes = 0;
  }
  *in = after(*in, used);
  return first.command ? ZMTP_E_COMMAND : 0;
}

/* --- commands --- */

ZmtpCommand zmtp_command_read(Bytes command, Bytes *ret_rest) {
  static const struct {
    Text name;
    ZmtpCommand command;
  } rows[] = {{TEXT("\5READY"), ZMTP_READY}, {TEXT("\5ERROR"), ZMTP_ERROR}, {TEXT("\4PING"), ZMTP_PING}};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (command.size >= rows[i].name.size && memcmp(command.data, rows[i].name.data, rows[i].name.size) == 0) {
      *ret_rest = after(command, rows[i].name.size);
      return rows[i].command;
    }
  return ZMTP_OTHER;
}

/* A command as a whole frame. */
static void append_command(Buffer *ret, const char *name, Bytes rest) {
  size_t name_bytes = strlen(name);
  uint8_t head[ZMTP_HEAD_BYTES];
  uint8_t name_size = (uint8_t)name_bytes;

  buffer_append(ret, head, zmtp_head_encode(false, true, 1 + name_bytes + rest.size, head));
  buffer_append(ret, &name_size, 1);
  buffer_append(ret, name, name_bytes);
  buffer_append(ret, rest.data, rest.size);
}

void zmtp_ready(ZmtpType type, Buffer *ret) {
  static const char router[] = "\x0bSocket-Type\0\0\0\6ROUTER";
  static const char dealer[] = "\x0bSocket-Type\0\0\0\6DEALER\x08Identity\0\0\0\0";

  append_command(ret, "READY",
                 type == ZMTP_ROUTER ? (Bytes){(const uint8_t *)router, sizeof router - 1}
                                     : (Bytes){(const uint8_t *)dealer, sizeof dealer - 1});
}

/* Takes one property, a name with a length of one byte and a value with one of four. */
static int take_property(Bytes *in, Text *ret_name, Text *ret_value) {
  size_t name_bytes = in->size > 0 ? in->data[0] : 0;
  uint64_t value_bytes;

  if (name_bytes == 0 || in->size < 1 + name_bytes + 4)
    return ZMTP_E_MALFORMED;
  *ret_name = (Text){(const char *)in->data + 1, name_bytes};
  *in = after(*in, 1 + name_bytes);
  value_bytes = get_big(in->data, 4);
  *in = after(*in, 4);
  if (value_bytes > in->size)
    return ZMTP_E_MALFORMED;
  *ret_value = (Text){(const char *)in->data, (size_t)value_bytes};
  *in = after(*in, (size_t)value_bytes);
  return 0;
}

/* Names of properties are case-insensitive. */
static bool is_socket_type(Text name) {
  Text wanted = TEXT("Socket-Type");

  return name.size == wanted.size && strncasecmp(name.data, wanted.data, wanted.size) == 0;
}

static bool fits(Text type, ZmtpType ours) {
  return ours == ZMTP_ROUTER ? text_is(type, "DEALER") || text_is(type, "REQ") || text_is(type, "ROUTER")
                             : text_is(type, "ROUTER") || text_is(type, "DEALER") || text_is(type, "REP");
}

int zmtp_ready_check(Bytes metadata, ZmtpType ours) {
  int r = ZMTP_E_TYPE;

  while (metadata.size > 0) {
    Text name;
    Text value;

    if (take_property(&metadata, &name, &value) != 0)
      return ZMTP_E_MALFORMED;
    if (is_socket_type(name))
      r = fits(value, ours) ? 0 : ZMTP_E_TYPE;
  }
  return r;
}

int zmtp_pong(Bytes ping, Buffer *ret) {
  enum { TTL_BYTES = 2 };

  if (ping.size < TTL_BYTES || ping.size > TTL_BYTES + PING_CONTEXT_MAX)
    return ZMTP_E_MALFORMED;
  append_command(ret, "PONG", after(ping, TTL_BYTES));
  return 0;
}
