/* What:      key pairs of CURVE: made, written to files and read from them; public keys as bytes and as text.
 * Owns:      a KeyPair its secret half, which leaves this room for a file that only its owner may read, and for nothing else.
 * May use:   base, zmtp; files.
 * Threading: a KeyPair belongs to one thread.
 * Spec:      docs/adr/0034-keys-and-rights.md; RFC 32/Z85 for keys as text */
#ifndef PONS_LOOP_KEY_H
#define PONS_LOOP_KEY_H

#include "bus/base/types.h"

typedef struct KeyPair KeyPair;

typedef struct PublicKey {
  uint8_t bytes[32];
} PublicKey;

enum { KEY_TEXT_SIZE = 41 }; /* 40 characters and a NUL */

enum {
  KEY_E_READABLE = 1, /* others than its owner may read or write the file */
  KEY_E_NO_KEY,       /* what it has is no key */
};

/* A new pair, of the system's random numbers. The caller owns *ret. */
void key_new(KeyPair **ret);
/* Reads the secret half from a file, 40 characters and perhaps a newline. Returns 0 and the caller owns *ret; KEY_E_*; or negative
   errno. On failure *ret is left alone. */
int key_read(const char *path, KeyPair **ret);
/* Writes it to a new file that only its owner may read, and syncs. Returns 0 or negative errno, -EEXIST when the file is there. */
int key_write(const KeyPair *key, const char *path);
/* What a code of key_read means and what to do, as a sentence for a person. */
const char *key_error(int code);
/* Another reference; returns key. */
KeyPair *key_ref(KeyPair *key);
/* Drops one and nulls the pointer; the last wipes the key. Takes NULL. Usable as _cleanup_. */
void key_unref(KeyPair **key);
PublicKey key_public(const KeyPair *key);

/* Whether they are the same, in a time that does not tell where they differ. */
bool public_key_equal(PublicKey a, PublicKey b);
/* As text. Returns ret. */
const char *public_key_print(PublicKey key, char ret[KEY_TEXT_SIZE]);
/* From text. Returns 0, or KEY_E_NO_KEY and *ret is left alone. */
int public_key_read(Text text, PublicKey *ret);

#endif
