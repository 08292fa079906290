/* What:      keys as people and files write them: 32 bytes as 40 characters of Z85.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      RFC 32/Z85 (rfc.zeromq.org) */
#ifndef PONS_ZMTP_Z85_H
#define PONS_ZMTP_Z85_H

#include "bus/zmtp/curve.h"

enum { Z85_KEY_CHARS = 40, Z85_KEY_SIZE };

enum {
  Z85_E_NO_KEY = 1, /* not 40 characters, or one that Z85 has not, or five that are too large a number */
};

/* Writes a key with a NUL behind it. Returns ret. */
const char *z85_encode(const uint8_t key[CURVE_KEY_BYTES], char ret[Z85_KEY_SIZE]);
/* Reads one. Returns 0, or Z85_E_NO_KEY and *ret is left alone. */
int z85_decode(Text text, uint8_t ret[CURVE_KEY_BYTES]);

#endif
