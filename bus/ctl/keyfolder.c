#include "bus/ctl/keyfolder.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/ctl/folder.h"
#include "bus/loop/key.h"

static int wrong(Buffer *errors, const char *path, const char *why) {
  buffer_printf(errors, "%s: %s\n", path, why);
  return KEYFOLDER_E_INVALID;
}

int keyfolder_open(KeyFolder *ret, const Config *config, bool may_be_new, Buffer *errors) {
  char path[CONFIG_PATH_SIZE];
  int r = may_be_new ? folder_make(config->keys.dir) : 0;

  *ret = (KeyFolder){.config = config};
  if (r != 0)
    return wrong(errors, config->keys.dir, r < 0 ? strerror(-r) : "belongs to another user");
  if (access(keyring_path(config, path), F_OK) < 0 && errno == ENOENT) {
    ret->keyring = may_be_new ? keyring_new() : NULL;
    return may_be_new ? 0 : KEYFOLDER_E_NONE;
  }
  return keyring_load(path, &ret->keyring, errors) == 0 ? 0 : KEYFOLDER_E_INVALID;
}

void keyfolder_done(KeyFolder *folder) {
  keyring_destroy(&folder->keyring);
}

/* The file that is there, or a new one. */
static int have_secret(const KeyFolder *folder, const char *name, char ret[KEY_TEXT_SIZE], Buffer *errors) {
  _cleanup_(key_unref) KeyPair *key = NULL;
  char path[CONFIG_PATH_SIZE];
  int r = key_read(keyring_secret_path(folder->config, name, path), &key);

  if (r == -ENOENT) {
    key_new(&key);
    r = key_write(key, path);
  }
  if (r != 0)
    return wrong(errors, path, key_error(r));
  public_key_print(key_public(key), ret);
  return 0;
}

int keyfolder_add(KeyFolder *folder, const char *name, const char *public, const char *role, KeyringKey **ret,
                  Buffer *errors) {
  KeyringKey *old = keyring_find(folder->keyring, name);
  char text[KEY_TEXT_SIZE];
  int r = 0;

  if (old && !old->revoked)
    return KEYFOLDER_E_THERE;
  if (!public)
    r = have_secret(folder, name, text, errors);
  if (r != 0)
    return r;
  if (old)
    keyring_remove(folder->keyring, old);
  *ret = keyring_add(folder->keyring, name, public ? public : text, role);
  return 0;
}

/* model_manager_suite is the agent, ModelManagerSuite its service. */
static void service_of(const char *agent, size_t size, char ret[KEYRING_NAME_SIZE]) {
  size_t n = 0;
  bool up = true;

  for (size_t i = 0; i < size && n < KEYRING_NAME_SIZE - 1; i++) {
    if (agent[i] != '_')
      ret[n++] = up ? (char)toupper((unsigned char)agent[i]) : agent[i];
    up = agent[i] == '_';
  }
  ret[n] = '\0';
}

void keyfolder_allow_agent(KeyringKey *key) {
  size_t size = strcspn(key->name, ".");
  char service[KEYRING_NAME_SIZE];

  service_of(key->name, size, service);
  keyring_allow(&key->serve, &key->serve_count, (Text){key->name, size});
  keyring_allow(&key->serve, &key->serve_count, text_of(service));
  keyring_allow(&key->call, &key->call_count, TEXT("*"));
  keyring_allow(&key->publish, &key->publish_count, TEXT(">"));
  keyring_allow(&key->subscribe, &key->subscribe_count, TEXT(">"));
}

int keyfolder_revoke(KeyFolder *folder, const char *name, Buffer *errors) {
  KeyringKey *key = keyring_find(folder->keyring, name);
  char path[CONFIG_PATH_SIZE];

  if (!key)
    return KEYFOLDER_E_NONE;
  key->revoked = true;
  if (unlink(keyring_secret_path(folder->config, name, path)) < 0 && errno != ENOENT)
    return wrong(errors, path, strerror(errno));
  return 0;
}

bool keyfolder_has_secret(const KeyFolder *folder, const char *name) {
  char path[CONFIG_PATH_SIZE];

  return access(keyring_secret_path(folder->config, name, path), F_OK) == 0;
}

/* --- written --- */

static int write_file(const char *path, Bytes bytes) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  int r;

  if (fd < 0)
    return -errno;
  r = folder_write(fd, bytes);
  if (r == 0 && fsync(fd) < 0)
    r = -errno;
  if (close(fd) < 0 && r == 0)
    r = -errno;
  return r;
}

int keyfolder_save(const KeyFolder *folder, Buffer *errors) {
  _cleanup_(buffer_done) Buffer text = {0};
  char path[CONFIG_PATH_SIZE];
  char draft[CONFIG_PATH_SIZE + 8];
  int r;

  keyring_print(folder->keyring, &text);
  snprintf(draft, sizeof draft, "%s.new", keyring_path(folder->config, path));
  r = write_file(draft, buffer_bytes(&text));
  if (r == 0 && rename(draft, path) < 0)
    r = -errno;
  if (r == 0)
    return 0;
  unlink(draft);
  return wrong(errors, path, strerror(-r));
}
