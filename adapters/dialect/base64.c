#include "adapters/dialect/base64.h"

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
