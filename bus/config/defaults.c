#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/config/check-internal.h"
#include "bus/config/ports.h"

/* Groups and profiles that a file need not write down. */
#define GROUP_CORE "core"
static const struct {
  const char *name;
  const char *agent;
} standard_profiles[] = {{"core", "echo"}, {"full", "*"}};

char *text_format(const char *format, ...) {
  char *text = NULL;
  va_list arguments;

  va_start(arguments, format);
  if (vasprintf(&text, format, arguments) < 0)
    abort(); /* as buffer_reserve */
  va_end(arguments);
  return text;
}

void defaults_apply(const Mapping *mapping, const Node *node, void *base) {
  char standard[KEY_STANDARD_SIZE];

  for (uint32_t i = 0; i < mapping->count; i++) {
    const Key *key = &mapping->keys[i];
    const cyaml_schema_field_t *field = &mapping->fields[i];
    const Node *child = node_find(node, key->name);
    char *at = (char *)base + field->data_offset;

    if (key->kind == KEY_GROUP) {
      defaults_apply(key->inside, child, at);
    } else if (key->kind == KEY_ENTRIES) {
      char *entry = *(char **)(void *)at;

      for (child = child ? child->first : NULL; child; child = child->next, entry += key->inside->size_bytes)
        defaults_apply(key->inside, child, entry);
    } else if (!child && key_standard(key, standard)) {
      key_set(key, field, base, standard);
    }
  }
}

/* Replaces *text and frees what it was. */
static void replace(char **text, char *with) {
  free(*text);
  *text = with;
}

/* One more zeroed entry behind a list; libcyaml frees lists entry by entry and then with free. */
static void *grow(void *list, uint32_t *count, size_t entry_bytes) {
  char **entries = list;
  char *grown = realloc(*entries, (*count + 1) * entry_bytes);

  if (!grown)
    abort();
  *entries = grown;
  memset(grown + *count * entry_bytes, 0, entry_bytes);
  return grown + (*count)++ * entry_bytes;
}

/* The host's name, made to fit what a name may be. */
static char *host_name(void) {
  char host[64] = "";
  char *end;

  if (gethostname(host, sizeof host - 1) < 0)
    return text_format("localhost");
  for (char *c = host; *c; c++) {
    if (*c >= 'A' && *c <= 'Z')
      *c = (char)(*c - 'A' + 'a');
    else if (*c == '.')
      *c = '\0'; /* the domain does not name the machine */
    else if (!strchr("abcdefghijklmnopqrstuvwxyz0123456789-", *c))
      *c = '-';
    if (!*c)
      break;
  }
  end = host + strspn(host, "-");
  return text_format("%s", *end ? end : "localhost");
}

static char *standard_runtime_dir(void) {
  const char *base = getenv("XDG_RUNTIME_DIR");

  if (geteuid() == 0)
    return text_format("/run/pons");
  if (base && *base == '/')
    return text_format("%s/pons", base);
  return text_format("/tmp/pons-%u", (unsigned)geteuid());
}

static char *standard_state_dir(const char *runtime_dir) {
  const char *base = getenv("XDG_STATE_HOME");
  const char *home = getenv("HOME");

  if (geteuid() == 0)
    return text_format("/var/lib/pons");
  if (base && *base == '/')
    return text_format("%s/pons", base);
  if (home && *home == '/')
    return text_format("%s/.local/state/pons", home);
  return text_format("%s/state", runtime_dir);
}

static void complete_endpoints(char **endpoints, uint32_t count, const char *runtime_dir) {
  for (uint32_t i = 0; i < count; i++) {
    const char *path = endpoints[i] + 6;

    if (strncmp(endpoints[i], "ipc://", 6) == 0 && *path != '/' && *path != '@')
      replace(&endpoints[i], text_format("ipc://%s/%s", runtime_dir, path));
  }
}

/* An endpoint to connect to for one that is listened at: every address of this machine is reached by loopback. */
static char *connect_endpoint(const char *listen) {
  static const char *const all[] = {"tcp://*:", "tcp://0.0.0.0:", "tcp://[::]:"};

  for (size_t i = 0; i < ELEMENTS(all); i++)
    if (strncmp(listen, all[i], strlen(all[i])) == 0)
      return text_format("tcp://127.0.0.1:%s", listen + strlen(all[i]));
  return text_format("%s", listen);
}

static void work_out_endpoints(Config *config) {
  const ConfigBroker *broker = &config->broker;
  ConfigClient *client = &config->client;
  const char *chosen;

  complete_endpoints(broker->listen, broker->listen_count, config->runtime_dir);
  complete_endpoints(client->endpoints, client->endpoints_count, config->runtime_dir);
  chosen = broker->listen_count ? broker->listen[0] : NULL;
  if (client->endpoints_count)
    return;
  for (uint32_t i = 0; i < broker->listen_count; i++)
    if (strncmp(broker->listen[i], "ipc://", 6) == 0) {
      chosen = broker->listen[i];
      break;
    }
  if (chosen)
    *(char **)grow(&client->endpoints, &client->endpoints_count, sizeof(char *)) = connect_endpoint(chosen);
}

static void work_out_other_broker(Config *config) {
  ConfigOther *other = &config->other_broker;

  complete_endpoints(other->endpoints, other->endpoints_count, config->runtime_dir);
  if (other->run && other->endpoints_count == 0)
    *(char **)grow(&other->endpoints, &other->endpoints_count, sizeof(char *)) =
        text_format("tcp://127.0.0.2:%d", PORT_BUS);
}

static void add_agents(Config *config, const ConfigCatalog *catalog) {
  for (size_t i = 0; catalog && catalog[i].name; i++) {
    ConfigAgent *agent;

    if (config_find_agent(config, catalog[i].name))
      continue;
    agent = grow(&config->agents, &config->agents_count, sizeof *agent);
    agent->name = text_format("%s", catalog[i].name);
    for (uint32_t k = 0; k < mapping_top->count; k++)
      if (strcmp(mapping_top->keys[k].name, "agents") == 0)
        defaults_apply(mapping_top->keys[k].inside, NULL, agent);
  }
}

/* Makes a path that is relative to the folder of pons.yaml one that anybody can open; takes NULL inside. */
static void complete_path(char **path, const char *file) {
  const char *slash = file ? strrchr(file, '/') : NULL;
  char folder[PATH_MAX] = ".";
  char whole[PATH_MAX];

  if (!*path || **path == '/')
    return;
  if (slash)
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - file + 1), file);
  replace(path, text_format("%s/%s", realpath(folder, whole) ? whole : folder, *path));
}

/* models.yaml beside pons.yaml, or NULL when there is none. */
static char *standard_price_list(const char *file) {
  char *path = text_format("models.yaml");

  complete_path(&path, file);
  if (file && access(path, F_OK) == 0)
    return path;
  free(path);
  return NULL;
}

static void complete_provider(ConfigProvider *provider, const char *file) {
  if (!provider->base_url && provider->region && strncmp(provider->dialect, "bedrock", 7) == 0)
    provider->base_url = text_format("https://bedrock-runtime.%s.amazonaws.com", provider->region);
  for (size_t size = provider->base_url ? strlen(provider->base_url) : 0; size > 0; size--) {
    if (provider->base_url[size - 1] != '/')
      break;
    provider->base_url[size - 1] = '\0';
  }
  complete_path(&provider->key.file, file);
  for (uint32_t i = 0; i < provider->keys_count; i++)
    complete_path(&provider->keys[i].file, file);
  complete_path(&provider->ca_file, file);
}

static void work_out_models(Config *config, const char *file) {
  ConfigLocalLlm *local = &config->local_llm;

  for (uint32_t i = 0; i < config->models_count; i++) {
    ConfigModel *model = &config->models[i];

    if (!model->upstream)
      model->upstream = text_format("%s", model->name);
    if (!model->size)
      model->size = text_format("%s", model->provider ? "heavy" : "light");
  }
  for (uint32_t i = 0; i < config->providers_count; i++)
    complete_provider(&config->providers[i], file);
  for (uint32_t i = 0; i < config->gateway.keys_count; i++)
    complete_path(&config->gateway.keys[i].secret.file, file);
  if (!local->base_url)
    local->base_url = text_format("http://127.0.0.1:%d/v1", PORT_LOCAL_LLM);
  if (!config->price_list)
    config->price_list = standard_price_list(file);
  complete_path(&config->price_list, file);
  complete_path(&local->file, file);
  complete_path(&local->library_dir, file);
  complete_path(&local->key.file, file);
}

static char *standard_program(const char *name, const ConfigCatalog *catalog) {
  for (size_t i = 0; catalog && catalog[i].name; i++)
    if (strcmp(catalog[i].name, name) == 0)
      return text_format("%s", catalog[i].program);
  return text_format("pons-agent-%s", name);
}

static void work_out_agents(Config *config, const char *file, const ConfigCatalog *catalog) {
  for (uint32_t i = 0; i < config->agents_count; i++) {
    ConfigAgent *agent = &config->agents[i];

    if (!agent->program)
      agent->program = standard_program(agent->name, catalog);
    for (uint32_t k = 0; k < agent->environment_count; k++)
      complete_path(&agent->environment[k].secret.file, file);
  }
}

static void add_groups(Config *config) {
  ConfigGroup *group;

  if (config_find_group(config, GROUP_CORE))
    return;
  group = grow(&config->groups, &config->groups_count, sizeof *group);
  group->name = text_format(GROUP_CORE);
  for (uint32_t k = 0; k < mapping_top->count; k++)
    if (strcmp(mapping_top->keys[k].name, "groups") == 0)
      defaults_apply(mapping_top->keys[k].inside, NULL, group);
}

static void add_profiles(Config *config) {
  for (size_t i = 0; i < ELEMENTS(standard_profiles); i++) {
    const char *agent = standard_profiles[i].agent;
    ConfigProfile *profile;

    if (config_find_profile(config, standard_profiles[i].name))
      continue;
    if (strcmp(agent, "*") != 0 && !config_find_agent(config, agent))
      continue;
    profile = grow(&config->profiles, &config->profiles_count, sizeof *profile);
    profile->name = text_format("%s", standard_profiles[i].name);
    *(char **)grow(&profile->agents, &profile->agents_count, sizeof(char *)) = text_format("%s", agent);
  }
}

void defaults_work_out(Config *config, const char *file, const ConfigCatalog *catalog) {
  if (!config->site)
    config->site = host_name();
  if (!config->runtime_dir)
    config->runtime_dir = standard_runtime_dir();
  if (!config->state_dir)
    config->state_dir = standard_state_dir(config->runtime_dir);
  if (!config->broker.name)
    config->broker.name = text_format("%s", config->site);
  if (!config->authority.takeover)
    config->authority.takeover = text_format(config->authority.witness ? "manual" : "after_lease");
  complete_path(&config->keys.dir, file);
  work_out_endpoints(config);
  work_out_other_broker(config);
  work_out_models(config, file);
  add_agents(config, catalog);
  work_out_agents(config, file, catalog);
  add_groups(config);
  add_profiles(config);
}
