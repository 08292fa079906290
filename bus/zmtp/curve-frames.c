/* Sealed frames. In each of them lie the flags and the content of one frame in clear; the flags that ZMTP itself shows to everybody
   on the way are not authentic and count for nothing. Frames are opened in place: a copy would cost more than it is worth, for
   they are read to memory that is ours alone. A first frame whose second is not there yet stays open where it lies. */
#include "bus/zmtp/curve-internal.h"

#include <sodium.h>

enum {
  FLAG_MORE = 1,
  FLAG_COMMAND = 2,
  NAME_BYTES = 8, /* "\7MESSAGE" */
  MAC_AT = NAME_BYTES + CURVE_SHORT_BYTES,
  FLAGS_AT = MAC_AT + CURVE_MAC_BYTES,
  CONTENT_AT = FLAGS_AT + 1,
};

_Static_assert((int)CONTENT_AT == (int)CURVE_EXTRA_BYTES, "what is added to a frame");

static const char name[] = "\7MESSAGE";

/* The name of the nonces of what a side sends. */
static const char *nonce_name(bool by_server) {
  return by_server ? "CurveZMQMESSAGES" : "CurveZMQMESSAGEC";
}

void curve_seal(Curve *curve, bool more, bool command, Bytes plain, Buffer *ret) {
  uint8_t nonce[CURVE_NONCE_BYTES];
  size_t size = CONTENT_AT + plain.size;
  uint8_t *at = buffer_reserve(ret, ZMTP_HEAD_BYTES + size);

  curve_nonce(nonce, nonce_name(curve->is_server), ++curve->sent);
  ret->size += size + zmtp_head_encode(false, false, size, at);
  at = ret->data + ret->size - size;
  memcpy(at, name, NAME_BYTES);
  memcpy(at + NAME_BYTES, nonce + CURVE_NONCE_BYTES - CURVE_SHORT_BYTES, CURVE_SHORT_BYTES);
  at[FLAGS_AT] = (uint8_t)((more ? FLAG_MORE : 0) | (command ? FLAG_COMMAND : 0));
  if (plain.size)
    memcpy(at + CONTENT_AT, plain.data, plain.size);
  crypto_box_detached_afternm(at + FLAGS_AT, at + MAC_AT, at + FLAGS_AT, 1 + plain.size, nonce, curve->shared);
}

typedef struct Opened {
  size_t bytes; /* of the whole frame */
  Bytes plain;
  bool more;
  bool command;
} Opened;

/* Opens a frame that is whole. */
static int open_frame(Curve *curve, Bytes frame, Opened *ret) {
  union {
    const uint8_t *from;
    uint8_t *to;
  } at = {.from = frame.data}; /* the caller's own memory */
  uint8_t nonce[CURVE_NONCE_BYTES];
  int r;

  if (frame.size < CONTENT_AT || memcmp(at.to, name, NAME_BYTES) != 0)
    return ZMTP_E_MALFORMED;
  r = curve_take_counter(curve, at.to + NAME_BYTES);
  if (r != 0)
    return r;
  curve_nonce(nonce, nonce_name(!curve->is_server), curve->received);
  if (crypto_box_open_detached_afternm(at.to + FLAGS_AT, at.to + FLAGS_AT, at.to + MAC_AT, frame.size - FLAGS_AT, nonce,
                                       curve->shared) != 0)
    return ZMTP_E_SEALED;
  ret->more = at.to[FLAGS_AT] & FLAG_MORE;
  ret->command = at.to[FLAGS_AT] & FLAG_COMMAND;
  ret->plain = (Bytes){at.to + CONTENT_AT, frame.size - CONTENT_AT};
  return ret->more && ret->command ? ZMTP_E_MALFORMED : 0;
}

static Bytes after(Bytes in, size_t bytes) {
  return (Bytes){in.data + bytes, in.size - bytes};
}

/* Opens the frame behind so many bytes of in. */
static int open_next(Curve *curve, Bytes in, size_t before, Opened *ret, size_t *ret_want) {
  ZmtpHead head;
  Bytes rest = after(in, before);
  int r = zmtp_head_decode(rest, ZMTP_FRAME_BYTES + CURVE_EXTRA_BYTES, &head);

  if (r != 0)
    return r;
  ret->bytes = head.head_bytes + head.body_bytes;
  if (rest.size < ret->bytes) {
    *ret_want = before + ret->bytes;
    return ZMTP_E_SHORT;
  }
  return open_frame(curve, (Bytes){rest.data + head.head_bytes, head.body_bytes}, ret);
}

/* Throws away the frames behind the second. */
static int skip(Curve *curve, Bytes *in, size_t *ret_want) {
  while (curve->skipping) {
    Opened frame;
    int r = open_next(curve, *in, 0, &frame, ret_want);

    if (r != 0)
      return r;
    if (frame.command)
      return ZMTP_E_MALFORMED;
    curve->skipping = frame.more;
    *in = after(*in, frame.bytes);
  }
  return 0;
}

/* The second frame of a message whose first is open. */
static int read_second(Curve *curve, Bytes *in, ZmtpMessage *ret, size_t *ret_want) {
  Opened second;
  int r = open_next(curve, *in, curve->opened_bytes, &second, ret_want);

  if (r != 0)
    return r;
  if (second.command)
    return ZMTP_E_MALFORMED;
  *ret = (ZmtpMessage){.frames = second.more ? 3 : 2,
                       .header = {in->data + curve->opened_bytes - curve->opened_plain, curve->opened_plain},
                       .body = second.plain};
  *in = after(*in, curve->opened_bytes + second.bytes);
  curve->skipping = second.more;
  curve->opened_bytes = 0;
  return 0;
}

int curve_read(Curve *curve, Bytes *in, ZmtpMessage *ret, size_t *ret_want) {
  Opened first;
  int r;

  *ret_want = 0;
  if (curve->opened_bytes > 0)
    return read_second(curve, in, ret, ret_want);
  r = skip(curve, in, ret_want);
  if (r == 0)
    r = open_next(curve, *in, 0, &first, ret_want);
  if (r != 0)
    return r;
  if (first.more && first.plain.size > ZMTP_FIRST_BYTES)
    return ZMTP_E_TOO_LARGE;
  if (first.more) {
    curve->opened_bytes = first.bytes;
    curve->opened_plain = first.plain.size;
    return read_second(curve, in, ret, ret_want);
  }
  *ret = (ZmtpMessage){.frames = 1, .header = first.plain};
  *in = after(*in, first.bytes);
  return first.command ? ZMTP_E_COMMAND : 0;
}
