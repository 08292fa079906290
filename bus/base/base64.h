/* What:      bytes as text.
 * Owns:      nothing.
 * May use:   buffer.
 * Threading: any; pure.
 * Spec:      RFC 4648, section 4 */
#ifndef PONS_BASE_BASE64_H
#define PONS_BASE_BASE64_H

#include "bus/base/buffer.h"

/* Appends bytes in base64, padded, without line breaks. */
void base64_put(Buffer *out, Bytes bytes);

/* Appends the bytes of a text in base64, padded or not. Returns false when it is none; something may have been appended then. */
bool base64_get(Text text, Buffer *out);

#endif
