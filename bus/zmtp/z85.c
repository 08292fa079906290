#include "bus/zmtp/z85.h"

enum { BASE = 85, GROUP_CHARS = 5, GROUP_BYTES = 4 };

static const char digits[] = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

const char *z85_encode(const uint8_t key[CURVE_KEY_BYTES], char ret[Z85_KEY_SIZE]) {
  char *at = ret;

  for (size_t i = 0; i < CURVE_KEY_BYTES; i += GROUP_BYTES, at += GROUP_CHARS) {
    uint32_t value = (uint32_t)key[i] << 24 | (uint32_t)key[i + 1] << 16 | (uint32_t)key[i + 2] << 8 | key[i + 3];

    for (int k = GROUP_CHARS - 1; k >= 0; k--, value /= BASE)
      at[k] = digits[value % BASE];
  }
  *at = '\0';
  return ret;
}

static int decode_group(const char *from, uint8_t ret[GROUP_BYTES]) {
  uint64_t value = 0;

  for (int i = 0; i < GROUP_CHARS; i++) {
    const char *digit = from[i] ? strchr(digits, from[i]) : NULL;

    if (!digit)
      return Z85_E_NO_KEY;
    value = value * BASE + (uint64_t)(digit - digits);
  }
  if (value > UINT32_MAX)
    return Z85_E_NO_KEY;
  for (int i = GROUP_BYTES - 1; i >= 0; i--, value >>= 8)
    ret[i] = (uint8_t)value;
  return 0;
}

int z85_decode(Text text, uint8_t ret[CURVE_KEY_BYTES]) {
  uint8_t key[CURVE_KEY_BYTES];

  if (text.size != Z85_KEY_CHARS)
    return Z85_E_NO_KEY;
  for (size_t i = 0; i < CURVE_KEY_BYTES / GROUP_BYTES; i++)
    if (decode_group(text.data + i * GROUP_CHARS, key + i * GROUP_BYTES) != 0)
      return Z85_E_NO_KEY;
  memcpy(ret, key, sizeof key);
  curve_wipe(key, sizeof key);
  return 0;
}
