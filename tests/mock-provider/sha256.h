/* What:      SHA-256 of a text, in hex: how a secret is shown without being shown.
 * Owns:      nothing.
 * May use:   bus/base.
 * Threading: any; pure.
 * Spec:      FIPS 180-4 */
#ifndef PONS_TESTS_MOCK_SHA256_H
#define PONS_TESTS_MOCK_SHA256_H

#include "bus/base/types.h"

/* Writes 64 hex digits and a NUL. */
void sha256_hex(Text text, char ret[65]);

#endif
