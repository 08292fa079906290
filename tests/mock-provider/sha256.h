/* What:      SHA-256 and HMAC: how a secret is shown without being shown, and how a signature is checked.
 * Owns:      nothing.
 * May use:   bus/base.
 * Threading: any; pure.
 * Spec:      FIPS 180-4, RFC 2104 */
#ifndef PONS_TESTS_MOCK_SHA256_H
#define PONS_TESTS_MOCK_SHA256_H

#include "bus/base/types.h"

enum { SHA256_BYTES = 32 };

/* Writes the digest of text. */
void sha256(Text text, uint8_t ret[SHA256_BYTES]);

/* HMAC-SHA-256; key and ret may be the same bytes. */
void sha256_hmac(Text key, Text text, uint8_t ret[SHA256_BYTES]);

/* Writes 64 hex digits and a NUL. */
void sha256_hex(Text text, char ret[65]);

#endif
