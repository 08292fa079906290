#include "bus/config/keyring.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/config/check-internal.h"

bool keyring_is_wanted(const Config *config) {
  return config->keys.dir != NULL;
}

const char *keyring_path(const Config *config, char ret[CONFIG_PATH_SIZE]) {
  snprintf(ret, CONFIG_PATH_SIZE, "%s/keys.yaml", config->keys.dir);
  return ret;
}

const char *keyring_secret_path(const Config *config, const char *name, char ret[CONFIG_PATH_SIZE]) {
  snprintf(ret, CONFIG_PATH_SIZE, "%s/%s.key", config->keys.dir, name);
  return ret;
}

const char *keyring_broker_name(const char *broker, char ret[KEYRING_NAME_SIZE]) {
  snprintf(ret, KEYRING_NAME_SIZE, "broker.%s", broker);
  return ret;
}

const char *keyring_client_name(const char *agent, const char *site, char ret[KEYRING_NAME_SIZE]) {
  snprintf(ret, KEYRING_NAME_SIZE, "%s.%s", agent, site);
  return ret;
}

/* --- from the file --- */

static void check_unique(Report *report, const Keyring *keyring, const Tree *tree) {
  for (uint32_t i = 0; i < keyring->keys_count; i++)
    for (uint32_t k = 0; k < i; k++) {
      bool same_name = strcmp(keyring->keys[i].name, keyring->keys[k].name) == 0;
      char path[KEY_PATH_SIZE];
      const Node *node;

      if (!same_name && strcmp(keyring->keys[i].public, keyring->keys[k].public) != 0)
        continue;
      snprintf(path, sizeof path, "keys[%u].%s", i, same_name ? "name" : "public");
      node = tree_find(tree, path);
      report_line(report, node ? node->line : 0, node ? node->column : 0, path,
                  "stands here a second time; keys[%u] has it already", k);
    }
}

static int read_tree(Report *report, Bytes bytes, const Tree *tree, Keyring **ret) {
  _cleanup_(keyring_destroy) Keyring *keyring = NULL;
  void *filled = NULL;
  int r;

  check_keys(report, tree, mapping_keyring);
  if (report->count)
    return CONFIG_E_INVALID;
  r = file_fill(report, bytes, tree, schema_keyring, sizeof *keyring, &filled);
  if (r != 0)
    return r;
  keyring = filled;
  defaults_apply(mapping_keyring, tree_root(tree), keyring);
  check_unique(report, keyring, tree);
  if (report->count)
    return CONFIG_E_INVALID;
  *ret = TAKE(keyring);
  return 0;
}

/* A file that is not there is one that nobody has made yet. */
static int read_file(const char *path, Buffer *bytes, Buffer *errors) {
  if (access(path, F_OK) == 0 || errno != ENOENT)
    return file_read(path, bytes, errors);
  buffer_printf(errors, "%s: there are no keys yet; `pons keys init` makes them\n", path);
  return -ENOENT;
}

int keyring_load(const char *path, Keyring **ret, Buffer *errors) {
  _cleanup_(buffer_done) Buffer bytes = {0};
  _cleanup_(tree_destroy) Tree *tree = NULL;
  Report report = {.file = path, .errors = errors};
  int r = read_file(path, &bytes, errors);

  if (r == 0)
    r = tree_new(&tree, path, buffer_bytes(&bytes), errors);
  if (r == 0)
    r = read_tree(&report, buffer_bytes(&bytes), tree, ret);
  report_end(&report);
  return r;
}

static bool has(const Keyring *keyring, const char *name) {
  const KeyringKey *key = keyring_find(keyring, name);

  return key && !key->revoked;
}

/* Those with whom a broker of a pair talks, and how to come by them. */
static int check_peers(const Config *config, const Keyring *keyring, const char *path, Buffer *errors) {
  char peer[KEYRING_NAME_SIZE];
  int r = 0;

  if (!has(keyring, keyring_broker_name(config->other_broker.name, peer))) {
    buffer_printf(
        errors,
        "%s: has no key %s (other_broker.name), with whom this broker is to talk; `pons keys init` on its machine "
        "makes one, then copy keys.yaml\n",
        path, peer);
    r = CONFIG_E_INVALID;
  }
  if (config->authority.witness && !has(keyring, KEYRING_WITNESS)) {
    buffer_printf(errors,
                  "%s: has no key " KEYRING_WITNESS
                  ", with whom this broker is to talk; `pons keys add " KEYRING_WITNESS
                  " --role witness` where it runs makes one, then copy keys.yaml\n",
                  path);
    r = CONFIG_E_INVALID;
  }
  return r;
}

int keyring_check(const Config *config, Buffer *errors) {
  _cleanup_(keyring_destroy) Keyring *keyring = NULL;
  const char *node = config->authority.node;
  char path[CONFIG_PATH_SIZE];
  int r;

  if (!keyring_is_wanted(config))
    return 0;
  r = keyring_load(keyring_path(config, path), &keyring, errors);
  if (r == 0 && (strcmp(node, "a") == 0 || strcmp(node, "b") == 0))
    r = check_peers(config, keyring, path, errors);
  return r;
}

void keyring_print(const Keyring *keyring, Buffer *ret) {
  buffer_printf(
      ret, "# Public keys and rights. It has no secrets; every machine has the same one. `pons keys` writes it.\n");
  mapping_print(ret, mapping_keyring, keyring);
}

/* --- in memory --- */

static void *must(void *memory) {
  if (!memory)
    abort();
  return memory;
}

Keyring *keyring_new(void) {
  return must(calloc(1, sizeof(Keyring)));
}

void keyring_destroy(Keyring **keyring) {
  file_free(schema_keyring, TAKE(*keyring));
}

KeyringKey *keyring_find(const Keyring *keyring, const char *name) {
  for (uint32_t i = 0; i < keyring->keys_count; i++)
    if (strcmp(keyring->keys[i].name, name) == 0)
      return &keyring->keys[i];
  return NULL;
}

KeyringKey *keyring_add(Keyring *keyring, const char *name, const char *public, const char *role) {
  KeyringKey *key;

  keyring->keys = must(realloc(keyring->keys, (keyring->keys_count + 1) * sizeof *key));
  key = &keyring->keys[keyring->keys_count++];
  *key = (KeyringKey){.name = must(strdup(name)), .public = must(strdup(public)), .role = must(strdup(role))};
  return key;
}

static void free_list(char **list, uint32_t count) {
  for (uint32_t i = 0; i < count; i++)
    free(list[i]);
  free(list);
}

void keyring_remove(Keyring *keyring, KeyringKey *key) {
  size_t behind = (size_t)(&keyring->keys[keyring->keys_count] - key) - 1;

  free(key->name);
  free(key->public);
  free(key->role);
  free_list(key->call, key->call_count);
  free_list(key->serve, key->serve_count);
  free_list(key->publish, key->publish_count);
  free_list(key->subscribe, key->subscribe_count);
  memmove(key, key + 1, behind * sizeof *key);
  keyring->keys_count--;
}

void keyring_allow(char ***list, uint32_t *count, Text pattern) {
  *list = must(realloc(*list, (*count + 1) * sizeof **list));
  (*list)[(*count)++] = must(strndup(pattern.data, pattern.size));
}
