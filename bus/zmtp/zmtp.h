/* What:      ZMTP, the wire protocol of ZeroMQ: greeting, handshake commands, frames; bytes to messages of header and body and back.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure: no socket, no clock.
 * Spec:      RFC 23/ZMTP 3.0 (rfc.zeromq.org) with the NULL mechanism (CURVE: curve.h); PING and PONG of RFC 37/ZMTP 3.1 */
#ifndef PONS_ZMTP_ZMTP_H
#define PONS_ZMTP_ZMTP_H

#include "bus/base/buffer.h"

enum {
  ZMTP_GREETING_BYTES = 64,
  ZMTP_MECHANISM_BYTES = 20,
  ZMTP_HEAD_BYTES = 9,       /* the longest head of a frame */
  ZMTP_FRAME_BYTES = 262144, /* the largest frame that is taken */
  ZMTP_FIRST_BYTES = 16384,  /* the largest that is taken when another follows it */
};

enum {
  ZMTP_E_SHORT = 1, /* more bytes are needed */
  ZMTP_E_COMMAND,   /* a command came instead of a message */
  ZMTP_E_MALFORMED, /* no ZMTP, or a reserved bit */
  ZMTP_E_TOO_LARGE, /* a frame over ZMTP_FRAME_BYTES, or a first of several over ZMTP_FIRST_BYTES */
  ZMTP_E_VERSION,   /* ZMTP older than 3.0 */
  ZMTP_E_MECHANISM, /* another security mechanism than ours */
  ZMTP_E_TYPE,      /* a kind of socket that does not fit ours */
  ZMTP_E_SEALED,    /* CURVE: a box that can't be opened, a nonce used again */
  ZMTP_E_REFUSED,   /* CURVE: the server does not admit our key */
};

/* Which kinds of ZeroMQ sockets we are. */
typedef enum ZmtpType { ZMTP_ROUTER, ZMTP_DEALER } ZmtpType;

/* --- greeting --- */

/* The 64 bytes that either side sends first. mechanism: "NULL", "CURVE", at most ZMTP_MECHANISM_BYTES long. */
void zmtp_greeting(const char *mechanism, bool as_server, uint8_t ret[ZMTP_GREETING_BYTES]);
/* Looks at as much of a peer's greeting as has come. Returns 0 when it is whole and fits; ZMTP_E_SHORT, _MALFORMED, _VERSION or
   _MECHANISM, as early as it can be told. */
int zmtp_greeting_check(Bytes in, const char *mechanism);

/* --- frames --- */

typedef struct ZmtpHead {
  bool more;
  bool command;
  size_t head_bytes;
  size_t body_bytes;
} ZmtpHead;

/* Reads the head of a frame of at most so many bytes. Returns 0, ZMTP_E_SHORT, _MALFORMED or _TOO_LARGE. */
int zmtp_head_decode(Bytes in, size_t most_bytes, ZmtpHead *ret);
/* Writes the head of a frame of so many bytes. Returns how long it is. */
size_t zmtp_head_encode(bool more, bool command, size_t body_bytes, uint8_t ret[ZMTP_HEAD_BYTES]);

/* --- messages --- */

/* What a stream of frames is in the middle of. All zero is its beginning. */
typedef struct ZmtpReader {
  bool skipping;     /* the rest of a message of more than two frames is thrown away */
  bool skip_more;    /* after this frame another one follows */
  size_t skip_bytes; /* of this frame */
} ZmtpReader;

/* A message, borrowed from the bytes it was read from; of a command header is its body and body is empty. */
typedef struct ZmtpMessage {
  uint8_t frames; /* 1, 2, or 3 for more than two, the rest of which is not kept */
  Bytes header;
  Bytes body;
} ZmtpMessage;

/* Takes the next message or command off *in. Returns 0 and the message; ZMTP_E_COMMAND and the command; ZMTP_E_SHORT when it is not
   whole: *ret_want is the size of the whole then as far as it can be told, 0 when it cannot; _MALFORMED or _TOO_LARGE when the
   connection is to be ended. */
int zmtp_read(ZmtpReader *reader, Bytes *in, ZmtpMessage *ret, size_t *ret_want);

/* --- commands --- */

typedef enum ZmtpCommand { ZMTP_READY, ZMTP_ERROR, ZMTP_PING, ZMTP_OTHER } ZmtpCommand;

/* What a command is, and the bytes behind its name. */
ZmtpCommand zmtp_command_read(Bytes command, Bytes *ret_rest);
/* Appends READY as a whole frame: our kind of socket, and no identity. */
void zmtp_ready(ZmtpType type, Buffer *ret);
/* Whether the metadata of a peer's READY is well-formed and names a kind of socket that ours may be connected with. An identity is
   passed over: connections have numbers of our own. Returns 0, ZMTP_E_MALFORMED or ZMTP_E_TYPE. */
int zmtp_ready_check(Bytes metadata, ZmtpType ours);
/* Appends the PONG to a PING as a whole frame. Returns 0, or ZMTP_E_MALFORMED. */
int zmtp_pong(Bytes ping, Buffer *ret);

#endif
