/* What:      the checksum of AWS's event stream.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      CRC-32 of ISO 3309 and RFC 1952, section 8 */
#ifndef PONS_BEDROCK_CRC32_H
#define PONS_BEDROCK_CRC32_H

#include "bus/base/types.h"

/* The CRC-32 of bytes. */
uint32_t crc32_of(Bytes bytes);

#endif
