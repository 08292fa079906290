/* What:      what the files of CURVE share: the state of one connection.
 * Owns:      see curve.h.
 * May use:   base; libsodium.
 * Threading: as curve.h.
 * Spec:      curve.c */
#ifndef PONS_ZMTP_CURVE_INTERNAL_H
#define PONS_ZMTP_CURVE_INTERNAL_H

#include "bus/zmtp/curve.h"

enum {
  CURVE_MAC_BYTES = 16,
  CURVE_NONCE_BYTES = 24,
  CURVE_SHORT_BYTES = 8, /* of a nonce that is counted: its end */
  CURVE_LONG_BYTES = 16, /* of one that is random */
  CURVE_COOKIE_BYTES = 96,
};

/* What only the handshake needs. */
typedef struct CurveShake {
  CurveKeys own;
  CurveKeys fresh; /* of this connection alone */
  uint8_t long_nonce[CURVE_LONG_BYTES];
  uint8_t cookie[CURVE_COOKIE_BYTES];
  uint8_t peer_fresh[CURVE_KEY_BYTES];
  bool said_hello; /* server: HELLO has come */
} CurveShake;

struct Curve {
  CurveState state;
  ZmtpType type;
  bool is_server;
  uint8_t peer[CURVE_KEY_BYTES];
  uint8_t shared[CURVE_KEY_BYTES]; /* of the two fresh pairs */
  uint64_t sent;                   /* the last nonces */
  uint64_t received;
  bool skipping;       /* the rest of a message of more than two frames is thrown away */
  size_t opened_bytes; /* so many bytes of the input are a first frame that is open already, */
  size_t opened_plain; /* of which the last so many are its content */
  CurveShake *shake;   /* NULL once it is done */
};

/* Writes a nonce: its name, then a counter of 8 bytes. */
void curve_nonce(uint8_t ret[CURVE_NONCE_BYTES], const char *name, uint64_t counter);
/* Forgets what only the handshake needs. */
void curve_shaken(Curve *curve);
/* Takes the counter off a frame. Returns 0, or ZMTP_E_SEALED when it is not above the last one. */
int curve_take_counter(Curve *curve, const uint8_t at[CURVE_SHORT_BYTES]);

#endif
