/* What:      the folder of keys as `pons keys` changes it: keys.yaml, and a file for each secret key of this machine.
 * Owns:      the keyring that was read.
 * May use:   base, config, loop.
 * Threading: one thread.
 * Spec:      docs/pons.1.md, "keys"; docs/configuration.md, "Keys" */
#ifndef PONS_CTL_KEYFOLDER_H
#define PONS_CTL_KEYFOLDER_H

#include "bus/config/keyring.h"

typedef struct KeyFolder {
  const Config *config; /* keys.dir is set */
  Keyring *keyring;
} KeyFolder;

enum {
  KEYFOLDER_E_THERE = 1, /* there is a key of that name */
  KEYFOLDER_E_NONE,      /* there is none */
  KEYFOLDER_E_INVALID,   /* something can't be read or written; errors says what */
};

/* Reads keys.yaml. may_be_new: makes the folder, and begins with no keys, when they are not there. Returns 0, KEYFOLDER_E_NONE when
   keys.yaml is not there, or KEYFOLDER_E_INVALID. The caller ends it with keyfolder_done in any case. */
int keyfolder_open(KeyFolder *ret, const Config *config, bool may_be_new, Buffer *errors);
/* Usable as _cleanup_. */
void keyfolder_done(KeyFolder *folder);
/* Adds a key: public NULL makes a pair, whose secret half goes to its file, or takes the file that is there. A revoked one of that name is
   replaced. Returns 0 and *ret, borrowed as keyring_find's; KEYFOLDER_E_THERE or KEYFOLDER_E_INVALID. */
int keyfolder_add(KeyFolder *folder, const char *name, const char *public, const char *role, KeyringKey **ret,
                  Buffer *errors);
/* Gives an agent's key what agents may: serve what is called like itself, call, publish and subscribe to everything. */
void keyfolder_allow_agent(KeyringKey *key);
/* Marks it, and removes its secret half. Returns 0, KEYFOLDER_E_NONE or KEYFOLDER_E_INVALID. */
int keyfolder_revoke(KeyFolder *folder, const char *name, Buffer *errors);
/* Whether its secret half is here. */
bool keyfolder_has_secret(const KeyFolder *folder, const char *name);
/* Writes keys.yaml, whole or not at all. Returns 0 or KEYFOLDER_E_INVALID. */
int keyfolder_save(const KeyFolder *folder, Buffer *errors);

#endif
