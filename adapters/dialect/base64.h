/* What:      bytes as text.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      RFC 4648, section 4 */
#ifndef PONS_DIALECT_BASE64_H
#define PONS_DIALECT_BASE64_H

#include "bus/base/buffer.h"

/* Appends bytes in base64, padded, without line breaks. */
void base64_put(Buffer *out, Bytes bytes);

#endif
