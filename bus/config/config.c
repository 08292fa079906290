/* One load, in the order in which a person would want to hear of it: is there a file, is it YAML, does each line say
   something known and possible (all findings at once), do the PONS_ variables; then libcyaml fills the struct by the
   schema table, defaults and variables complete it, and what concerns several keys is checked last. */
#include "bus/config/keyring.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/config/check-internal.h"

#define BUILT_IN "built-in defaults"

static void on_cyaml_log(cyaml_log_t level, void *context, const char *format, va_list arguments) {
  Report *report = context;
  char text[256];

  (void)level;
  vsnprintf(text, sizeof text, format, arguments);
  text[strcspn(text, "\n")] = '\0';
  report_place(report, report->file, "%s", text);
}

static cyaml_config_t cyaml_settings(Report *report) {
  return (cyaml_config_t){.log_fn = report ? on_cyaml_log : NULL,
                          .log_ctx = report,
                          .mem_fn = cyaml_mem,
                          .log_level = CYAML_LOG_ERROR,
                          .flags = CYAML_CFG_NO_ALIAS};
}

/* Appends the file at path to bytes. Returns 0, negative errno, or CONFIG_E_INVALID when it is no configuration. */
static int read_open(int file, const char *path, Buffer *bytes, Buffer *errors) {
  struct stat status;

  if (fstat(file, &status) < 0)
    return -errno;
  if (!S_ISREG(status.st_mode)) {
    buffer_printf(errors, "%s: is no regular file; name a file\n", path);
    return CONFIG_E_INVALID;
  }
  for (;;) {
    ssize_t r = read(file, buffer_reserve(bytes, 16384), 16384);

    if (r < 0 && errno == EINTR)
      continue;
    if (r <= 0)
      return r < 0 ? -errno : 0;
    bytes->size += (size_t)r;
    if (bytes->size > TREE_MAX_BYTES) {
      buffer_printf(errors, "%s: is larger than 1 MiB; it can't be a configuration of pons\n", path);
      return CONFIG_E_INVALID;
    }
  }
}

int file_read(const char *path, Buffer *bytes, Buffer *errors) {
  int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  int r;

  if (file < 0) {
    r = -errno;
  } else {
    r = read_open(file, path, bytes, errors);
    close(file);
  }
  if (r < 0)
    buffer_printf(errors, "%s: can't be read: %s; correct the path or its permissions\n", path, strerror(-r));
  return r;
}

/* The first configuration that exists; NULL: none does. */
static const char *search(const char *path) {
  static const char *const places[] = {"pons.yaml", "/etc/pons/pons.yaml"};
  const char *chosen = path ? path : getenv("PONS_CONFIG");

  if (chosen && (path || *chosen))
    return chosen;
  for (size_t i = 0; i < ELEMENTS(places); i++)
    if (access(places[i], F_OK) == 0)
      return places[i];
  return NULL;
}

int file_fill(Report *report, Bytes bytes, const Tree *tree, const cyaml_schema_value_t *schema, size_t size_bytes,
              void **ret) {
  const cyaml_config_t settings = cyaml_settings(report);
  cyaml_data_t *data = NULL;
  cyaml_err_t r = CYAML_OK;

  if (tree_root(tree) && tree_root(tree)->children)
    r = cyaml_load_data(bytes.data, bytes.size, &settings, schema, &data, NULL);
  if (r != CYAML_OK) {
    report_place(report, report->file, "%s", cyaml_strerror(r));
    return r == CYAML_ERR_OOM ? -ENOMEM : CONFIG_E_INVALID;
  }
  if (!data)
    data = calloc(1, size_bytes);
  if (!data)
    return -ENOMEM;
  *ret = data;
  return 0;
}

void file_free(const cyaml_schema_value_t *schema, void *data) {
  const cyaml_config_t settings = cyaml_settings(NULL);

  if (data)
    cyaml_free(&settings, schema, data, 0);
}

/* Everything after the file has been read; file is NULL for the built-in defaults. */
static int build(Report *report, const char *file, Bytes bytes, const ConfigCatalog *catalog, Config **ret) {
  _cleanup_(tree_destroy) Tree *tree = NULL;
  _cleanup_(config_destroy) Config *config = NULL;
  void *filled = NULL;
  int r = tree_new(&tree, report->file, bytes, report->errors);

  if (r)
    return r;
  check_keys(report, tree, mapping_top);
  environment_check(report);
  if (report->count)
    return CONFIG_E_INVALID;
  r = file_fill(report, bytes, tree, schema_top, sizeof *config, &filled);
  if (r)
    return r;
  config = filled;
  config->source = text_format("%s", report->file);
  defaults_apply(mapping_top, tree_root(tree), config);
  environment_apply(config);
  defaults_work_out(config, file, catalog);
  r = price_list_apply(config, tree, report->errors);
  if (r < 0)
    return r;
  check_whole(report, config, tree, catalog);
  if (report->count || r)
    return CONFIG_E_INVALID;
  *ret = TAKE(config);
  return 0;
}

int config_load(const char *path, Config **ret, Buffer *errors) {
  return config_load_agents(path, NULL, ret, errors);
}

int config_load_agents(const char *path, const ConfigCatalog *catalog, Config **ret, Buffer *errors) {
  _cleanup_(buffer_done) Buffer bytes = {0};
  const char *file = search(path);
  Report report = {.file = file ? file : BUILT_IN, .errors = errors};
  int r = file ? file_read(file, &bytes, errors) : 0;

  if (r)
    return r;
  r = build(&report, file, buffer_bytes(&bytes), catalog, ret);
  report_end(&report);
  return r;
}

int config_load_and_tell(Config **ret) {
  _cleanup_(buffer_done) Buffer findings = {0};
  int r = config_load(NULL, ret, &findings);

  fwrite(findings.data, 1, findings.size, stderr);
  return r > 0 ? -EINVAL : r;
}

void config_destroy(Config **config) {
  Config *gone = TAKE(*config);

  if (!gone)
    return;
  free(gone->source);
  file_free(schema_top, gone);
}

const ConfigAgent *config_find_agent(const Config *config, const char *name) {
  for (uint32_t i = 0; i < config->agents_count; i++)
    if (strcmp(config->agents[i].name, name) == 0)
      return &config->agents[i];
  return NULL;
}

const ConfigModel *config_find_model(const Config *config, const char *name) {
  for (uint32_t i = 0; i < config->models_count; i++)
    if (strcmp(config->models[i].name, name) == 0)
      return &config->models[i];
  return NULL;
}

const ConfigProvider *config_find_provider(const Config *config, const char *name) {
  for (uint32_t i = 0; i < config->providers_count; i++)
    if (strcmp(config->providers[i].name, name) == 0)
      return &config->providers[i];
  return NULL;
}

/* The amount in units of 10^-decimals USD; what is below one is cut. */
static int read_price(const char *usd, int decimals, uint64_t *ret) {
  uint64_t units = 0;
  int digits = -1; /* behind the point; -1: not there yet */

  if (!usd)
    return CONFIG_E_UNKNOWN;
  for (; *usd && digits < decimals; usd++) {
    if (*usd == '.') {
      digits = 0;
      continue;
    }
    units = units * 10 + (uint64_t)(*usd - '0');
    digits += digits >= 0;
  }
  for (digits = digits < 0 ? 0 : digits; digits < decimals; digits++)
    units *= 10;
  *ret = units;
  return 0;
}

int config_price(const char *usd, uint64_t *ret) {
  return read_price(usd, 3, ret);
}

int config_price_pico(const char *usd, uint64_t *ret) {
  return read_price(usd, 6, ret);
}

const ConfigGroup *config_find_group(const Config *config, const char *name) {
  for (uint32_t i = 0; i < config->groups_count; i++)
    if (strcmp(config->groups[i].name, name) == 0)
      return &config->groups[i];
  return NULL;
}

const ConfigProfile *config_find_profile(const Config *config, const char *name) {
  for (uint32_t i = 0; i < config->profiles_count; i++)
    if (strcmp(config->profiles[i].name, name) == 0)
      return &config->profiles[i];
  return NULL;
}

bool config_profile_has(const ConfigProfile *profile, const ConfigAgent *agent) {
  for (uint32_t i = 0; agent->enabled && i < profile->agents_count; i++)
    if (strcmp(profile->agents[i], "*") == 0 || strcmp(profile->agents[i], agent->name) == 0)
      return true;
  return false;
}

static int print_broker(const Config *config, const Keyring *keyring, char *const *endpoints, uint32_t count,
                        const char *broker, Buffer *ret, Buffer *errors) {
  char name[KEYRING_NAME_SIZE];
  const KeyringKey *key = keyring ? keyring_find(keyring, keyring_broker_name(broker, name)) : NULL;

  for (uint32_t i = 0; i < count; i++)
    buffer_printf(ret, "%s%s", i ? "," : "", endpoints[i]);
  if (key && !key->revoked)
    buffer_printf(ret, "|%s", key->public);
  if (!keyring || (key && !key->revoked))
    return 0;
  buffer_printf(errors, "%s/keys.yaml: has no key %s, by which the broker %s is known; see `pons keys`\n",
                config->keys.dir, name, broker);
  return CONFIG_E_INVALID;
}

int config_brokers(const Config *config, Buffer *ret, Buffer *errors) {
  const ConfigClient *client = &config->client;
  const ConfigOther *other = &config->other_broker;
  _cleanup_(keyring_destroy) Keyring *keyring = NULL;
  char path[CONFIG_PATH_SIZE];
  int r = keyring_is_wanted(config) ? keyring_load(keyring_path(config, path), &keyring, errors) : 0;

  if (r == 0 && other->preferred) {
    r = print_broker(config, keyring, other->endpoints, other->endpoints_count, other->name, ret, errors);
    buffer_printf(ret, ";");
  }
  if (r == 0)
    r = print_broker(config, keyring, client->endpoints, client->endpoints_count, config->broker.name, ret, errors);
  if (r == 0 && !other->preferred && other->endpoints_count) {
    buffer_printf(ret, ";");
    r = print_broker(config, keyring, other->endpoints, other->endpoints_count, other->name, ret, errors);
  }
  return r;
}
