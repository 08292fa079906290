/* What:      CRC-32C, the checksum of rows.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any.
 * Spec:      RFC 3720, 12.1: polynomial 0x1EDC6F41, reflected, inverted before and after */
#ifndef PONS_STORE_CRC_H
#define PONS_STORE_CRC_H

#include "bus/base/types.h"

/* The checksum of bytes behind those whose checksum is crc; 0 to begin with. */
uint32_t crc_add(uint32_t crc, Bytes bytes);

#endif
