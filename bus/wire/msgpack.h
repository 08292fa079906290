/* What:      msgpack: a writer on top of Buffer, a bounded reader over borrowed bytes.
 * Owns:      nothing; the writer grows the caller's Buffer, the reader allocates nothing and copies nothing.
 * May use:   base/types, base/buffer.
 * Threading: any; a reader and a buffer belong to one thread.
 * Spec:      https://github.com/msgpack/msgpack/blob/master/spec.md */
#ifndef PONS_WIRE_MSGPACK_H
#define PONS_WIRE_MSGPACK_H

#include "bus/base/buffer.h"
#include "bus/base/types.h"

/* What reading may answer; all are expected of bytes from outside. */
enum {
  MSGPACK_E_TYPE = 1,  /* a value of another type stands there, or a number that the asked type can't hold */
  MSGPACK_E_SHORT = 2, /* the bytes end before the value does, or it claims more than can be there */
  MSGPACK_E_DEPTH = 3, /* nested deeper than MSGPACK_DEPTH_MAX */
  MSGPACK_E_UTF8 = 4,  /* a text that is not UTF-8 */
};

/* Arrays and maps inside one another that msgpack_skip and msgpack_get_span follow. */
#define MSGPACK_DEPTH_MAX 32

typedef enum MsgpackType {
  MSGPACK_NIL,
  MSGPACK_BOOL,
  MSGPACK_UINT, /* any number >= 0 without a fraction, whichever format it came in */
  MSGPACK_INT,  /* a number < 0 */
  MSGPACK_REAL,
  MSGPACK_TEXT,
  MSGPACK_BYTES,
  MSGPACK_ARRAY,
  MSGPACK_MAP,
  MSGPACK_EXT, /* extension types, timestamps among them: can be skipped, nothing else */
} MsgpackType;

/* Each put appends one value in its smallest encoding. */
void msgpack_put_nil(Buffer *buffer);
void msgpack_put_bool(Buffer *buffer, bool value);
void msgpack_put_uint(Buffer *buffer, uint64_t value);
void msgpack_put_int(Buffer *buffer, int64_t value);
/* As float 32 when that loses nothing, else as float 64. */
void msgpack_put_real(Buffer *buffer, double value);
/* The caller vouches for UTF-8 (text_is_utf8); size below 4 GiB. */
void msgpack_put_text(Buffer *buffer, Text text);
void msgpack_put_bytes(Buffer *buffer, Bytes bytes);
/* count values follow. */
void msgpack_put_array(Buffer *buffer, uint32_t count);
/* count pairs of key and value follow. */
void msgpack_put_map(Buffer *buffer, uint32_t count);
/* Appends what is msgpack already. */
void msgpack_put_raw(Buffer *buffer, Bytes encoded);

/* Reads from at to end. A call that fails leaves the reader and its out-parameter alone. */
typedef struct MsgpackReader {
  const uint8_t *at;
  const uint8_t *end;
} MsgpackReader;

static inline MsgpackReader msgpack_reader(Bytes bytes) {
  return (MsgpackReader){bytes.data, bytes.size ? bytes.data + bytes.size : bytes.data};
}

/* Whether nothing is left. */
static inline bool msgpack_at_end(const MsgpackReader *reader) {
  return reader->at == reader->end;
}

/* The type of the next value, which stays unread. 0, MSGPACK_E_SHORT at the end, or MSGPACK_E_TYPE for the byte 0xc1,
   which no version of the format uses. */
int msgpack_peek_type(const MsgpackReader *reader, MsgpackType *ret);

/* Each get returns 0, MSGPACK_E_TYPE or MSGPACK_E_SHORT; any encoding of a value is taken, not the smallest alone. */
int msgpack_get_nil(MsgpackReader *reader);
int msgpack_get_bool(MsgpackReader *reader, bool *ret);
/* MSGPACK_E_TYPE for a number below 0. */
int msgpack_get_uint(MsgpackReader *reader, uint64_t *ret);
/* MSGPACK_E_TYPE for a number above INT64_MAX. */
int msgpack_get_int(MsgpackReader *reader, int64_t *ret);
/* Takes whole numbers too, rounded to the nearest double. */
int msgpack_get_real(MsgpackReader *reader, double *ret);
/* Borrows the text from the reader's bytes; MSGPACK_E_UTF8 if it is none. */
int msgpack_get_text(MsgpackReader *reader, Text *ret);
/* Borrows the bytes from the reader's bytes. */
int msgpack_get_bytes(MsgpackReader *reader, Bytes *ret);
/* The head of an array of *ret values, or of a map of *ret pairs. A head that claims more than the bytes left could
   hold is MSGPACK_E_SHORT, so that a loop over *ret is bounded by the size of the message. */
int msgpack_get_array(MsgpackReader *reader, uint32_t *ret);
int msgpack_get_map(MsgpackReader *reader, uint32_t *ret);

/* Passes over one value and all inside it, in one pass and constant memory. MSGPACK_E_DEPTH when it is nested deeper
   than MSGPACK_DEPTH_MAX. Texts inside are not checked for UTF-8. */
int msgpack_skip(MsgpackReader *reader);
/* As msgpack_skip, and returns the value's bytes, borrowed. */
int msgpack_get_span(MsgpackReader *reader, Bytes *ret);

/* Whether text is well-formed UTF-8 (RFC 3629: no surrogates, nothing overlong, nothing above U+10FFFF). */
bool text_is_utf8(Text text);

#endif
