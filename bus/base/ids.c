#include "bus/base/ids.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

const char *request_id_format(RequestId id, char ret[REQUEST_ID_TEXT_SIZE]) {
  snprintf(ret, REQUEST_ID_TEXT_SIZE, "%016" PRIx64 "-%" PRIx64, id.client.value, id.sequence);
  return ret;
}

const char *instance_format(Text agent, ClientId client, char ret[INSTANCE_TEXT_SIZE]) {
  snprintf(ret, INSTANCE_TEXT_SIZE, "%.*s:%016" PRIx64, (int)min_u64(agent.size, INSTANCE_TEXT_SIZE - 18), agent.data,
           client.value);
  return ret;
}

/* Reads 1 to 16 hex digits that fill text. */
static int parse_hex(Text text, uint64_t *ret) {
  uint64_t value = 0;

  if (text.size == 0 || text.size > 16)
    return -EINVAL;
  for (size_t i = 0; i < text.size; i++) {
    char c = text.data[i];
    unsigned digit;

    if (c >= '0' && c <= '9')
      digit = (unsigned)(c - '0');
    else if (c >= 'a' && c <= 'f')
      digit = (unsigned)(c - 'a') + 10;
    else
      return -EINVAL;
    value = value << 4 | digit;
  }
  *ret = value;
  return 0;
}

int request_id_parse(Text text, RequestId *ret) {
  const char *dash = text.size ? memchr(text.data, '-', text.size) : NULL;
  uint64_t client;
  uint64_t sequence;
  size_t head;

  if (!dash)
    return -EINVAL;
  head = (size_t)(dash - text.data);
  if (parse_hex((Text){text.data, head}, &client) < 0)
    return -EINVAL;
  if (parse_hex((Text){dash + 1, text.size - head - 1}, &sequence) < 0)
    return -EINVAL;
  *ret = (RequestId){{client}, sequence};
  return 0;
}

uint64_t random_u64(void) {
  uint64_t value = 0;

  while (value == 0)
    if (getrandom(&value, sizeof value, 0) != sizeof value && errno != EINTR)
      abort();
  return value;
}
