#include "tests/mock-provider/sha256.h"

#include <stdio.h>

#include "bus/base/buffer.h"

static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

static uint32_t turn(uint32_t x, unsigned n) {
  return x >> n | x << (32 - n);
}

static void add_block(uint32_t h[8], const uint8_t block[64]) {
  uint32_t w[64], s[8];

  for (unsigned i = 0; i < 16; i++)
    w[i] = (uint32_t)block[i * 4] << 24 | (uint32_t)block[i * 4 + 1] << 16 | (uint32_t)block[i * 4 + 2] << 8 |
           block[i * 4 + 3];
  for (unsigned i = 16; i < 64; i++)
    w[i] = w[i - 16] + w[i - 7] + (turn(w[i - 15], 7) ^ turn(w[i - 15], 18) ^ w[i - 15] >> 3) +
           (turn(w[i - 2], 17) ^ turn(w[i - 2], 19) ^ w[i - 2] >> 10);
  memcpy(s, h, sizeof s);
  for (unsigned i = 0; i < 64; i++) {
    uint32_t one =
        s[7] + (turn(s[4], 6) ^ turn(s[4], 11) ^ turn(s[4], 25)) + ((s[4] & s[5]) ^ (~s[4] & s[6])) + K[i] + w[i];
    uint32_t two = (turn(s[0], 2) ^ turn(s[0], 13) ^ turn(s[0], 22)) + ((s[0] & s[1]) ^ (s[0] & s[2]) ^ (s[1] & s[2]));

    memmove(s + 1, s, 7 * sizeof s[0]);
    s[4] += one;
    s[0] = one + two;
  }
  for (unsigned i = 0; i < 8; i++)
    h[i] += s[i];
}

void sha256(Text text, uint8_t ret[SHA256_BYTES]) {
  uint32_t h[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  size_t rest = text.size % 64, whole = text.size - rest;
  uint8_t last[128] = {0};
  size_t size = rest < 56 ? 64 : 128;

  for (size_t i = 0; i < whole; i += 64)
    add_block(h, (const uint8_t *)text.data + i);
  if (rest)
    memcpy(last, text.data + whole, rest);
  last[rest] = 0x80;
  for (unsigned i = 0; i < 8; i++)
    last[size - 1 - i] = (uint8_t)((uint64_t)text.size * 8 >> (8 * i));
  for (size_t i = 0; i < size; i += 64)
    add_block(h, last + i);
  for (unsigned i = 0; i < SHA256_BYTES; i++)
    ret[i] = (uint8_t)(h[i / 4] >> (24 - 8 * (i % 4)));
}

void sha256_hex(Text text, char ret[65]) {
  uint8_t digest[SHA256_BYTES];

  sha256(text, digest);
  for (unsigned i = 0; i < SHA256_BYTES; i++)
    snprintf(ret + (size_t)i * 2, 3, "%02x", digest[i]);
}

/* Hashes the key, changed by mask, and text behind it. */
static void hash_masked(const uint8_t key[64], uint8_t mask, Text text, uint8_t ret[SHA256_BYTES]) {
  uint8_t begin[64];
  Buffer all = {0};

  for (unsigned i = 0; i < 64; i++)
    begin[i] = key[i] ^ mask;
  buffer_append(&all, begin, sizeof begin);
  buffer_append(&all, text.data, text.size);
  sha256((Text){(const char *)all.data, all.size}, ret);
  buffer_done(&all);
}

void sha256_hmac(Text key, Text text, uint8_t ret[SHA256_BYTES]) {
  uint8_t padded[64] = {0}, inner[SHA256_BYTES];

  if (key.size > sizeof padded)
    sha256(key, padded);
  else if (key.size)
    memcpy(padded, key.data, key.size);
  hash_masked(padded, 0x36, text, inner);
  hash_masked(padded, 0x5c, (Text){(const char *)inner, sizeof inner}, ret);
}
