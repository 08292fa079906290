/* A secret lives in memory from config_secret_read to config_secret_destroy and nowhere else: no Buffer that could grow
   and leave a copy behind, no stdio. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/config/config.h"

#define SECRET_MAX_BYTES 65536

static int refuse(Buffer *errors, const char *kind, const char *name, const char *what) {
  buffer_printf(errors, "secret from %s%s%s: %s\n", kind, *name ? " " : "", name, what);
  return CONFIG_E_SECRET;
}

static void trim(char *secret, size_t size_bytes) {
  while (size_bytes && (secret[size_bytes - 1] == '\n' || secret[size_bytes - 1] == '\r'))
    secret[--size_bytes] = '\0';
}

/* Reads until room is full or the file ends. Returns the bytes read or negative errno. */
static ssize_t read_all(int file, char *data, size_t room_bytes) {
  size_t size = 0;

  while (size < room_bytes) {
    ssize_t r = read(file, data + size, room_bytes - size);

    if (r < 0 && errno == EINTR)
      continue;
    if (r < 0)
      return -errno;
    if (r == 0)
      break;
    size += (size_t)r;
  }
  return (ssize_t)size;
}

static int read_content(int file, const char *path, char **ret, Buffer *errors) {
  size_t room = SECRET_MAX_BYTES + 2;
  char *secret = calloc(1, room);
  const char *what = NULL;
  ssize_t size;

  if (!secret)
    return -ENOMEM;
  size = read_all(file, secret, room - 1);
  if (size < 0)
    what = "can't be read";
  else if (size > SECRET_MAX_BYTES)
    what = "is larger than 64 KiB; name the file that holds the secret and nothing else";
  else if (memchr(secret, '\0', (size_t)size))
    what = "holds a NUL byte; write the secret as text";
  else
    trim(secret, (size_t)size);
  if (!what && !*secret)
    what = "is empty; write the secret into it";
  if (what) {
    explicit_bzero(secret, room);
    free(secret);
    return refuse(errors, "file", path, what);
  }
  *ret = secret;
  return 0;
}

static int read_file(const char *path, char **ret, Buffer *errors) {
  struct stat status;
  int file;
  int r;

  file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* O_NONBLOCK: a FIFO must not hold us */
  if (file < 0)
    return refuse(errors, "file", path,
                  errno == ENOENT   ? "there is no such file; create it with mode 600, or correct the path"
                  : errno == EACCES ? "may not be read by this user; change its owner or run as its owner"
                                    : "can't be opened");
  if (fstat(file, &status) < 0 || !S_ISREG(status.st_mode))
    r = refuse(errors, "file", path, "is no regular file; name one");
  else if (status.st_mode & S_IRWXO)
    r = refuse(errors, "file", path,
               "is open to everybody on this machine; run `chmod 600` on it and consider the secret known");
  else if (status.st_mode & S_IWGRP)
    r = refuse(errors, "file", path, "may be written by its group; run `chmod g-w` on it");
  else
    r = read_content(file, path, ret, errors);
  close(file);
  return r;
}

int config_secret_read(const ConfigSecret *secret, char **ret, Buffer *errors) {
  const char *value;

  if (secret->file)
    return read_file(secret->file, ret, errors);
  if (!secret->env)
    return refuse(errors, "nowhere", "", "there is no reference to a secret here");
  value = getenv(secret->env);
  if (!value || !*value)
    return refuse(errors, "environment", secret->env,
                  value ? "is empty; set it" : "is not set; set it before the start");
  *ret = strdup(value);
  return *ret ? 0 : -ENOMEM;
}

void config_secret_destroy(char **secret) {
  char *gone = TAKE(*secret);

  if (gone)
    explicit_bzero(gone, strlen(gone));
  free(gone);
}

static bool is_set(const ConfigSecret *secret) {
  return secret->file || secret->env;
}

bool config_section_secret(const Config *config, const char *section, uint32_t index, ConfigPlacedSecret *ret) {
  const ConfigGateway *gateway = &config->gateway;

  *ret = (ConfigPlacedSecret){.secret = NULL};
  if (strcmp(section, "gateway") == 0 && index < gateway->keys_count) {
    snprintf(ret->place, sizeof ret->place, "gateway.keys, %s", gateway->keys[index].name);
    ret->secret = &gateway->keys[index].secret;
  }
  for (uint32_t i = 0; strcmp(section, "providers") == 0 && i < config->providers_count; i++) {
    if (!is_set(&config->providers[i].key) || index-- > 0)
      continue;
    snprintf(ret->place, sizeof ret->place, "providers, %s", config->providers[i].name);
    ret->secret = &config->providers[i].key;
    break;
  }
  if (strcmp(section, "local_llm") == 0 && index == 0 && is_set(&config->local_llm.key)) {
    snprintf(ret->place, sizeof ret->place, "local_llm.key");
    ret->secret = &config->local_llm.key;
  }
  return ret->secret != NULL;
}

/* Reads one secret and drops it again; what is wrong goes into errors behind who wants it. */
static int try_secret(const Config *config, const char *agent, const char *place, const ConfigSecret *secret,
                      Buffer *errors) {
  _cleanup_(buffer_done) Buffer why = {0};
  char *value = NULL;
  int r = config_secret_read(secret, &value, &why);

  config_secret_destroy(&value);
  if (r > 0)
    buffer_printf(errors, "%s: agent %s, %s: %.*s", config->source, agent, place, (int)why.size,
                  (const char *)why.data);
  return r;
}

static const char *section_of(const ConfigCatalog *catalog, const char *agent) {
  for (size_t i = 0; catalog[i].name; i++)
    if (strcmp(catalog[i].name, agent) == 0)
      return catalog[i].secrets;
  return "";
}

static int check_agent(const Config *config, const ConfigAgent *agent, const char *section, Buffer *errors) {
  ConfigPlacedSecret placed;
  int result = 0;

  for (uint32_t i = 0; i < agent->environment_count; i++) {
    const ConfigVariable *variable = &agent->environment[i];
    int r = variable->value ? 0 : try_secret(config, agent->name, variable->name, &variable->secret, errors);

    if (r < 0)
      return r;
    result = r ? r : result;
  }
  for (uint32_t i = 0; config_section_secret(config, section, i, &placed); i++) {
    int r = try_secret(config, agent->name, placed.place, placed.secret, errors);

    if (r < 0)
      return r;
    result = r ? r : result;
  }
  return result;
}

int config_check_secrets(const Config *config, const ConfigCatalog *catalog, Buffer *errors) {
  int result = 0;

  for (uint32_t i = 0; i < config->agents_count; i++) {
    const ConfigAgent *agent = &config->agents[i];
    int r = agent->enabled ? check_agent(config, agent, section_of(catalog, agent->name), errors) : 0;

    if (r < 0)
      return r;
    result = r ? r : result;
  }
  return result;
}
