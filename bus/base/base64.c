#include "bus/base/base64.h"

void base64_put(Buffer *out, Bytes bytes) {
  static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  uint8_t *to;

  if (bytes.size == 0)
    return;
  to = buffer_reserve(out, (bytes.size + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size; i += 3) {
    size_t left = bytes.size - i;
    uint32_t bits = (uint32_t)bytes.data[i] << 16 | (left > 1 ? (uint32_t)bytes.data[i + 1] << 8 : 0) |
                    (left > 2 ? bytes.data[i + 2] : 0);

    *to++ = (uint8_t)letters[bits >> 18];
    *to++ = (uint8_t)letters[bits >> 12 & 63];
    *to++ = (uint8_t)(left > 1 ? letters[bits >> 6 & 63] : '=');
    *to++ = (uint8_t)(left > 2 ? letters[bits & 63] : '=');
  }
  out->size += (bytes.size + 2) / 3 * 4;
}

static int value_of(char c) {
  if (c >= 'A' && c <= 'Z')
    return c - 'A';
  if (c >= 'a' && c <= 'z')
    return c - 'a' + 26;
  if (c >= '0' && c <= '9')
    return c - '0' + 52;
  return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_get(Text text, Buffer *out) {
  uint32_t bits = 0;
  unsigned count = 0;

  for (int padding = 0; padding < 2 && text.size > 0 && text.data[text.size - 1] == '='; padding++)
    text.size--;
  if (text.size % 4 == 1)
    return false;
  for (size_t i = 0; i < text.size; i++) {
    int value = value_of(text.data[i]);
    uint8_t byte;

    if (value < 0)
      return false;
    bits = bits << 6 | (uint32_t)value;
    count += 6;
    if (count < 8)
      continue;
    count -= 8;
    byte = (uint8_t)(bits >> count);
    buffer_append(out, &byte, 1);
  }
  return true;
}
