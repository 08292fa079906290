/* What:      what checking, walking and writing share: bytes looked at eight at a time.
 * Owns:      nothing.
 * May use:   base, json.
 * Threading: any; pure.
 * Spec:      RFC 8259, section 7; RFC 3629, section 4 */
#ifndef PONS_JSON_JSON_INTERNAL_H
#define PONS_JSON_JSON_INTERNAL_H

#include <endian.h>

#include "bus/json/json.h"

#define JSON_EACH_BYTE(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight bytes, the first of them lowest. */
static inline uint64_t json_word(const void *at) {
  uint64_t word;

  memcpy(&word, at, sizeof word);
  return le64toh(word);
}

/* The highest bit of each byte of word that is 0; above the lowest of these bits there may be others (H. S. Warren, "Hacker's
   Delight", 6-1). */
static inline uint64_t json_zeros(uint64_t word) {
  return (word - JSON_EACH_BYTE(1)) & ~word & JSON_EACH_BYTE(0x80);
}

/* How many bytes from at on mean nothing in a string: ASCII without control characters, quotes and backslashes. */
size_t json_plain_bytes(const uint8_t *at, const uint8_t *end);
/* Bytes of the character of UTF-8 that begins at `at`, before end; 0: none does. */
size_t json_character_bytes(const uint8_t *at, const uint8_t *end);

#endif
