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

/* The form that may be sent and the two older ones that must be understood (RFC 9110, 5.6.7). */
static bool read_moment(const char *text, struct tm *ret) {
  static const char *const forms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"};

  for (size_t i = 0; i < ELEMENTS(forms); i++) {
    const char *end;

    *ret = (struct tm){.tm_sec = 0};
    end = strptime(text, forms[i], ret);
    if (end && *end == '\0')
      return true;
  }
  return false;
}

static uint64_t read_date(Text text, uint64_t now_s) {
  char copy[40];
  struct tm at;
  time_t then_s;

  if (text.size == 0 || text.size >= sizeof copy)
    return 0;
  memcpy(copy, text.data, text.size);
  copy[text.size] = '\0';
  if (!read_moment(copy, &at))
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
