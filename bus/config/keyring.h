/* What:      keys.yaml, the public side of all keys: whose each is and what it may do. The secret halves are files beside it.
 * Owns:      a Keyring all that it points to.
 * May use:   base, libcyaml.
 * Threading: one thread.
 * Spec:      docs/configuration.md, "Keys"; bus/config/keys.def has the table */
#ifndef PONS_CONFIG_KEYRING_H
#define PONS_CONFIG_KEYRING_H

#include "bus/config/config.h"

typedef struct KeyringKey {
  char *name;
  char *public; /* 40 characters of Z85 */
  char *role;   /* "client", "broker" or "witness" */
  bool revoked;
  char **call; /* rights: patterns of bus/core/rights.h */
  uint32_t call_count;
  char **serve;
  uint32_t serve_count;
  char **publish;
  uint32_t publish_count;
  char **subscribe;
  uint32_t subscribe_count;
} KeyringKey;

typedef struct Keyring {
  KeyringKey *keys;
  uint32_t keys_count;
} Keyring;

/* Whether the configuration names a folder of keys. */
bool keyring_is_wanted(const Config *config);
/* The path of keys.yaml, and that of a key's secret half, written into ret, which is returned. With keyring_is_wanted. */
const char *keyring_path(const Config *config, char ret[CONFIG_PATH_SIZE]);
const char *keyring_secret_path(const Config *config, const char *name, char ret[CONFIG_PATH_SIZE]);

/* Reads keys.yaml. Returns 0 and the caller owns *ret; CONFIG_E_INVALID; or negative errno, -ENOENT when it is not there. On failure
   *ret is left alone and errors has "FILE:LINE:COLUMN: ..." lines. Reads a file. */
int keyring_load(const char *path, Keyring **ret, Buffer *errors);
/* Whether keys.yaml is there and has those with whom this machine's broker talks. Returns 0, also when no keys are wanted; else as
   keyring_load, with errors. Reads a file. */
int keyring_check(const Config *config, Buffer *errors);
/* One without keys. Aborts when memory is out, as do the functions below. */
Keyring *keyring_new(void);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void keyring_destroy(Keyring **keyring);
/* Appends it as YAML that keyring_load would read back to the same. */
void keyring_print(const Keyring *keyring, Buffer *ret);

/* The key of that name, borrowed until one is added or removed, or NULL. */
KeyringKey *keyring_find(const Keyring *keyring, const char *name);
/* Adds a key without rights. Returns it, borrowed as above. */
KeyringKey *keyring_add(Keyring *keyring, const char *name, const char *public, const char *role);
void keyring_remove(Keyring *keyring, KeyringKey *key);
/* Appends to one of the four lists of a key. */
void keyring_allow(char ***list, uint32_t *count, Text pattern);

/* The names of keys. Written into ret, which is returned. */
enum { KEYRING_NAME_SIZE = 136 };
/* Of a broker. */
const char *keyring_broker_name(const char *broker, char ret[KEYRING_NAME_SIZE]);
/* Of an agent, or of the pons command, at a site. */
const char *keyring_client_name(const char *agent, const char *site, char ret[KEYRING_NAME_SIZE]);
#define KEYRING_WITNESS "witness"

#endif
