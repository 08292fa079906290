#include <stdio.h>
#include <sys/un.h>

#include "bus/config/address-internal.h"
#include "bus/config/whole-internal.h"

static void check_ipc(const Whole *whole, const char *path, const char *endpoint) {
  size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;

  if (!address_is_tcp(endpoint) && strlen(endpoint + 6) > most)
    whole_wrong(whole, path,
                "the socket's path '%s' is longer than %zu bytes; choose a shorter one, or a shorter runtime_dir",
                endpoint + 6, most);
}

static void check_listen(const Whole *whole) {
  const ConfigBroker *broker = &whole->config->broker;
  char path[KEY_PATH_SIZE];

  if (broker->listen_count == 0)
    whole_wrong(whole, "broker.listen", "is empty; name at least one endpoint, or remove the line to take the default");
  for (uint32_t i = 0; i < broker->listen_count; i++) {
    const char *endpoint = broker->listen[i];

    whole_path(path, "broker.listen", i, "");
    check_ipc(whole, path, endpoint);
    if (address_is_tcp(endpoint) && !address_is_loopback(address_host(endpoint)) && !broker->insecure &&
        !whole->config->keys.dir)
      whole_wrong(
          whole, path,
          "'%s' listens beyond loopback without keys: everybody who reaches it could do everything; use 127.0.0.1, "
          "make keys with `pons keys init`, or set broker.insecure: true if the network is yours alone",
          endpoint);
    for (uint32_t k = 0; k < i; k++)
      if (address_collides(endpoint, broker->listen[k])) {
        whole_wrong(whole, path,
                    "'%s' takes the same address as broker.listen[%u], '%s'; give it another port or remove it",
                    endpoint, k, broker->listen[k]);
        break;
      }
  }
}

static void check_endpoints(const Whole *whole) {
  const ConfigClient *client = &whole->config->client;
  char variable[KEY_VARIABLE_SIZE];
  char path[KEY_PATH_SIZE];

  if (!tree_find(whole->tree, "client.endpoints") && !environment_source("client.endpoints", variable))
    return; /* worked out from broker.listen, which is checked */
  for (uint32_t i = 0; i < client->endpoints_count; i++) {
    const char *endpoint = client->endpoints[i];

    whole_path(path, "client.endpoints", i, "");
    check_ipc(whole, path, endpoint);
    if (address_is_tcp(endpoint) && (address_any_port(endpoint) || address_is_all(address_host(endpoint))))
      whole_wrong(whole, path, "'%s' can be listened at but not connected to; write the broker's address and port",
                  endpoint);
  }
}

/* The second broker can be connected to and is not the first. */
static void check_other_broker(const Whole *whole) {
  const ConfigBroker *broker = &whole->config->broker;
  const ConfigOther *other = &whole->config->other_broker;
  char path[KEY_PATH_SIZE];

  for (uint32_t i = 0; i < other->endpoints_count; i++) {
    const char *endpoint = other->endpoints[i];

    whole_path(path, "other_broker.endpoints", i, "");
    check_ipc(whole, path, endpoint);
    if (address_is_tcp(endpoint) && (address_any_port(endpoint) || address_is_all(address_host(endpoint))))
      whole_wrong(whole, path, "'%s' can be listened at but not connected to; write the broker's address and port",
                  endpoint);
    for (uint32_t k = 0; k < broker->listen_count; k++)
      if (address_collides(endpoint, broker->listen[k]))
        whole_wrong(whole, path, "'%s' is the first broker's, broker.listen[%u]; write the address of the second",
                    endpoint, k);
  }
  if (other->run && strcmp(other->name, broker->name) == 0)
    whole_wrong(whole, "other_broker.name", "'%s' is the first broker's name; give the second another", other->name);
  if (other->preferred && other->endpoints_count == 0)
    whole_wrong(whole, "other_broker.preferred", "there is no other broker; name its endpoints");
}

static void check_routes(const Whole *whole) {
  const ConfigBroker *broker = &whole->config->broker;
  char path[KEY_PATH_SIZE];

  whole_unique(whole, "broker.routes", "service", broker->routes, broker->routes_count, sizeof *broker->routes);
  for (uint32_t i = 0; i < broker->routes_count; i++) {
    const ConfigRoute *route = &broker->routes[i];
    uint64_t sum = 0;

    for (uint32_t k = 0; k < route->versions_count; k++)
      sum += route->versions[k].weight;
    whole_path(path, "broker.routes", i, "versions");
    whole_unique(whole, path, "version", route->versions, route->versions_count, sizeof *route->versions);
    if (sum == 0)
      whole_wrong(whole, path,
                  "no version of '%s' has a weight above 0, so nothing could be sent to it; give one a weight",
                  route->service);
  }
}

static void check_orders(const Whole *whole) {
  const ConfigHeartbeat *heartbeat = &whole->config->broker.heartbeat;
  const ConfigLimits *limits = &whole->config->broker.limits;
  const ConfigGateway *gateway = &whole->config->gateway;

  whole_order(whole, "broker.limits.bytes_all", limits->bytes_all, false, "broker.limits.bytes_per_client",
              limits->bytes_per_client);
  whole_order(whole, "gateway.held_max_bytes", gateway->held_max_bytes, false, "gateway.body_max_bytes",
              gateway->body_max_bytes);
  whole_order(whole, "broker.heartbeat.timeout_ms", heartbeat->timeout_ms, true, "broker.heartbeat.interval_ms",
              heartbeat->interval_ms);
  whole_order(whole, "broker.heartbeat.idle_ms", heartbeat->idle_ms, false, "broker.heartbeat.interval_ms",
              heartbeat->interval_ms);
}

static bool ends_with(const char *text, const char *suffix) {
  size_t size = strlen(text);
  size_t suffix_size = strlen(suffix);

  return size >= suffix_size && strcasecmp(text + size - suffix_size, suffix) == 0;
}

/* Names that hold a secret wherever people use them: OPENAI_API_KEY, HF_TOKEN, DB_PASSWORD. */
static bool is_secret_name(const char *name) {
  static const char *const suffixes[] = {"KEY", "TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIALS"};

  for (size_t i = 0; i < ELEMENTS(suffixes); i++) {
    const char *at = name + strlen(name) - min_u64(strlen(name), strlen(suffixes[i]));
    if (ends_with(name, suffixes[i]) && (at == name || at[-1] == '_'))
      return true;
  }
  return false;
}

static void check_variable(const Whole *whole, const char *list, uint32_t index, const ConfigVariable *variable) {
  bool has_secret = config_secret_is_set(&variable->secret);
  char path[KEY_PATH_SIZE];

  if (strncmp(variable->name, "PONS_", 5) == 0)
    whole_wrong(whole, whole_path(path, list, index, "name"),
                "'%s' belongs to the supervisor, which sets all of PONS_; choose another name", variable->name);
  if (variable->value && is_secret_name(variable->name))
    whole_wrong(
        whole, whole_path(path, list, index, "value"),
        "'%s' is a secret by its name and must not stand in the file; write `secret: {file: PATH}` or `secret: {env: "
        "NAME}`",
        variable->name);
  else if (!variable->value == !has_secret)
    whole_wrong(whole, whole_path(path, list, index, ""), "'%s' must have value or secret, one of the two",
                variable->name);
}

/* --api-key=VALUE: the command line of a process is open to everybody on the machine. */
static void check_argument(const Whole *whole, const char *list, uint32_t index, const char *argument) {
  char path[KEY_PATH_SIZE];
  char name[64];
  size_t size = strcspn(argument, "=");

  if (*argument != '-' || !argument[size] || size >= sizeof name)
    return;
  for (size_t i = 0; i < size; i++)
    name[i] = argument[i] == '-' ? '_' : argument[i];
  name[size] = '\0';
  if (is_secret_name(name))
    whole_wrong(
        whole, whole_path(path, list, index, ""),
        "'%.*s' takes a secret by its name and must not stand in the file; give it to the agent under environment: "
        "with "
        "`secret: {file: PATH}`",
        (int)size, argument);
}

static bool in_catalog(const ConfigCatalog *catalog, const char *name) {
  for (size_t i = 0; catalog[i].name; i++)
    if (strcmp(name, catalog[i].name) == 0)
      return true;
  return false;
}

static void check_agent(const Whole *whole, uint32_t index) {
  const ConfigAgent *agent = &whole->config->agents[index];
  char list[KEY_PATH_SIZE];
  char path[KEY_PATH_SIZE];

  if (!config_find_group(whole->config, agent->group))
    whole_wrong(whole, whole_path(path, "agents", index, "group"),
                "there is no group '%s'; add it under groups:, or use core", agent->group);
  whole_path(path, "agents", index, "program");
  if (whole->catalog && !in_catalog(whole->catalog, agent->name) && !tree_find(whole->tree, path))
    whole_wrong(whole, whole_path(path, "agents", index, "name"),
                "'%s' is not in agents/catalog.def; correct the name, or say with `program: PATH` what to start",
                agent->name);
  whole_path(path, "agents", index, "restart.delay_max_ms");
  whole_order(whole, path, agent->restart.delay_max_ms, false, "delay_ms", agent->restart.delay_ms);
  whole_path(list, "agents", index, "arguments");
  for (uint32_t i = 0; i < agent->arguments_count; i++)
    check_argument(whole, list, i, agent->arguments[i]);
  whole_path(list, "agents", index, "environment");
  whole_unique(whole, list, "name", agent->environment, agent->environment_count, sizeof *agent->environment);
  for (uint32_t i = 0; i < agent->environment_count; i++)
    check_variable(whole, list, i, &agent->environment[i]);
}

static void check_profiles(const Whole *whole) {
  const Config *config = whole->config;
  char list[KEY_PATH_SIZE];
  char path[KEY_PATH_SIZE];

  for (uint32_t i = 0; i < config->profiles_count; i++) {
    const ConfigProfile *profile = &config->profiles[i];

    whole_path(list, "profiles", i, "agents");
    for (uint32_t k = 0; whole->catalog && k < profile->agents_count; k++)
      if (strcmp(profile->agents[k], "*") != 0 && !config_find_agent(config, profile->agents[k]))
        whole_wrong(whole, whole_path(path, list, k, ""),
                    "there is no agent '%s'; correct the name, or add it under agents:", profile->agents[k]);
  }
  if (!config_find_profile(config, config->profile))
    whole_wrong(whole, "profile",
                "there is no profile '%s'; correct the name, or add it under profiles:", config->profile);
}

void check_whole(Report *report, const Config *config, const Tree *tree, const ConfigCatalog *catalog) {
  const Whole whole = {report, config, tree, catalog};

  check_listen(&whole);
  check_orders(&whole);
  check_routes(&whole);
  check_endpoints(&whole);
  check_other_broker(&whole);
  check_models(&whole);
  check_authority(&whole);
  whole_unique(&whole, "agents", "name", config->agents, config->agents_count, sizeof *config->agents);
  for (uint32_t i = 0; i < config->agents_count; i++)
    check_agent(&whole, i);
  whole_unique(&whole, "groups", "name", config->groups, config->groups_count, sizeof *config->groups);
  whole_unique(&whole, "profiles", "name", config->profiles, config->profiles_count, sizeof *config->profiles);
  check_profiles(&whole);
}
