#include "bus/ctl/plan.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/config/keyring.h"
#include "bus/ctl/doors.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/spawn.h"
#include "bus/loop/key.h"

enum { STAGE_BROKER, STAGE_AGENTS };

#define RETRY_US (60 * US_PER_S)
#define ABORT_TIMEOUT_US (5 * US_PER_S)

/* The broker comes back faster than an agent: everything waits for it. */
static const SupervisePolicy broker_policy = {
    .budget = {5, 10 * US_PER_S},
    .backoff_first_us = 20 * US_PER_MS,
    .backoff_longest_us = 2 * US_PER_S,
    .retry_us = RETRY_US,
    .start_timeout_us = 10 * US_PER_S,
    .stop_timeout_us = 12 * US_PER_S, /* the broker itself gives unanswered requests 10 */
    .abort_timeout_us = ABORT_TIMEOUT_US,
    .watchdog_us = 10 * US_PER_S,
};

static SupervisePolicy agent_policy(const ConfigAgent *agent) {
  return (SupervisePolicy){
      .budget = {agent->restart.burst, agent->restart.within_ms * US_PER_MS},
      .backoff_first_us = agent->restart.delay_ms * US_PER_MS,
      .backoff_longest_us = agent->restart.delay_max_ms * US_PER_MS,
      .retry_us = RETRY_US,
      .start_timeout_us = agent->start_timeout_ms * US_PER_MS,
      .stop_timeout_us = agent->stop_timeout_ms * US_PER_MS,
      .abort_timeout_us = ABORT_TIMEOUT_US,
      .watchdog_us = agent->watchdog_ms * US_PER_MS,
  };
}

static void *must(void *memory) {
  if (!memory)
    abort();
  return memory;
}

static int find_profile(const Config *config, const char *name, const ConfigProfile **ret, Buffer *errors) {
  *ret = config_find_profile(config, name ? name : config->profile);
  if (*ret)
    return 0;
  buffer_printf(errors, "there is no profile '%s'; there is", name ? name : config->profile);
  for (uint32_t i = 0; i < config->profiles_count; i++)
    buffer_printf(errors, "%s %s", i ? "," : "", config->profiles[i].name);
  buffer_printf(errors, "\n");
  return PLAN_E_PROFILE;
}

/* The file's path from the root, its last link unresolved: what it names is relative to the folder that it lies in. */
static char *absolute(const char *path) {
  char folder[PATH_MAX];
  char *whole = NULL;

  if (access(path, R_OK) != 0)
    return NULL;
  if (*path == '/' || !getcwd(folder, sizeof folder))
    return must(strdup(path));
  if (asprintf(&whole, "%s/%s", folder, path) < 0)
    abort();
  return whole;
}

static int32_t group_index(const Config *config, const char *name) {
  for (uint32_t i = 0; i < config->groups_count; i++)
    if (strcmp(config->groups[i].name, name) == 0)
      return (int32_t)i;
  return SUPERVISE_NO_GROUP;
}

static int find_program(const char *child, const char *name, char **ret, Buffer *errors) {
  char path[PATH_MAX];

  if (spawn_find_program(name, path, sizeof path) == 0) {
    *ret = must(strdup(path));
    return 0;
  }
  if (strchr(name, '/'))
    buffer_printf(errors, "%s: there is no program '%s'; build it, or name another with `program:`\n", child, name);
  else
    buffer_printf(errors,
                  "%s: there is no program '%s' beside pons or in PATH; build it, name another with `program:`, or set "
                  "`enabled: false`\n",
                  child, name);
  return PLAN_E_PROGRAM;
}

/* Appends a child; its program may be missing, which is then said for every child at once. */
static int add(Plan *plan, PlanChild child, const char *program, Buffer *errors) {
  int r = find_program(child.name, program, &child.program, errors);

  plan->name_width = (uint32_t)max_u64(plan->name_width, strlen(child.name));
  plan->children[plan->count++] = child;
  return r;
}

/* Where a child says what it was at when it crashed. */
static char *crash_record(const Plan *plan, const char *child) {
  char *path = NULL;

  if (asprintf(&path, "%s/" FOLDER_CRASH "%s", plan->config->state_dir, child) < 0)
    abort();
  return path;
}

static int add_broker(Plan *plan, Buffer *errors) {
  char **arguments = must(calloc(6, sizeof *arguments));
  uint32_t n = 0;

  arguments[n++] = must(strdup("pons-broker"));
  /* Without a file the broker finds the same built-in defaults by itself. */
  if (plan->config_path) {
    arguments[n++] = must(strdup("--config"));
    arguments[n++] = must(strdup(plan->config_path));
  }
  arguments[n++] = must(strdup("--crash-record"));
  arguments[n++] = crash_record(plan, "broker");
  return add(plan,
             (PlanChild){
                 .name = must(strdup("broker")),
                 .arguments = arguments,
                 .spec = {.stage = STAGE_BROKER, .group = SUPERVISE_NO_GROUP, .policy = broker_policy},
             },
             "pons-broker", errors);
}

/* The broker of the second machine, on this one. */
static int add_other_broker(Plan *plan, Buffer *errors) {
  const ConfigOther *other = &plan->config->other_broker;
  char **arguments = must(calloc(2 * other->endpoints_count + 10, sizeof *arguments));
  uint32_t n = 0;
  char *name = NULL;

  arguments[n++] = must(strdup("pons-broker"));
  if (plan->config_path) {
    arguments[n++] = must(strdup("--config"));
    arguments[n++] = must(strdup(plan->config_path));
  }
  arguments[n++] = must(strdup("--name"));
  arguments[n++] = must(strdup(other->name));
  arguments[n++] = must(strdup("--site"));
  arguments[n++] = must(strdup(other->name));
  for (uint32_t i = 0; i < other->endpoints_count; i++) {
    arguments[n++] = must(strdup("--listen"));
    arguments[n++] = must(strdup(other->endpoints[i]));
  }
  if (asprintf(&name, "broker@%s", other->name) < 0)
    abort();
  arguments[n++] = must(strdup("--crash-record"));
  arguments[n++] = crash_record(plan, name);
  return add(plan,
             (PlanChild){
                 .name = name,
                 .arguments = arguments,
                 .is_other = true,
                 .spec = {.stage = STAGE_BROKER, .group = SUPERVISE_NO_GROUP, .policy = broker_policy},
             },
             "pons-broker", errors);
}

static const char *secrets_of(const ConfigCatalog *catalog, const char *agent) {
  for (size_t i = 0; catalog[i].name; i++)
    if (strcmp(catalog[i].name, agent) == 0)
      return catalog[i].secrets;
  return "";
}

/* The gateway's sockets outlive it: one gateway takes another's place, or comes back, and no client is refused. */
static void set_listen(const Config *config, PlanChild *child) {
  const ConfigGateway *gateway = &config->gateway;

  if (strcmp(child->secrets, "gateway") != 0)
    return;
  child->listen = gateway->listen;
  child->listen_count = (uint32_t)min_u64(gateway->listen_count, DOORS_MAX);
}

static int add_agent(Plan *plan, const ConfigCatalog *catalog, const ConfigAgent *agent, uint32_t instance,
                     Buffer *errors) {
  char **arguments = must(calloc(agent->arguments_count + 2, sizeof *arguments));
  PlanChild child;
  char name[128];

  if (agent->instances > 1)
    snprintf(name, sizeof name, "%s#%u", agent->name, instance);
  else
    snprintf(name, sizeof name, "%s", agent->name);
  arguments[0] = must(strdup(agent->program));
  for (uint32_t i = 0; i < agent->arguments_count; i++)
    arguments[i + 1] = must(strdup(agent->arguments[i]));
  child = (PlanChild){
      .name = must(strdup(name)),
      .agent = agent,
      .secrets = secrets_of(catalog, agent->name),
      .arguments = arguments,
      .spec = {.stage = STAGE_AGENTS, .group = group_index(plan->config, agent->group), .policy = agent_policy(agent)},
  };
  set_listen(plan->config, &child);
  return add(plan, child, agent->program, errors);
}

static void add_groups(Plan *plan) {
  const Config *config = plan->config;

  plan->groups = must(calloc(config->groups_count + 1, sizeof *plan->groups));
  plan->group_count = config->groups_count;
  for (uint32_t i = 0; i < config->groups_count; i++)
    plan->groups[i] = (SuperviseBudget){config->groups[i].burst, config->groups[i].within_ms * US_PER_MS};
}

static uint32_t count_children(const Config *config, const ConfigProfile *profile) {
  uint32_t count = 1 + config->other_broker.run;

  for (uint32_t i = 0; i < config->agents_count; i++)
    if (config_profile_has(profile, &config->agents[i]))
      count += config->agents[i].instances;
  return count;
}

/* Tries each agent's environment once, so that a missing secret is told before anything starts. */
static int try_secrets(const Plan *plan, Buffer *errors) {
  const ConfigAgent *last = NULL;
  int result = 0;

  for (uint32_t i = 0; i < plan->count; i++) {
    _cleanup_(environment_done) Environment environment = {0};
    int r = plan->children[i].agent == last ? 0 : plan_environment(plan, &plan->children[i], "", &environment, errors);

    last = plan->children[i].agent;
    result = r ? r : result;
  }
  return result;
}

int plan_new(Plan **ret, const Config *config, const ConfigCatalog *catalog, const char *profile, Buffer *errors) {
  _cleanup_(plan_destroy) Plan *plan = must(calloc(1, sizeof *plan));
  int result = find_profile(config, profile, &plan->profile, errors);

  if (result)
    return result;
  plan->config = config;
  plan->config_path = absolute(config->source);
  plan->children = must(calloc(count_children(config, plan->profile), sizeof *plan->children));
  add_groups(plan);
  result = add_broker(plan, errors);
  if (result == 0 && config->other_broker.run)
    result = add_other_broker(plan, errors);
  for (uint32_t i = 0; i < config->agents_count; i++) {
    const ConfigAgent *agent = &config->agents[i];

    for (uint32_t j = 1; config_profile_has(plan->profile, agent) && j <= agent->instances; j++) {
      int r = add_agent(plan, catalog, agent, j, errors);

      result = r ? r : result;
      if (r)
        break; /* the other instances lack the same program */
    }
  }
  if (result == 0)
    result = keyring_check(config, errors) == 0 ? 0 : PLAN_E_SECRET;
  if (result == 0)
    result = try_secrets(plan, errors);
  if (result == 0)
    *ret = TAKE(plan);
  return result;
}

void plan_destroy(Plan **plan) {
  Plan *p = *plan;

  if (!p)
    return;
  for (uint32_t i = 0; i < p->count; i++) {
    for (char **argument = p->children[i].arguments; *argument; argument++)
      free(*argument);
    free(p->children[i].arguments);
    free(p->children[i].program);
    free(p->children[i].name);
  }
  free(p->children);
  free(p->groups);
  free(p->config_path);
  free(p);
  *plan = NULL;
}

static void set_number(Environment *environment, const char *name, uint64_t value) {
  char text[32];

  snprintf(text, sizeof text, "%" PRIu64, value);
  environment_set(environment, name, text);
}

static void set_if(Environment *environment, const char *name, const char *value) {
  if (value)
    environment_set(environment, name, value);
}

/* What every agent is told of the fleet; bus/agent/agent.h and docs/configuration.md have the names. */
static int set_fleet(Environment *environment, const Config *config, Buffer *errors) {
  _cleanup_(buffer_done) Buffer endpoints = {0};

  if (config_brokers(config, &endpoints, errors) != 0)
    return PLAN_E_SECRET;
  buffer_append(&endpoints, "", 1);
  environment_set(environment, "PONS_AGENT_ENDPOINT", (const char *)endpoints.data);
  environment_set(environment, "PONS_AGENT_SITE", config->site);
  environment_set(environment, "PONS_LOG_LEVEL", config->log.level);
  environment_set(environment, "PONS_RUNTIME_DIR", config->runtime_dir);
  environment_set(environment, "PONS_STATE_DIR", config->state_dir);
  return 0;
}

/* An agent is told where its key is, and only the file says what it is. */
static int set_key(Environment *environment, const Config *config, const ConfigAgent *agent, Buffer *errors) {
  _cleanup_(key_unref) KeyPair *key = NULL;
  char name[KEYRING_NAME_SIZE];
  char path[CONFIG_PATH_SIZE];
  int r;

  if (!keyring_is_wanted(config))
    return 0;
  keyring_secret_path(config, keyring_client_name(agent->name, config->site, name), path);
  r = key_read(path, &key);
  environment_set(environment, "PONS_AGENT_KEY", path);
  if (r == 0)
    return 0;
  buffer_printf(errors, "%s: its key %s can't be used: %s; `pons keys add %s` makes one\n", agent->name, path,
                key_error(r), name);
  return PLAN_E_SECRET;
}

/* The second broker's node of the pair is the other one, and what it must keep lies in a folder of its own. */
static void set_other_broker(Environment *environment, const Config *config) {
  const ConfigAuthority *authority = &config->authority;
  char *folder = NULL;

  if (asprintf(&folder, "%s/%s", config->state_dir, config->other_broker.name) < 0)
    abort();
  environment_set(environment, "PONS_STATE_DIR", folder);
  free(folder);
  if (!authority->peer)
    return;
  environment_set(environment, "PONS_AUTHORITY_NODE", strcmp(authority->node, "a") == 0 ? "b" : "a");
  environment_set(environment, "PONS_AUTHORITY_LISTEN", authority->peer);
  environment_set(environment, "PONS_AUTHORITY_PEER", authority->listen);
}

static int set_variable(Environment *environment, const ConfigAgent *agent, const ConfigVariable *variable,
                        Buffer *errors) {
  _cleanup_(config_secret_destroy) char *secret = NULL;
  _cleanup_(buffer_done) Buffer why = {0};

  if (variable->value) {
    environment_set(environment, variable->name, variable->value);
    return 0;
  }
  if (!config_secret_is_set(&variable->secret)) {
    environment_set(environment, variable->name, "");
    return 0;
  }
  if (config_secret_read(&variable->secret, &secret, &why)) {
    bool ended = why.size && why.data[why.size - 1] == '\n';

    buffer_printf(errors, "%s: %s: %.*s%s", agent->name, variable->name, (int)why.size, (const char *)why.data,
                  ended ? "" : "\n");
    return PLAN_E_SECRET;
  }
  environment_set(environment, variable->name, secret);
  return 0;
}

static int set_agent(Environment *environment, const Plan *plan, const PlanChild *child, Buffer *errors) {
  const ConfigAgent *agent = child->agent;
  char *record = crash_record(plan, child->name);
  int result = 0;

  environment_set(environment, "PONS_AGENT_NAME", agent->name);
  environment_set(environment, "PONS_AGENT_CRASH_RECORD", record);
  free(record);
  if (agent->weight)
    set_number(environment, "PONS_AGENT_WEIGHT", agent->weight);
  set_if(environment, "PONS_AGENT_TIER", agent->tier);
  set_if(environment, "PONS_AGENT_ROLE", agent->role);
  set_if(environment, "PONS_AGENT_SINGLETON", agent->singleton);
  set_if(environment, "PONS_AGENT_VERSION", agent->version);
  for (uint32_t i = 0; i < agent->environment_count; i++) {
    int r = set_variable(environment, agent, &agent->environment[i], errors);

    result = r ? r : result;
  }
  return result;
}

/* Hands on the variables that the agent's section of pons.yaml names, to it alone. What it will read must be there. */
static int set_section(Environment *environment, const Config *config, const PlanChild *child, Buffer *errors) {
  ConfigPlacedSecret placed;
  int result = 0;

  for (uint32_t i = 0; config_section_secret(config, child->secrets, i, &placed); i++) {
    _cleanup_(config_secret_destroy) char *secret = NULL;
    _cleanup_(buffer_done) Buffer why = {0};

    if (config_secret_read(placed.secret, &secret, &why)) {
      buffer_printf(errors, "%s: %s: %.*s", child->agent->name, placed.place, (int)why.size, (const char *)why.data);
      result = PLAN_E_SECRET;
    } else if (placed.secret->env) {
      environment_set(environment, placed.secret->env, secret);
    } else if (placed.secret->credential) {
      set_if(environment, "CREDENTIALS_DIRECTORY", getenv("CREDENTIALS_DIRECTORY"));
    }
  }
  return result;
}

int plan_environment(const Plan *plan, const PlanChild *child, const char *notify_path, Environment *ret,
                     Buffer *errors) {
  int result;
  int r;

  environment_inherit(ret, environ);
  environment_set(ret, "NOTIFY_SOCKET", notify_path);
  if (child->spec.policy.watchdog_us)
    set_number(ret, "WATCHDOG_USEC", child->spec.policy.watchdog_us);
  if (child->is_other)
    set_other_broker(ret, plan->config);
  if (!child->agent)
    return 0;
  result = set_fleet(ret, plan->config, errors);
  set_if(ret, "PONS_CONFIG", plan->config_path);
  r = set_key(ret, plan->config, child->agent, errors);
  result = r ? r : result;
  r = set_agent(ret, plan, child, errors);
  result = r ? r : result;
  r = set_section(ret, plan->config, child, errors);
  return r ? r : result;
}
