#include "tests/mock-provider/pages.h"

#include <stdlib.h>

bool pages_put(const Ask *ask, Text after, void (*put)(Text name, Buffer *out), Buffer *out, Text *ret_last) {
  const char *at = ask->models ? ask->models : "mock-small,mock-large";
  uint32_t count = 0, most = ask->knobs.page == UNSET ? UINT32_MAX : ask->knobs.page;
  bool begun = after.size == 0;

  *ret_last = TEXT_NONE;
  while (*at && count < most) {
    Text name = {at, strcspn(at, ",")};

    at += name.size + (at[name.size] ? 1 : 0);
    if (begun) {
      buffer_printf(out, "%s", count++ ? "," : "");
      put(name, out);
      *ret_last = name;
    }
    begun |= text_equal(name, after);
  }
  return *at != '\0';
}

Text pages_query(Text query, const char *name, char room[256]) {
  size_t n = strlen(name), used = 0;
  const char *at = query.data, *end;

  if (!query.size)
    return TEXT_NONE;
  end = query.data + query.size;
  while (at < end && !((size_t)(end - at) > n && memcmp(at, name, n) == 0 && at[n] == '=')) {
    at = memchr(at, '&', (size_t)(end - at));
    at = at ? at + 1 : end;
  }
  if (at >= end)
    return TEXT_NONE;
  for (at += n + 1; at < end && *at != '&' && used < 255; at++) {
    char hex[3] = {0};

    room[used++] = *at;
    if (*at != '%' || end - at < 3)
      continue;
    memcpy(hex, at + 1, 2);
    room[used - 1] = (char)strtoul(hex, NULL, 16);
    at += 2;
  }
  return (Text){room, used};
}
