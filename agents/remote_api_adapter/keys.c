/* A key is its reference for as long as the process lives, and a value that may change under it: people replace a key by
   renaming a new file over the old one. Looking at the file costs a microsecond, so there is no watch that could be lost. */
#include "agents/remote_api_adapter/keys.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bus/base/clock.h"
#include "bus/base/log.h"

enum {
  CHECK_US = 1000000,
  SHORTEST = 4, /* what is shorter is no secret, and would blot out half of a sentence */
};

/* Which content of a file it was. */
typedef struct Version {
  dev_t device;
  ino_t inode;
  off_t size;
  struct timespec changed;
} Version;

struct Key {
  const ConfigSecret *reference;
  char *secret; /* NULL: it can't be had */
  char *before; /* the value before: an answer may still name it */
  uint32_t generation;
  DialectMemo memo; /* of secret */
  Version version;
  Buffer trouble; /* why it can't be had */
};

/* --- the files --- */

/* The version of the key's file now. Returns false when it is no file, or none that can be looked at. */
static bool look(const Key *key, Version *ret) {
  char path[CONFIG_PATH_SIZE];
  struct stat status;

  if (!config_secret_path(key->reference, path) || stat(path, &status) < 0)
    return false;
  *ret = (Version){status.st_dev, status.st_ino, status.st_size, status.st_ctim};
  return true;
}

static bool is_same(const Version *a, const Version *b) {
  return a->device == b->device && a->inode == b->inode && a->size == b->size &&
         a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

/* Reads a key anew. What can't be read leaves the value that was there: a file that is being replaced is nobody's fault. */
static int read_key(Keys *keys, uint32_t index) {
  Key *key = &keys->list[index];
  bool had_trouble = key->trouble.size > 0;
  char *secret = NULL;
  int r;

  buffer_clear(&key->trouble);
  r = config_secret_read(key->reference, &secret, &key->trouble);
  while (key->trouble.size > 0 && key->trouble.data[key->trouble.size - 1] == '\n')
    key->trouble.size--;
  if (r != 0 && !had_trouble)
    log_error("PONS-PROVIDER-KEY", "provider %s: key %s can't be had: %.*s", keys->provider->name,
              config_secret_name(key->reference), (int)key->trouble.size, (const char *)key->trouble.data);
  if (r != 0)
    return r < 0 ? r : 0;
  if (key->secret && strcmp(key->secret, secret) == 0) {
    config_secret_destroy(&secret);
    return 0;
  }
  if (key->secret || had_trouble)
    log_info("PONS-PROVIDER-KEY-NEW", "provider %s: key %s has a new value", keys->provider->name,
             config_secret_name(key->reference));
  config_secret_destroy(&key->before);
  key->before = key->secret;
  key->secret = secret;
  key->generation++;
  explicit_bzero(&key->memo, sizeof key->memo);
  keys->turns[index].is_there = true;
  key_turns_heal(&keys->turns[index]);
  return 0;
}

/* Returns true when the key has another value now. */
static bool refresh(Keys *keys, uint32_t index) {
  Key *key = &keys->list[index];
  const char *before = key->secret;
  Version version;

  if (!look(key, &version) || is_same(&version, &key->version))
    return false;
  key->version = version;
  read_key(keys, index);
  return key->secret != before;
}

/* --- the life of all --- */

int keys_init(const ConfigProvider *provider, Keys *ret) {
  int r = 0;

  *ret = (Keys){.provider = provider, .last = KEY_NONE};
  while (config_provider_secret(provider, ret->count))
    ret->count++;
  ret->list = calloc(ret->count + 1, sizeof *ret->list);
  if (!ret->list)
    return -ENOMEM;
  for (uint32_t i = 0; i < ret->count && r == 0; i++) {
    Key *key = &ret->list[i];

    key->reference = config_provider_secret(provider, i);
    look(key, &key->version);
    r = read_key(ret, i);
  }
  return r;
}

void keys_done(Keys *keys) {
  for (uint32_t i = 0; keys->list && i < keys->count; i++) {
    config_secret_destroy(&keys->list[i].secret);
    config_secret_destroy(&keys->list[i].before);
    explicit_bzero(&keys->list[i].memo, sizeof keys->list[i].memo);
    buffer_done(&keys->list[i].trouble);
  }
  free(TAKE(keys->list));
}

/* --- turns --- */

int keys_take(Keys *keys, uint32_t tried, uint64_t now_us) {
  int key;

  if (now_us - keys->checked_us >= CHECK_US) {
    keys->checked_us = now_us;
    for (uint32_t i = 0; i < keys->count; i++)
      refresh(keys, i);
  }
  key = key_turns_pick(keys->turns, keys->count, keys->last, tried, tried == 0, now_us);
  if (key != KEY_NONE)
    keys->last = key;
  return key;
}

DialectKey keys_value(const Keys *keys, int key) {
  if (key == KEY_NONE)
    return (DialectKey){.secret = NULL};
  return (DialectKey){.secret = keys->list[key].secret, .memo = &keys->list[key].memo};
}

const char *keys_name(const Keys *keys, int key) {
  return config_secret_name(keys->list[key].reference);
}

uint32_t keys_generation(const Keys *keys, int key) {
  return key == KEY_NONE ? 0 : keys->list[key].generation;
}

/* Requests that were under way with a value that has been replaced are refused after the change, many at a time. */
bool keys_fail(Keys *keys, int key, uint32_t generation, Cause cause, uint64_t retry_after_us, uint64_t now_us) {
  KeyTurn *turn = &keys->turns[key];

  if (generation != keys->list[key].generation || refresh(keys, (uint32_t)key))
    return true;
  if (cause != CAUSE_RATE_LIMIT && (turn->failures == 0 || turn->cause != cause))
    log_warning("PONS-PROVIDER-KEY-REFUSED", "provider %s does not take key %s: %s; replace it or remove it",
                keys->provider->name, keys_name(keys, key), cause_about(cause));
  key_turns_fail(turn, cause, retry_after_us, now_us);
  return false;
}

void keys_work(Keys *keys, int key, uint32_t generation) {
  if (generation == keys->list[key].generation)
    key_turns_heal(&keys->turns[key]);
}

bool keys_are_missing(const Keys *keys) {
  for (uint32_t i = 0; i < keys->count; i++)
    if (keys->list[i].secret)
      return false;
  return keys->count > 0;
}

void keys_put_trouble(const Keys *keys, uint64_t now_us, Buffer *ret) {
  for (uint32_t i = 0; i < keys->count; i++) {
    const Key *key = &keys->list[i];
    const char *before = ret->size > 0 ? "; " : "";

    if (!key->secret)
      buffer_printf(ret, "%skey %s: %.*s", before, keys_name(keys, (int)i), (int)key->trouble.size,
                    (const char *)key->trouble.data);
    else if (keys->turns[i].until_us > now_us)
      buffer_printf(ret, "%skey %s is passed over for %" PRIu64 " s: %s", before, keys_name(keys, (int)i),
                    (keys->turns[i].until_us - now_us) / US_PER_S + 1, cause_about(keys->turns[i].cause));
  }
}

/* --- nowhere else --- */

static void redact_word(Text word, char *text, size_t size) {
  char *at;

  while (word.size >= SHORTEST && (at = memmem(text, size, word.data, word.size))) {
    memset(at, '*', word.size);
    size -= (size_t)(at - text) + word.size;
    text = at + word.size;
  }
}

static Text trim(Text text) {
  while (text.size > 0 && strchr(" \t\r", text.data[0]))
    text = (Text){text.data + 1, text.size - 1};
  while (text.size > 0 && strchr(" \t\r", text.data[text.size - 1]))
    text.size--;
  return text;
}

/* A key of several lines has `NAME = VALUE` in each, of which the value is secret. */
static void redact(const char *secret, char *text, size_t size) {
  bool has_names = secret && strpbrk(secret, " \n");

  for (const char *line = secret; line && *line; line += strcspn(line, "\n"), line += *line == '\n') {
    const char *end = line + strcspn(line, "\n");
    const char *equals = has_names ? memchr(line, '=', (size_t)(end - line)) : NULL;
    const char *value = equals ? equals + 1 : line;

    redact_word(trim((Text){value, (size_t)(end - value)}), text, size);
  }
}

void keys_redact(const Keys *keys, char *text, size_t size) {
  for (uint32_t i = 0; i < keys->count; i++) {
    redact(keys->list[i].secret, text, size);
    redact(keys->list[i].before, text, size);
  }
}
