#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

#include "bus/config/check-internal.h"

/* What a check knows. */
typedef struct Whole {
  Report *report;
  const Config *config;
  const Tree *tree;
  const ConfigCatalog *catalog;
} Whole;

/* Takes the last part off a path: "a.b[3].c", "a.b[3]", "a.b", "a", "". */
static void cut_last(char *path) {
  char *cut = path;

  for (char *c = path; *c; c++)
    if (*c == '.' || *c == '[')
      cut = c;
  *cut = '\0';
}

/* Adds a finding at the place that has set path: a variable, a line of the file, or the nearest line around it. */
static void wrong(const Whole *whole, const char *path, const char *format, ...) _printf_(3, 4);
static void wrong(const Whole *whole, const char *path, const char *format, ...) {
  char variable[KEY_VARIABLE_SIZE];
  char around[KEY_PATH_SIZE];
  char text[768];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  for (snprintf(around, sizeof around, "%s", path); *around; cut_last(around))
    if (environment_source(around, variable)) {
      report_place(whole->report, variable, "%s", text);
      return;
    }
  for (snprintf(around, sizeof around, "%s", path); *around; cut_last(around)) {
    const Node *node = tree_find(whole->tree, around);

    if (node) {
      report_line(whole->report, node->line, node->column, path, "%s", text);
      return;
    }
  }
  report_place(whole->report, "default", "%s: %s", path, text);
}

static const char *path_of(char ret[KEY_PATH_SIZE], const char *list, uint32_t index, const char *key) {
  snprintf(ret, KEY_PATH_SIZE, "%s[%u]%s%s", list, index, *key ? "." : "", key);
  return ret;
}

/* Finds a name that stands twice in a list; entries of entry_bytes have their name's pointer in front. */
static void check_unique(const Whole *whole, const char *list, const char *key, const void *entries, uint32_t count,
                         size_t entry_bytes) {
  for (uint32_t i = 1; i < count; i++)
    for (uint32_t k = 0; k < i; k++) {
      const char *a = *(char *const *)(const void *)((const char *)entries + i * entry_bytes);
      const char *b = *(char *const *)(const void *)((const char *)entries + k * entry_bytes);
      char path[KEY_PATH_SIZE];

      if (strcmp(a, b) == 0) {
        wrong(whole, path_of(path, list, i, key), "'%s' is there already as %s[%u]; merge the two or rename one", a,
              list, k);
        break;
      }
    }
}

/* Splits tcp://HOST:PORT, which RULE_ENDPOINT has passed. */
static Text tcp_host(const char *endpoint) {
  const char *colon = strrchr(endpoint, ':');

  return (Text){endpoint + 6, (size_t)(colon - endpoint - 6)};
}

static const char *tcp_port(const char *endpoint) {
  return strrchr(endpoint, ':') + 1;
}

static bool is_tcp(const char *endpoint) {
  return strncmp(endpoint, "tcp://", 6) == 0;
}

static bool any_port(const char *endpoint) {
  return strcmp(tcp_port(endpoint), "*") == 0 || atoi(tcp_port(endpoint)) == 0;
}

static bool is_everywhere(Text host) {
  return text_is(host, "*") || text_is(host, "0.0.0.0") || text_is(host, "[::]") || text_is(host, "::");
}

/* 127.0.0.0/8 (RFC 1122 3.2.1.3), ::1 (RFC 4291 2.5.3), and the names that mean them on Linux. */
static bool is_loopback(Text host) {
  char address[INET_ADDRSTRLEN];
  struct in_addr in;

  if (text_is(host, "localhost") || text_is(host, "lo") || text_is(host, "[::1]") || text_is(host, "::1"))
    return true;
  if (host.size >= sizeof address)
    return false;
  memcpy(address, host.data, host.size);
  address[host.size] = '\0';
  return inet_pton(AF_INET, address, &in) == 1 && ntohl(in.s_addr) >> 24 == 127;
}

static bool collides(const char *a, const char *b) {
  if (!is_tcp(a) || !is_tcp(b))
    return strcmp(a, b) == 0;
  if (any_port(a) || any_port(b) || atoi(tcp_port(a)) != atoi(tcp_port(b)))
    return false;
  return is_everywhere(tcp_host(a)) || is_everywhere(tcp_host(b)) || text_equal(tcp_host(a), tcp_host(b));
}

static void check_ipc(const Whole *whole, const char *path, const char *endpoint) {
  size_t most = sizeof((struct sockaddr_un *)NULL)->sun_path - 1;

  if (!is_tcp(endpoint) && strlen(endpoint + 6) > most)
    wrong(whole, path,
          "the socket's path '%s' is longer than %zu bytes; choose a shorter one, or a shorter runtime_dir",
          endpoint + 6, most);
}

static void check_listen(const Whole *whole) {
  const ConfigBroker *broker = &whole->config->broker;
  char path[KEY_PATH_SIZE];

  if (broker->listen_count == 0)
    wrong(whole, "broker.listen", "is empty; name at least one endpoint, or remove the line to take the default");
  for (uint32_t i = 0; i < broker->listen_count; i++) {
    const char *endpoint = broker->listen[i];

    path_of(path, "broker.listen", i, "");
    check_ipc(whole, path, endpoint);
    if (is_tcp(endpoint) && !is_loopback(tcp_host(endpoint)) && !broker->insecure)
      wrong(
          whole, path,
          "'%s' listens beyond loopback without keys: everybody who reaches it could do everything; use 127.0.0.1, or "
          "set broker.insecure: true if the network is yours alone",
          endpoint);
    for (uint32_t k = 0; k < i; k++)
      if (collides(endpoint, broker->listen[k])) {
        wrong(whole, path, "'%s' takes the same address as broker.listen[%u], '%s'; give it another port or remove it",
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

    path_of(path, "client.endpoints", i, "");
    check_ipc(whole, path, endpoint);
    if (is_tcp(endpoint) && (any_port(endpoint) || is_everywhere(tcp_host(endpoint))))
      wrong(whole, path, "'%s' can be listened at but not connected to; write the broker's address and port", endpoint);
  }
}

static void check_routes(const Whole *whole) {
  const ConfigBroker *broker = &whole->config->broker;
  char path[KEY_PATH_SIZE];

  check_unique(whole, "broker.routes", "service", broker->routes, broker->routes_count, sizeof *broker->routes);
  for (uint32_t i = 0; i < broker->routes_count; i++) {
    const ConfigRoute *route = &broker->routes[i];
    uint64_t sum = 0;

    for (uint32_t k = 0; k < route->versions_count; k++)
      sum += route->versions[k].weight;
    path_of(path, "broker.routes", i, "versions");
    check_unique(whole, path, "version", route->versions, route->versions_count, sizeof *route->versions);
    if (sum == 0)
      wrong(whole, path, "no version of '%s' has a weight above 0, so nothing could be sent to it; give one a weight",
            route->service);
  }
}

static void check_order(const Whole *whole, const char *path, uint64_t value, bool strictly, const char *least_path,
                        uint64_t least) {
  if (value < least || (strictly && value == least))
    wrong(whole, path, "is %llu, must be %s %s, which is %llu", (unsigned long long)value,
          strictly ? "above" : "at least", least_path, (unsigned long long)least);
}

static void check_orders(const Whole *whole) {
  const ConfigHeartbeat *heartbeat = &whole->config->broker.heartbeat;
  const ConfigLimits *limits = &whole->config->broker.limits;

  check_order(whole, "broker.limits.bytes_all", limits->bytes_all, false, "broker.limits.bytes_per_client",
              limits->bytes_per_client);
  check_order(whole, "broker.heartbeat.timeout_ms", heartbeat->timeout_ms, true, "broker.heartbeat.interval_ms",
              heartbeat->interval_ms);
  check_order(whole, "broker.heartbeat.idle_ms", heartbeat->idle_ms, false, "broker.heartbeat.interval_ms",
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
  bool has_secret = variable->secret.file || variable->secret.env;
  char path[KEY_PATH_SIZE];

  if (strncmp(variable->name, "PONS_", 5) == 0)
    wrong(whole, path_of(path, list, index, "name"),
          "'%s' belongs to the supervisor, which sets all of PONS_; choose another name", variable->name);
  if (variable->value && is_secret_name(variable->name))
    wrong(whole, path_of(path, list, index, "value"),
          "'%s' is a secret by its name and must not stand in the file; write `secret: {file: PATH}` or `secret: {env: "
          "NAME}`",
          variable->name);
  else if (!variable->value == !has_secret)
    wrong(whole, path_of(path, list, index, ""), "'%s' must have value or secret, one of the two", variable->name);
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
    wrong(whole, path_of(path, list, index, ""),
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
    wrong(whole, path_of(path, "agents", index, "group"), "there is no group '%s'; add it under groups:, or use core",
          agent->group);
  path_of(path, "agents", index, "program");
  if (whole->catalog && !in_catalog(whole->catalog, agent->name) && !tree_find(whole->tree, path))
    wrong(whole, path_of(path, "agents", index, "name"),
          "'%s' is not in agents/catalog.def; correct the name, or say with `program: PATH` what to start",
          agent->name);
  path_of(path, "agents", index, "restart.delay_max_ms");
  check_order(whole, path, agent->restart.delay_max_ms, false, "delay_ms", agent->restart.delay_ms);
  path_of(list, "agents", index, "arguments");
  for (uint32_t i = 0; i < agent->arguments_count; i++)
    check_argument(whole, list, i, agent->arguments[i]);
  path_of(list, "agents", index, "environment");
  check_unique(whole, list, "name", agent->environment, agent->environment_count, sizeof *agent->environment);
  for (uint32_t i = 0; i < agent->environment_count; i++)
    check_variable(whole, list, i, &agent->environment[i]);
}

static void check_profiles(const Whole *whole) {
  const Config *config = whole->config;
  char list[KEY_PATH_SIZE];
  char path[KEY_PATH_SIZE];

  for (uint32_t i = 0; i < config->profiles_count; i++) {
    const ConfigProfile *profile = &config->profiles[i];

    path_of(list, "profiles", i, "agents");
    for (uint32_t k = 0; whole->catalog && k < profile->agents_count; k++)
      if (strcmp(profile->agents[k], "*") != 0 && !config_find_agent(config, profile->agents[k]))
        wrong(whole, path_of(path, list, k, ""),
              "there is no agent '%s'; correct the name, or add it under agents:", profile->agents[k]);
  }
  if (!config_find_profile(config, config->profile))
    wrong(whole, "profile", "there is no profile '%s'; correct the name, or add it under profiles:", config->profile);
}

void check_whole(Report *report, const Config *config, const Tree *tree, const ConfigCatalog *catalog) {
  const Whole whole = {report, config, tree, catalog};

  check_listen(&whole);
  check_orders(&whole);
  check_routes(&whole);
  check_endpoints(&whole);
  check_unique(&whole, "agents", "name", config->agents, config->agents_count, sizeof *config->agents);
  for (uint32_t i = 0; i < config->agents_count; i++)
    check_agent(&whole, i);
  check_unique(&whole, "groups", "name", config->groups, config->groups_count, sizeof *config->groups);
  check_unique(&whole, "profiles", "name", config->profiles, config->profiles_count, sizeof *config->profiles);
  check_profiles(&whole);
}
