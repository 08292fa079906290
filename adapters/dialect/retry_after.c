#include "adapters/dialect/retry_after.h"

#include <stdlib.h>
#include <time.h>

#define LONGEST_US UINT64_C(3600000000)

/* A number with a point or without, times scale; 0 for anything else. */
static uint64_t read_number(Text text, double scale) {
  char copy[32];
  char *end;
  double number;

  if (text.size == 0 || text.size >= sizeof copy)
    return 0;
  memcpy(copy, text.data, text.size);
  copy[text.size] = '\0';
  if (strspn(copy, "0123456789.") != text.size) /* strtod knows more numbers than anybody sends */
    return 0;
  number = strtod(copy, &end) * scale;
  if (*end != '\0' || !(number > 0))
    return 0;
  return number < (double)LONGEST_US ? (uint64_t)number : LONGEST_US;
}

/* IMF-fixdate, which is all that may be sent: Sun, 06 Nov 1994 08:49:37 GMT. */
static uint64_t read_date(Text text, uint64_t now_s) {
  char copy[40];
  struct tm at = {.tm_sec = 0};
  const char *end;
  time_t then_s;

  if (text.size == 0 || text.size >= sizeof copy)
    return 0;
  memcpy(copy, text.data, text.size);
  copy[text.size] = '\0';
  end = strptime(copy, "%a, %d %b %Y %H:%M:%S GMT", &at);
  if (!end || *end != '\0')
    return 0;
  then_s = timegm(&at);
  if (then_s < 0 || (uint64_t)then_s <= now_s)
    return 0;
  return min_u64(((uint64_t)then_s - now_s) * 1000000, LONGEST_US);
}

uint64_t retry_after_us(Text retry_after, Text retry_after_ms, uint64_t now_s) {
  uint64_t us = read_number(retry_after_ms, 1000);

  if (us == 0)
    us = read_number(retry_after, 1000000);
  return us ? us : read_date(retry_after, now_s);
}
