/* What the main job says of itself: who may come in, which models there are, who serves them. */
#include <stdio.h>
#include <strings.h>

#include "bus/config/address-internal.h"
#include "bus/config/whole-internal.h"

#define REMOTE "RemoteApiAdapter"
#define AUTO "auto" /* what a request says that names no model */

/* Every agent inherits what begins with PONS_, so a secret there would reach them all. */
static void check_secret(const Whole *whole, const char *path, const ConfigSecret *secret) {
  char env[KEY_PATH_SIZE];

  snprintf(env, sizeof env, "%.*s.env", KEY_PATH_SIZE - 8, path);
  if (secret->env && strncmp(secret->env, "PONS_", 5) == 0)
    whole_wrong(whole, env,
                "'%s' would reach every agent, as all variables do that begin with PONS_; choose another name",
                secret->env);
}

/* --- gateway --- */

static void check_key(const Whole *whole, uint32_t index) {
  const ConfigKey *key = &whole->config->gateway.keys[index];
  char path[KEY_PATH_SIZE];

  if (!config_secret_is_set(&key->secret))
    whole_wrong(whole, whole_path(path, "gateway.keys", index, ""),
                "'%s' has no secret; write `secret: {file: PATH}` or `secret: {env: NAME}`", key->name);
  check_secret(whole, whole_path(path, "gateway.keys", index, "secret"), &key->secret);
}

static void check_taken(const Whole *whole, const char *path, uint32_t index) {
  const ConfigGateway *gateway = &whole->config->gateway;
  const ConfigBroker *broker = &whole->config->broker;
  const char *endpoint = gateway->listen[index];

  for (uint32_t i = 0; i < broker->listen_count; i++)
    if (address_collides(endpoint, broker->listen[i])) {
      whole_wrong(whole, path, "'%s' takes the same address as broker.listen[%u], '%s'; give it another port", endpoint,
                  i, broker->listen[i]);
      return;
    }
  for (uint32_t i = 0; i < index; i++)
    if (address_collides(endpoint, gateway->listen[i])) {
      whole_wrong(whole, path,
                  "'%s' takes the same address as gateway.listen[%u], '%s'; give it another port or "
                  "remove it",
                  endpoint, i, gateway->listen[i]);
      return;
    }
}

static void check_gateway(const Whole *whole) {
  const ConfigGateway *gateway = &whole->config->gateway;
  char path[KEY_PATH_SIZE];

  whole_unique(whole, "gateway.keys", "name", gateway->keys, gateway->keys_count, sizeof *gateway->keys);
  for (uint32_t i = 0; i < gateway->keys_count; i++)
    check_key(whole, i);
  if (gateway->listen_count == 0)
    whole_wrong(whole, "gateway.listen",
                "is empty; name at least one endpoint, or remove the line to take the default");
  for (uint32_t i = 0; i < gateway->listen_count; i++) {
    const char *endpoint = gateway->listen[i];

    whole_path(path, "gateway.listen", i, "");
    if (!address_is_tcp(endpoint)) {
      whole_wrong(whole, path, "'%s' is no address for HTTP; write tcp://ADDRESS:PORT", endpoint);
      continue;
    }
    if (!address_is_loopback(address_host(endpoint)) && gateway->keys_count == 0)
      whole_wrong(whole, path,
                  "'%s' listens beyond loopback and nobody needs a key: everybody who reaches it could use the models "
                  "at your cost; use 127.0.0.1, or set gateway.keys",
                  endpoint);
    check_taken(whole, path, i);
  }
}

/* --- providers --- */

/* Whether requests to url leave the machine in clear. */
static bool goes_in_clear(const char *url) {
  return strncmp(url, "http://", 7) == 0 && !address_is_loopback(address_url_host(url));
}

static void check_url(const Whole *whole, const ConfigProvider *provider, uint32_t index) {
  bool is_bedrock = strncmp(provider->dialect, "bedrock", 7) == 0;
  char path[KEY_PATH_SIZE];

  if (!provider->base_url)
    whole_wrong(whole, whole_path(path, "providers", index, ""), "'%s' has no base_url; write `%s`", provider->name,
                is_bedrock ? "region: NAME" : "base_url: URL");
  else if (is_bedrock && !provider->region && !strstr(provider->base_url, "bedrock-runtime"))
    whole_wrong(whole, whole_path(path, "providers", index, "base_url"),
                "'%s' does not say for which region requests are signed; write `region: NAME` too", provider->base_url);
  else if (!is_bedrock && provider->region)
    whole_wrong(whole, whole_path(path, "providers", index, "region"), "dialect %s knows no regions; remove the line",
                provider->dialect);
}

static bool is_same(const char *a, const char *b) {
  return a && b && strcmp(a, b) == 0;
}

/* The same key twice would take two turns, and be passed over for one of them. */
static void check_keys_of(const Whole *whole, uint32_t index) {
  const ConfigProvider *provider = &whole->config->providers[index];
  const ConfigSecret *key;
  const ConfigSecret *other;
  char path[KEY_PATH_SIZE];
  char name[32];

  for (uint32_t i = 0; (key = config_provider_secret(provider, i)); i++) {
    snprintf(name, sizeof name, "keys[%u]", i - config_secret_is_set(&provider->key));
    whole_path(path, "providers", index, name);
    if (key != &provider->key)
      check_secret(whole, path, key);
    for (uint32_t k = 0; k < i; k++) {
      other = config_provider_secret(provider, k);
      if (is_same(key->file, other->file) || is_same(key->env, other->env) ||
          is_same(key->credential, other->credential))
        whole_wrong(whole, path, "'%s' is there already; remove one of the two", config_secret_name(key));
    }
  }
}

/* Each of these is one dialect's. */
static void check_dialect(const Whole *whole, uint32_t index) {
  const ConfigProvider *provider = &whole->config->providers[index];
  const struct {
    const char *key;
    const char *dialect;
    bool is_set;
  } rows[] = {
      {"api_version", "azure", provider->api_version}, {"chat_path", "custom", provider->chat_path},
      {"embed_path", "custom", provider->embed_path},  {"models_path", "custom", provider->models_path},
      {"key_header", "custom", provider->key_header},  {"headers", "custom", provider->headers_count > 0},
      {"asks_usage", "custom", !provider->asks_usage},
  };
  char path[KEY_PATH_SIZE];

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (rows[i].is_set && strcmp(provider->dialect, rows[i].dialect) != 0)
      whole_wrong(whole, whole_path(path, "providers", index, rows[i].key),
                  "is of dialect %s, and this one is %s; remove the line, or write `dialect: %s`", rows[i].dialect,
                  provider->dialect, rows[i].dialect);
}

/* Whether a header is one that pons writes itself, or one that would hold a secret. */
static bool is_taken_header(const char *header) {
  static const char *const names[] = {"authorization", "api-key",    "x-api-key",  "x-goog-api-key",
                                      "cookie",        "host",       "connection", "content-length",
                                      "content-type",  "user-agent", "accept",     "transfer-encoding",
                                      "expect",        "te",         "upgrade",    "proxy-authorization"};
  size_t size = strcspn(header, ":");

  for (size_t i = 0; i < ELEMENTS(names); i++)
    if (strlen(names[i]) == size && strncasecmp(header, names[i], size) == 0)
      return true;
  return false;
}

static void check_headers(const Whole *whole, uint32_t index) {
  const ConfigProvider *provider = &whole->config->providers[index];
  const char *mark = provider->key_header ? strstr(provider->key_header, "{key}") : NULL;
  char path[KEY_PATH_SIZE];
  char name[32];

  if (provider->key_header && (!mark || mark < strchr(provider->key_header, ':') || strstr(mark + 1, "{key}")))
    whole_wrong(whole, whole_path(path, "providers", index, "key_header"),
                "must have {key} once behind the colon, where the key is put in; the key itself belongs under `key:`");
  for (uint32_t i = 0; i < provider->headers_count; i++)
    if (is_taken_header(provider->headers[i])) {
      snprintf(name, sizeof name, "headers[%u]", i);
      whole_wrong(whole, whole_path(path, "providers", index, name),
                  "is a header that pons writes itself or one for a secret; remove it, and write the key under `key:` "
                  "and its header as `key_header:`");
    }
}

static void check_provider(const Whole *whole, uint32_t index) {
  const ConfigProvider *provider = &whole->config->providers[index];
  char path[KEY_PATH_SIZE];

  check_url(whole, provider, index);
  if (provider->base_url && goes_in_clear(provider->base_url) && !provider->insecure)
    whole_wrong(whole, whole_path(path, "providers", index, "base_url"),
                "'%s' would send the key and all requests in clear; use https://, or set insecure: true if the network "
                "is yours alone",
                provider->base_url);
  check_secret(whole, whole_path(path, "providers", index, "key"), &provider->key);
  check_keys_of(whole, index);
  check_dialect(whole, index);
  check_headers(whole, index);
  whole_path(path, "providers", index, "total_ms");
  whole_order(whole, path, provider->total_ms, false, "connect_ms", provider->connect_ms);
  whole_order(whole, path, provider->total_ms, false, "headers_ms", provider->headers_ms);
  whole_order(whole, path, provider->total_ms, false, "first_ms", provider->first_ms);
  whole_order(whole, path, provider->total_ms, false, "idle_ms", provider->idle_ms);
}

static void check_local(const Whole *whole) {
  const ConfigLocalLlm *local = &whole->config->local_llm;

  if (strcmp(local->backend, "http") == 0 && goes_in_clear(local->base_url))
    whole_wrong(whole, "local_llm.base_url",
                "'%s' is on another machine and would get all requests in clear; make it an entry of providers:",
                local->base_url);
  check_secret(whole, "local_llm.key", &local->key);
}

/* --- models --- */

static void check_model(const Whole *whole, uint32_t index) {
  const ConfigModel *model = &whole->config->models[index];
  bool is_remote = strcmp(model->executor, REMOTE) == 0;
  char path[KEY_PATH_SIZE];

  if (strcmp(model->name, AUTO) == 0)
    whole_wrong(whole, whole_path(path, "models", index, "name"),
                "'" AUTO "' is what a request says that leaves the choice to pons; choose another name");
  whole_path(path, "models", index, "provider");
  if (is_remote && !model->provider)
    whole_wrong(whole, path, "'%s' is run by " REMOTE " and has no provider; write `provider: NAME`", model->name);
  else if (!is_remote && model->provider)
    whole_wrong(whole, path,
                "'%s' is run by %s, which knows no providers; remove the line, or write `executor: " REMOTE "`",
                model->name, model->executor);
  else if (model->provider && !config_find_provider(whole->config, model->provider))
    whole_wrong(whole, path,
                "there is no provider '%s'; correct the name, or add it under providers:", model->provider);
}

void check_models(const Whole *whole) {
  const Config *config = whole->config;

  check_gateway(whole);
  whole_unique(whole, "models", "name", config->models, config->models_count, sizeof *config->models);
  for (uint32_t i = 0; i < config->models_count; i++)
    check_model(whole, i);
  whole_unique(whole, "providers", "name", config->providers, config->providers_count, sizeof *config->providers);
  for (uint32_t i = 0; i < config->providers_count; i++)
    check_provider(whole, i);
  check_local(whole);
}
