#include "bus/store/crc.h"

#define POLYNOMIAL UINT32_C(0x82F63B78) /* 0x1EDC6F41 with its bits in reverse */

/* Bit by bit: rows are small, and a commit waits for the disk a thousand times longer. */
uint32_t crc_add(uint32_t crc, Bytes bytes) {
  crc = ~crc;
  for (size_t i = 0; i < bytes.size; i++) {
    crc ^= bytes.data[i];
    for (int bit = 0; bit < 8; bit++)
      crc = crc & 1 ? crc >> 1 ^ POLYNOMIAL : crc >> 1;
  }
  return ~crc;
}
