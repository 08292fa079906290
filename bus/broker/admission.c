#include "bus/broker/admission.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/base/limiter.h"
#include "bus/base/log.h"
#include "bus/base/table.h"
#include "bus/config/keyring.h"

enum {
  TOLD_AT_ONCE = 3, /* lines of the log about one key, */
  TOLD_US = 60000000,
  BEGUN_AT_ONCE = 4096, /* connections of one key: a fleet that has lost its broker */
  BEGUN_US = 15625,     /* 64 per second: what their handshakes cost is a fortieth of a core */
};

typedef struct Row {
  TableLink link; /* by key */
  PublicKey key;
  KeyringKey *about;
  Rights *rights;
} Row;

/* keys.yaml, made ready to be looked up. */
typedef struct Ring {
  Keyring *keyring; /* the rows borrow from it */
  Row *rows;
  Table by_key;
} Ring;

struct Admission {
  char path[CONFIG_PATH_SIZE];
  KeyPair *own;
  Ring *ring;
  Ring *old; /* whose names are still in use */
  PublicKey expected;
  Limiter *told;
  Limiter *begun;
};

static uint64_t hash_of(PublicKey key) {
  return text_hash((Text){(const char *)key.bytes, sizeof key.bytes});
}

/* --- the table --- */

static void ring_destroy(Ring **p) {
  Ring *ring = TAKE(*p);

  if (!ring)
    return;
  for (uint32_t i = 0; ring->rows && i < ring->keyring->keys_count; i++)
    rights_destroy(&ring->rows[i].rights);
  table_done(&ring->by_key);
  free(ring->rows);
  keyring_destroy(&ring->keyring);
  free(ring);
}

static int allow_all(Rights *rights, RightsDeed deed, char *const *list, uint32_t count, const KeyringKey *key,
                     Buffer *errors) {
  int result = 0;

  for (uint32_t i = 0; i < count; i++)
    if (rights_allow(rights, deed, text_of(list[i])) != 0) {
      buffer_printf(errors, "keys.yaml: the key %s has the right '%s', which is no pattern\n", key->name, list[i]);
      result = ADMISSION_E_KEYS;
    }
  return result;
}

static int fill_row(Row *row, KeyringKey *key, Buffer *errors) {
  int r = 0;

  *row = (Row){.about = key, .rights = rights_new()};
  if (public_key_read(text_of(key->public), &row->key) != 0) {
    buffer_printf(errors, "keys.yaml: the public key of %s is none; `pons keys add` prints what to write\n", key->name);
    r = ADMISSION_E_KEYS;
  }
  r |= allow_all(row->rights, RIGHTS_CALL, key->call, key->call_count, key, errors);
  r |= allow_all(row->rights, RIGHTS_SERVE, key->serve, key->serve_count, key, errors);
  r |= allow_all(row->rights, RIGHTS_PUBLISH, key->publish, key->publish_count, key, errors);
  r |= allow_all(row->rights, RIGHTS_SUBSCRIBE, key->subscribe, key->subscribe_count, key, errors);
  return r;
}

static int ring_new(Ring **ret, const char *path, Buffer *errors) {
  _cleanup_(ring_destroy) Ring *ring = calloc(1, sizeof *ring);
  int r;

  if (!ring)
    abort();
  if (keyring_load(path, &ring->keyring, errors) != 0)
    return ADMISSION_E_KEYS;
  ring->rows = calloc(ring->keyring->keys_count + 1, sizeof *ring->rows);
  if (!ring->rows)
    abort();
  r = 0;
  for (uint32_t i = 0; i < ring->keyring->keys_count; i++) {
    r |= fill_row(&ring->rows[i], &ring->keyring->keys[i], errors);
    table_add(&ring->by_key, &ring->rows[i].link, hash_of(ring->rows[i].key));
  }
  if (r == 0)
    *ret = TAKE(ring);
  return r ? ADMISSION_E_KEYS : 0;
}

static const Row *find(const Ring *ring, PublicKey key) {
  uint64_t hash = hash_of(key);

  for (TableLink *at = table_bucket(&ring->by_key, hash); at; at = at->next) {
    const Row *row = CONTAINER_OF(at, Row, link);

    if (at->hash == hash && public_key_equal(row->key, key))
      return row;
  }
  return NULL;
}

/* --- made and read again --- */

static int read_own(Admission *admission, const Config *config, const char *name, Buffer *errors) {
  char path[CONFIG_PATH_SIZE];
  int r = key_read(keyring_secret_path(config, name, path), &admission->own);
  const Row *row;

  if (r != 0) {
    buffer_printf(errors, "%s: can't be used: %s\n", path, key_error(r));
    return ADMISSION_E_KEYS;
  }
  row = find(admission->ring, key_public(admission->own));
  if (row && strcmp(row->about->name, name) == 0)
    return 0;
  buffer_printf(errors, "%s: is not the key that keys.yaml has as %s; nobody would know this broker by it\n", path,
                name);
  return ADMISSION_E_KEYS;
}

int admission_new(Admission **ret, const Config *config, const char *own_name, Buffer *errors) {
  _cleanup_(admission_destroy) Admission *admission = calloc(1, sizeof *admission);
  int r;

  if (!admission)
    abort();
  keyring_path(config, admission->path);
  admission->told = limiter_new(TOLD_AT_ONCE, TOLD_US);
  admission->begun = limiter_new(BEGUN_AT_ONCE, BEGUN_US);
  r = ring_new(&admission->ring, admission->path, errors);
  if (r == 0)
    r = read_own(admission, config, own_name, errors);
  if (r == 0)
    *ret = TAKE(admission);
  return r;
}

void admission_destroy(Admission **p) {
  Admission *admission = TAKE(*p);

  if (!admission)
    return;
  key_unref(&admission->own);
  ring_destroy(&admission->ring);
  ring_destroy(&admission->old);
  limiter_destroy(&admission->told);
  limiter_destroy(&admission->begun);
  free(admission);
}

int admission_reload(Admission *admission, Buffer *errors) {
  Ring *fresh = NULL;
  int r = ring_new(&fresh, admission->path, errors);

  if (r != 0)
    return r;
  ring_destroy(&admission->old);
  admission->old = admission->ring;
  admission->ring = fresh;
  return 0;
}

void admission_forget_old(Admission *admission) {
  ring_destroy(&admission->old);
}

/* --- asked --- */

KeyPair *admission_key(const Admission *admission) {
  return admission->own;
}

int admission_find(const Admission *admission, const char *name, PublicKey *ret) {
  const KeyringKey *key = keyring_find(admission->ring->keyring, name);

  return key && !key->revoked && public_key_read(text_of(key->public), ret) == 0 ? 0 : ADMISSION_E_KEYS;
}

/* A key that comes again and again is told of three times, and then once a minute. */
static void tell_refused(Admission *admission, PublicKey key, const Row *row) {
  char text[KEY_TEXT_SIZE];

  if (public_key_equal(key, admission->expected) || !limiter_take(admission->told, hash_of(key), clock_monotonic_us()))
    return;
  if (row)
    log_warning("PONS-KEY-REFUSED", "the key %s %s and was refused", row->about->name,
                row->about->revoked ? "is revoked" : "is not for this door");
  else
    log_warning("PONS-KEY-REFUSED", "a foreign key was refused: %s is not in keys.yaml", public_key_print(key, text));
}

static bool admit(Admission *admission, PublicKey key, const char *role) {
  const Row *row = find(admission->ring, key);

  if (row && !row->about->revoked && strcmp(row->about->role, role) == 0)
    return true;
  tell_refused(admission, key, row);
  return false;
}

static bool admit_client(void *userdata, PublicKey key) {
  return admit(userdata, key, "client");
}

static bool admit_broker(void *userdata, PublicKey key) {
  return admit(userdata, key, "broker");
}

static bool begin(void *userdata, PublicKey key) {
  Admission *admission = userdata;
  uint64_t now_us = clock_monotonic_us();
  const Row *row = find(admission->ring, key);

  if (limiter_take(admission->begun, hash_of(key), now_us))
    return true;
  if (row && limiter_take(admission->told, hash_of(key), now_us))
    log_warning("PONS-KEY-REFUSED", "the key %s connects too often and was refused: over %d at once, 64 per second",
                row->about->name, BEGUN_AT_ONCE);
  return false;
}

SocketGate admission_bus_gate(Admission *admission) {
  return (SocketGate){admit_client, begin, admission};
}

SocketGate admission_peer_gate(Admission *admission) {
  return (SocketGate){admit_broker, begin, admission};
}

int admission_identify(const Admission *admission, PublicKey key, CoreIdentity *ret) {
  const Row *row = find(admission->ring, key);

  if (!row || row->about->revoked)
    return ADMISSION_E_KEYS;
  memcpy(&ret->fingerprint, key.bytes, sizeof ret->fingerprint);
  ret->fingerprint |= 1; /* 0 is nobody */
  ret->key = row->about->name;
  ret->rights = row->rights;
  return 0;
}

void admission_expect(Admission *admission, PublicKey key) {
  admission->expected = key;
}
