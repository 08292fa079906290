/* What:      the API keys that clients may use.
 * Owns:      copies of the secrets, overwritten at the end. Names borrow from the Config.
 * May use:   base, config.
 * Threading: one thread.
 * Spec:      docs/gateway.md, "Limits"; RFC 6750 section 2.1 (Bearer) */
#ifndef PONS_GATEWAY_KEYS_H
#define PONS_GATEWAY_KEYS_H

#include "bus/config/config.h"

typedef struct Key {
  const char *name;
  char *secret;
} Key;

/* All zero: nobody is asked for a key. */
typedef struct Keys {
  Key *rows;
  uint32_t count;
} Keys;

/* Reads the secrets of gateway->keys; gateway must outlive *ret. Returns 0, or CONFIG_E_SECRET with lines in errors and
   *ret empty. */
int keys_load(const ConfigGateway *gateway, Keys *ret, Buffer *errors);
/* Overwrites and frees; the set is empty. Usable as _cleanup_. */
void keys_done(Keys *keys);
/* The name of the key in an Authorization header (NULL = absent), or NULL when it is none of them. Its time does not
   depend on where a wrong key differs, nor on which of them is the right one. */
const char *keys_find(const Keys *keys, const char *authorization);

#endif
