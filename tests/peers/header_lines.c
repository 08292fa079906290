/* The header codec for a test in another language: reads headers as lines of hex, and writes for each what header_decode
   made of it: OK with the header encoded again, or the name of the error, both with the id. */
#include <inttypes.h>
#include <stdio.h>

#include "bus/wire/header.h"

enum { LINE_SIZE = 4 * LIMIT_HEADER_BYTES };

static unsigned digit(char c) {
  return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

static void answer(Bytes bytes) {
  static const char *const names[] = {"OK", "MALFORMED", "UNSUPPORTED", "TOO_LARGE"};
  _cleanup_(buffer_done) Buffer again = {0};
  Header header;
  int r = header_decode(bytes, &header);

  printf("%s %016" PRIx64 "%016" PRIx64 " ", names[r], header.id.client.value, header.id.sequence);
  if (r == 0)
    header_encode(&header, &again);
  for (size_t i = 0; i < again.size; i++)
    printf("%02x", again.data[i]);
  printf("\n");
}

int main(void) {
  static char line[LINE_SIZE];

  while (fgets(line, sizeof line, stdin)) {
    _cleanup_(buffer_done) Buffer bytes = {0};

    for (const char *at = line; at[0] >= '0' && at[1] >= '0'; at += 2) {
      uint8_t byte = (uint8_t)(digit(at[0]) << 4 | digit(at[1]));

      buffer_append(&bytes, &byte, 1);
    }
    answer(buffer_bytes(&bytes));
  }
  return 0;
}
