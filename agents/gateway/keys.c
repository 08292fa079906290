#include "agents/gateway/keys.h"

#include <stdlib.h>
#include <strings.h>

int keys_load(const ConfigGateway *gateway, Keys *ret, Buffer *errors) {
  Keys keys = {.rows = gateway->keys_count ? calloc(gateway->keys_count, sizeof(Key)) : NULL};
  int r = 0;

  if (gateway->keys_count && !keys.rows)
    abort();
  for (uint32_t i = 0; i < gateway->keys_count; i++) {
    Key *key = &keys.rows[keys.count++];
    int one = config_secret_read(&gateway->keys[i].secret, &key->secret, errors);

    key->name = gateway->keys[i].name;
    r = one ? one : r;
  }
  if (r != 0)
    keys_done(&keys);
  *ret = keys;
  return r;
}

void keys_done(Keys *keys) {
  for (uint32_t i = 0; i < keys->count; i++)
    config_secret_destroy(&keys->rows[i].secret);
  free(keys->rows);
  *keys = (Keys){NULL, 0};
}

/* Goes through all of secret whatever given is. */
static bool equals(const char *secret, Text given) {
  size_t size = strlen(secret);
  size_t differs = size ^ given.size;

  for (size_t i = 0; i < size; i++)
    differs |= (size_t)((uint8_t)secret[i] ^ (uint8_t)(i < given.size ? given.data[i] : 0));
  return differs == 0;
}

const char *keys_find(const Keys *keys, const char *authorization) {
  static const char scheme[] = "Bearer ";
  const char *found = NULL;
  const char *given = authorization;

  if (!given || strncasecmp(given, scheme, sizeof scheme - 1) != 0)
    return NULL;
  given += sizeof scheme - 1;
  for (uint32_t i = 0; i < keys->count; i++)
    if (equals(keys->rows[i].secret, text_of(given)))
      found = keys->rows[i].name;
  return found;
}
