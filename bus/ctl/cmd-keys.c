/* The keys of a fleet. Running brokers of this machine notice by themselves that keys.yaml has changed. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

#include "bus/ctl/command.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/jsontext.h"
#include "bus/ctl/keyfolder.h"

/* --- shown --- */

static json_t *list_json(char *const *list, uint32_t count) {
  json_t *array = json_array();

  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(array, jsontext_new(text_of(list[i])));
  return array;
}

static json_t *key_json(const KeyFolder *folder, const KeyringKey *key) {
  return json_pack("{s:s, s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:o}", "name", key->name, "public", key->public, "role",
                   key->role, "revoked", key->revoked, "secret_here", keyfolder_has_secret(folder, key->name), "call",
                   list_json(key->call, key->call_count), "serve", list_json(key->serve, key->serve_count), "publish",
                   list_json(key->publish, key->publish_count), "subscribe",
                   list_json(key->subscribe, key->subscribe_count));
}

static void list_cell(Grid *grid, char *const *list, uint32_t count) {
  _cleanup_(buffer_done) Buffer text = {0};

  for (uint32_t i = 0; i < count; i++)
    buffer_printf(&text, "%s%s", i ? " " : "", list[i]);
  grid_cell(grid, "%.*s", (int)text.size, text.size ? (const char *)text.data : "");
}

static void print_keys(const KeyFolder *folder, Buffer *ret) {
  static const GridColumn columns[] = {{"KEY", GRID_LEFT},       {"ROLE", GRID_LEFT},  {"STATE", GRID_LEFT},
                                       {"SERVE", GRID_LEFT},     {"CALL", GRID_LEFT},  {"PUBLISH", GRID_LEFT},
                                       {"SUBSCRIBE", GRID_LEFT}, {"PUBLIC", GRID_LEFT}};
  _cleanup_(grid_done) Grid grid;

  grid_init(&grid, columns, ELEMENTS(columns));
  for (uint32_t i = 0; i < folder->keyring->keys_count; i++) {
    const KeyringKey *key = &folder->keyring->keys[i];

    grid_cell(&grid, "%s", key->name);
    grid_cell(&grid, "%s", key->role);
    grid_cell(&grid, "%s", key->revoked ? "revoked" : keyfolder_has_secret(folder, key->name) ? "here" : "elsewhere");
    list_cell(&grid, key->serve, key->serve_count);
    list_cell(&grid, key->call, key->call_count);
    list_cell(&grid, key->publish, key->publish_count);
    list_cell(&grid, key->subscribe, key->subscribe_count);
    grid_cell(&grid, "%s", key->public);
  }
  grid_print(&grid, ret);
}

static CtlExit list(const Ctl *ctl, const KeyFolder *folder) {
  _cleanup_(buffer_done) Buffer text = {0};
  json_t *keys = json_array();

  for (uint32_t i = 0; i < folder->keyring->keys_count; i++)
    json_array_append_new(keys, key_json(folder, &folder->keyring->keys[i]));
  if (ctl->options.json) {
    ctl_write_json(ctl, json_pack("{s:o}", "keys", keys));
    return CTL_OK;
  }
  json_decref(keys);
  print_keys(folder, &text);
  ctl_write(&text);
  return CTL_OK;
}

static CtlExit show_one(const Ctl *ctl, const KeyFolder *folder, const KeyringKey *key) {
  if (ctl->options.json)
    ctl_write_json(ctl, key_json(folder, key));
  else
    printf("%s %s\n", key->name, key->public);
  return CTL_OK;
}

/* --- changed --- */

static CtlExit fail(const Buffer *errors) {
  ctl_say_lines(errors);
  return CTL_FAILED;
}

/* Adds a key that init makes, unless it is there. Returns 1, 0, or negative when it can't be. */
static int make(KeyFolder *folder, const char *name, const char *role, bool is_agent, Buffer *errors) {
  KeyringKey *key = NULL;
  int r =
      keyring_find(folder->keyring, name) ? KEYFOLDER_E_THERE : keyfolder_add(folder, name, NULL, role, &key, errors);

  if (r == KEYFOLDER_E_THERE)
    return 0;
  if (r != 0)
    return -1;
  if (is_agent)
    keyfolder_allow_agent(key);
  return 1;
}

/* Whoever gives orders calls everything, also what no star includes, and offers nothing. */
static int make_operator(KeyFolder *folder, const char *site, Buffer *errors) {
  char name[KEYRING_NAME_SIZE];
  int r = make(folder, keyring_client_name("pons", site, name), "client", true, errors);
  KeyringKey *key = r > 0 ? keyring_find(folder->keyring, name) : NULL;

  while (key && key->serve_count > 0)
    free(key->serve[--key->serve_count]);
  if (key)
    keyring_allow(&key->call, &key->call_count, TEXT("pons.durable.show"));
  return r;
}

static CtlExit init(const Ctl *ctl, KeyFolder *folder) {
  _cleanup_(buffer_done) Buffer errors = {0};
  const Config *config = ctl->config;
  char name[KEYRING_NAME_SIZE];
  int made = 0;
  int r = make(folder, keyring_broker_name(config->broker.name, name), "broker", false, &errors);

  made += r;
  if (r >= 0 && config->other_broker.run)
    made += r = make(folder, keyring_broker_name(config->other_broker.name, name), "broker", false, &errors);
  if (r >= 0)
    made += r = make_operator(folder, config->site, &errors);
  for (uint32_t i = 0; r >= 0 && i < config->agents_count; i++)
    made += r = make(folder, keyring_client_name(config->agents[i].name, config->site, name), "client", true, &errors);
  if (r < 0 || keyfolder_save(folder, &errors) != 0)
    return fail(&errors);
  if (ctl->options.json)
    ctl_write_json(ctl, json_pack("{s:s, s:i}", "folder", config->keys.dir, "made", made));
  else
    printf("%d keys were made in %s\n", made, config->keys.dir);
  return CTL_OK;
}

/* What an option says, between commas. */
static void allow(char ***rights, uint32_t *count, const char *patterns) {
  for (const char *at = patterns ? patterns : ""; *at; at += strcspn(at, ","), at += *at == ',')
    if (strcspn(at, ",") > 0)
      keyring_allow(rights, count, (Text){at, strcspn(at, ",")});
}

static void allow_as_told(const Options *options, KeyringKey *key) {
  bool told = options->call || options->serve || options->publish || options->subscribe;

  if (!told && strcmp(key->role, "client") == 0)
    keyfolder_allow_agent(key);
  allow(&key->call, &key->call_count, options->call);
  allow(&key->serve, &key->serve_count, options->serve);
  allow(&key->publish, &key->publish_count, options->publish);
  allow(&key->subscribe, &key->subscribe_count, options->subscribe);
}

static CtlExit add(const Ctl *ctl, KeyFolder *folder, const char *name) {
  _cleanup_(buffer_done) Buffer errors = {0};
  const Options *options = &ctl->options;
  KeyringKey *key = NULL;
  int r = keyfolder_add(folder, name, options->public, options->role ? options->role : "client", &key, &errors);

  if (r == KEYFOLDER_E_THERE) {
    ctl_say("there is a key %s; revoke it first, or change its rights in keys.yaml", name);
    return CTL_FAILED;
  }
  if (r == 0)
    allow_as_told(options, key);
  if (r != 0 || keyfolder_save(folder, &errors) != 0)
    return fail(&errors);
  return show_one(ctl, folder, key);
}

static CtlExit revoke_key(const Ctl *ctl, KeyFolder *folder, const char *name) {
  _cleanup_(buffer_done) Buffer errors = {0};
  int r = keyfolder_revoke(folder, name, &errors);

  if (r == KEYFOLDER_E_NONE) {
    ctl_say("there is no key %s; `pons keys list` shows them", name);
    return CTL_FAILED;
  }
  if (keyfolder_save(folder, &errors) != 0 || r != 0)
    return fail(&errors);
  if (!ctl->options.json)
    ctl_say("brokers that run on this machine notice by themselves; copy keys.yaml to the others");
  return show_one(ctl, folder, keyring_find(folder->keyring, name));
}

/* --- the command --- */

/* Names and roles come from a person. What keys.yaml would refuse must not be written there. */
static CtlExit check_words(const Ctl *ctl, const char *name) {
  const char *role = ctl->options.role;
  size_t size = strlen(name);

  if (size == 0 || size > 63 ||
      strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.-") < size) {
    ctl_say("'%s' is no name of a key: 1 to 63 of A-Z a-z 0-9 _ . -", name);
    return CTL_USAGE;
  }
  if (role && strcmp(role, "client") != 0 && strcmp(role, "broker") != 0 && strcmp(role, "witness") != 0) {
    ctl_say("--role is client, broker or witness");
    return CTL_USAGE;
  }
  return CTL_OK;
}

static CtlExit usage(const char *what) {
  ctl_say("`pons keys` has no '%s' with that; usage: pons keys init | list | add NAME | revoke NAME", what);
  return CTL_USAGE;
}

static CtlExit say_no_folder(void) {
  ctl_say("this configuration has no keys: write `keys: {dir: keys}` into pons.yaml, then `pons keys init`");
  return CTL_USAGE;
}

static CtlExit run(const Ctl *ctl, KeyFolder *folder, const char *what, const char *name) {
  if (strcmp(what, "init") == 0)
    return init(ctl, folder);
  if (strcmp(what, "list") == 0)
    return list(ctl, folder);
  return strcmp(what, "add") == 0 ? add(ctl, folder, name) : revoke_key(ctl, folder, name);
}

/* Two that change keys.yaml at one time would each write what the other has not: they take turns, until the folder is closed. Returns -1 where
   there is none yet. */
static int take_turn(const Config *config, bool may_be_new) {
  int folder;

  if (may_be_new)
    folder_make(config->keys.dir); /* what is wrong with it is said when it is opened */
  folder = open(config->keys.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  while (folder >= 0 && flock(folder, LOCK_EX) < 0 && errno == EINTR)
    continue;
  return folder;
}

static CtlExit open_and_run(const Ctl *ctl, const char *what, const char *name) {
  bool is_init = strcmp(what, "init") == 0;
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(keyfolder_done) KeyFolder folder = {0};
  int r = keyfolder_open(&folder, ctl->config, is_init, &errors);

  if (r == KEYFOLDER_E_NONE) {
    ctl_say("%s has no keys.yaml; `pons keys init` makes it", ctl->config->keys.dir);
    return CTL_FAILED;
  }
  return r == 0 ? run(ctl, &folder, what, name) : fail(&errors);
}

CtlExit cmd_keys(Ctl *ctl) {
  const char *what = ctl->options.arguments[0];
  const char *name = ctl->options.argument_count > 1 ? ctl->options.arguments[1] : NULL;
  bool needs_name = strcmp(what, "add") == 0 || strcmp(what, "revoke") == 0;
  bool is_init = strcmp(what, "init") == 0;
  CtlExit status;
  int turn;

  if ((!needs_name && !is_init && strcmp(what, "list") != 0) || needs_name != (name != NULL))
    return usage(what);
  status = ctl_load_config(ctl);
  if (status == CTL_OK && name)
    status = check_words(ctl, name);
  if (status != CTL_OK)
    return status;
  if (!keyring_is_wanted(ctl->config))
    return say_no_folder();
  turn = take_turn(ctl->config, is_init);
  status = open_and_run(ctl, what, name);
  if (turn >= 0)
    close(turn);
  return status;
}
