/* What:      CURVE, the security mechanism of ZMTP: four commands of handshake, then sealed frames.
 * Owns:      the keys of one connection; all are wiped when they are no longer needed.
 * May use:   base; libsodium for the arithmetic.
 * Threading: one Curve belongs to one thread; pure: no socket, no clock, no file, and what is random is an argument.
 * Spec:      RFC 26/CurveZMQ (rfc.zeromq.org); docs/adr/0034-keys-and-rights.md */
#ifndef PONS_ZMTP_CURVE_H
#define PONS_ZMTP_CURVE_H

#include "bus/zmtp/zmtp.h"

enum {
  CURVE_KEY_BYTES = 32,
  CURVE_FRESH_BYTES = 144, /* random bytes that one handshake uses up */
  CURVE_EXTRA_BYTES = 33,  /* what a sealed frame is longer than its content, heads apart */
};

typedef struct CurveKeys {
  uint8_t public_key[CURVE_KEY_BYTES];
  uint8_t secret_key[CURVE_KEY_BYTES];
} CurveKeys;

typedef enum CurveState {
  CURVE_SHAKING, /* more commands are to come */
  CURVE_ASKING,  /* server: the client has proved who it is, and waits to be admitted */
  CURVE_OPEN,    /* messages may pass */
} CurveState;

typedef struct Curve Curve;

/* Fills bytes with random ones of the system's. */
void curve_random(void *bytes, size_t size_bytes);
/* A key pair of its secret half. */
void curve_keys_of(const uint8_t secret_key[CURVE_KEY_BYTES], CurveKeys *ret);
/* Overwrites a secret in a way that is not optimized away. */
void curve_wipe(void *bytes, size_t size_bytes);
/* Whether two keys are the same, in a time that does not tell where they differ. */
bool curve_key_equal(const uint8_t a[CURVE_KEY_BYTES], const uint8_t b[CURVE_KEY_BYTES]);

/* One connection's side. own is copied and forgotten after the handshake. server: the public key of the other side, when that is the
   server; NULL: we are. fresh: random bytes, used for nothing else. Aborts when memory is out. */
Curve *curve_new(const CurveKeys *own, const uint8_t *server, ZmtpType type, const uint8_t fresh[CURVE_FRESH_BYTES]);
/* Wipes and frees it. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void curve_destroy(Curve **curve);
CurveState curve_state(const Curve *curve);
/* The long-term public key of the other side: a server knows it from CURVE_ASKING on. Borrowed. */
const uint8_t *curve_peer(const Curve *curve);

/* Client: appends the first command as a whole frame. */
void curve_hello(Curve *curve, Buffer *ret);
/* Takes the next command of the handshake and appends what is to be answered, as whole frames. Returns 0; or what ends the connection:
   ZMTP_E_MALFORMED for what is no such command, ZMTP_E_SEALED for a box that can't be opened or that another than its sender has
   made, ZMTP_E_TYPE, or ZMTP_E_REFUSED when the server does not admit us. */
int curve_step(Curve *curve, Bytes command, Buffer *ret);
/* Server, in CURVE_ASKING: appends READY. */
void curve_admit(Curve *curve, Buffer *ret);
/* Server, in CURVE_ASKING: appends ERROR, after which the connection is to be closed. */
void curve_refuse(Curve *curve, Buffer *ret);

/* Appends plain, sealed, as a whole frame. In CURVE_OPEN. */
void curve_seal(Curve *curve, bool more, bool command, Bytes plain, Buffer *ret);
/* As zmtp_read, of sealed frames: they are opened where they lie, so *in must be in memory that may be written; what is left in it
   must begin the next call's *in. ZMTP_E_SEALED: a frame was changed, sent twice, or is not of this connection. */
int curve_read(Curve *curve, Bytes *in, ZmtpMessage *ret, size_t *ret_want);

#endif
