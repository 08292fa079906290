/* A secret lives in memory from config_secret_read to config_secret_destroy and nowhere else: no Buffer that could grow
   and leave a copy behind, no stdio. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
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

/* guarded: whoever put the file there guards its folder, as systemd and Docker do. */
static int read_file(const char *path, bool guarded, char **ret, Buffer *errors) {
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
  else if (status.st_mode & (guarded ? S_IWOTH : S_IRWXO))
    r = refuse(errors, "file", path,
               "is open to everybody on this machine; run `chmod 600` on it and consider the secret known");
  else if (status.st_mode & S_IWGRP)
    r = refuse(errors, "file", path, "may be written by its group; run `chmod g-w` on it");
  else
    r = read_content(file, path, ret, errors);
  close(file);
  return r;
}

bool config_secret_is_set(const ConfigSecret *secret) {
  return secret->file || secret->env || secret->credential;
}

const char *config_secret_path(const ConfigSecret *secret, char ret[CONFIG_PATH_SIZE]) {
  const char *folder = getenv("CREDENTIALS_DIRECTORY");

  if (!secret->file && !secret->credential)
    return NULL;
  if (secret->file)
    snprintf(ret, CONFIG_PATH_SIZE, "%s", secret->file);
  else
    snprintf(ret, CONFIG_PATH_SIZE, "%s/%s", folder && *folder ? folder : "/run/secrets", secret->credential);
  return ret;
}

const char *config_secret_name(const ConfigSecret *secret) {
  const char *slash = secret->file ? strrchr(secret->file, '/') : NULL;

  if (secret->file)
    return slash ? slash + 1 : secret->file;
  return secret->env ? secret->env : secret->credential ? secret->credential : "";
}

/* Memory is what a core dump is made of, and a secret is copied in many places of it: by libcurl, by TLS, by the kernel. */
static void keep_out_of_dumps(void) {
  static _Atomic bool done;
  int file;

  if (atomic_exchange(&done, true))
    return;
  file = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);
  if (file < 0)
    return; /* a kernel without core dumps */
  (void)!write(file, "0", 1);
  close(file);
}

int config_secret_read(const ConfigSecret *secret, char **ret, Buffer *errors) {
  char path[CONFIG_PATH_SIZE];
  const char *value;

  keep_out_of_dumps();
  if (config_secret_path(secret, path))
    return read_file(path, secret->credential != NULL, ret, errors);
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

const ConfigSecret *config_provider_secret(const ConfigProvider *provider, uint32_t index) {
  bool has_key = config_secret_is_set(&provider->key);

  if (has_key && index == 0)
    return &provider->key;
  index -= has_key;
  return index < provider->keys_count ? &provider->keys[index] : NULL;
}

bool config_section_secret(const Config *config, const char *section, uint32_t index, ConfigPlacedSecret *ret) {
  const ConfigGateway *gateway = &config->gateway;

  *ret = (ConfigPlacedSecret){.secret = NULL};
  if (strcmp(section, "gateway") == 0 && index < gateway->keys_count) {
    snprintf(ret->place, sizeof ret->place, "gateway.keys, %s", gateway->keys[index].name);
    ret->secret = &gateway->keys[index].secret;
  }
  for (uint32_t i = 0; strcmp(section, "providers") == 0 && i < config->providers_count && !ret->secret; i++) {
    const ConfigProvider *provider = &config->providers[i];
    uint32_t count = provider->keys_count + config_secret_is_set(&provider->key);

    ret->secret = config_provider_secret(provider, index);
    if (ret->secret)
      snprintf(ret->place, sizeof ret->place, "providers, %s", provider->name);
    index -= count;
  }
  if (strcmp(section, "local_llm") == 0 && index == 0 && config_secret_is_set(&config->local_llm.key)) {
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
