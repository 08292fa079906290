/* What an agent is told: by its supervisor in the environment, by a person on the command line, which wins. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/agent/agent-internal.h"

enum { EXIT_USAGE = 2, WEIGHT_MAX = 1000, CONCURRENCY_MAX = LIMIT_CREDIT };

/* One setting: its option, its variable, what it means, and where it goes. */
typedef struct Setting {
  const char *option;
  const char *variable;
  const char *value; /* in the help */
  const char *about;
  size_t offset; /* of a const char * in Values */
} Setting;

typedef struct Values {
  const char *endpoint;
  const char *name;
  const char *site;
  const char *weight;
  const char *tier;
  const char *role;
  const char *version;
  const char *concurrency;
  const char *singleton;
  const char *log_level;
  const char *crash_record;
  const char *key;
} Values;

static const Setting settings[] = {
    {"endpoint", "PONS_AGENT_ENDPOINT", "LIST",
     "where the broker listens: tcp://ADDRESS:PORT, ipc://PATH, with commas between; a second broker's after a "
     "semicolon; behind each broker's a bar and its public key, if it has one",
     offsetof(Values, endpoint)},
    {"name", "PONS_AGENT_NAME", "NAME", "of this process on the bus", offsetof(Values, name)},
    {"site", "PONS_AGENT_SITE", "NAME", "where it runs", offsetof(Values, site)},
    {"weight", "PONS_AGENT_WEIGHT", "0-1000", "its share of the work; 0 takes nothing but @instance",
     offsetof(Values, weight)},
    {"tier", "PONS_AGENT_TIER", "gpu|cpu|remote", "what it runs on", offsetof(Values, tier)},
    {"role", "PONS_AGENT_ROLE", "primary|standby", "a standby works when no primary can", offsetof(Values, role)},
    {"service-version", "PONS_AGENT_VERSION", "TEXT", "version of its services, for routes", offsetof(Values, version)},
    {"singleton", "PONS_AGENT_SINGLETON", "LEASE", "serves only while it holds this lease",
     offsetof(Values, singleton)},
    {"concurrency", "PONS_AGENT_CONCURRENCY", "1-65535", "calls executed at a time, by at most 1,024 threads",
     offsetof(Values, concurrency)},
    {"log-level", "PONS_LOG_LEVEL", "error|warning|info|debug", "what is logged", offsetof(Values, log_level)},
    {"crash-record", "PONS_AGENT_CRASH_RECORD", "FILE", "where a crash is recorded; else standard error",
     offsetof(Values, crash_record)},
    {"key", "PONS_AGENT_KEY", "FILE", "the file of its secret key, where brokers have keys", offsetof(Values, key)},
};

static const char **value_of(Values *values, const Setting *setting) {
  return (const char **)(void *)((char *)values + setting->offset);
}

static void print_help(const Agent *agent) {
  printf("%s: %s.\n\n", program_invocation_short_name, agent->about ? agent->about : "an agent on the pons bus");
  for (size_t i = 0; i < ELEMENTS(settings); i++)
    printf("  --%s %s\n        %s [%s]\n", settings[i].option, settings[i].value, settings[i].about,
           settings[i].variable);
  printf("  --help, --version\n\nSIGTERM lets it finish what it has; a second one stops it at once.\n");
}

static int usage(const char *what, const char *value) {
  fprintf(stderr, "%s: %s%s%s; see --help\n", program_invocation_short_name, what, value ? ": " : "",
          value ? value : "");
  return EXIT_USAGE;
}

/* Reads a whole number of least to most. */
static bool read_number(const char *text, uint64_t least, uint64_t most, uint64_t *ret) {
  char *end;
  unsigned long long value = strtoull(text, &end, 10);

  if (*text < '0' || *text > '9' || *end != '\0' || value < least || value > most)
    return false;
  *ret = value;
  return true;
}

static bool is_one_of(const char *text, const char *a, const char *b, const char *c) {
  return strcmp(text, a) == 0 || strcmp(text, b) == 0 || (c && strcmp(text, c) == 0);
}

/* Where brokers listen by default: docs/configuration.md, runtime_dir and broker.listen. */
static void set_default_endpoint(AgentOptions *options) {
  const char *folder = getenv("PONS_RUNTIME_DIR");
  const char *user = getenv("XDG_RUNTIME_DIR");
  char *at = options->default_endpoint;
  size_t room = sizeof options->default_endpoint;

  if (folder && *folder)
    snprintf(at, room, "ipc://%s/broker.sock", folder);
  else if (geteuid() == 0)
    snprintf(at, room, "ipc:///run/pons/broker.sock");
  else if (user && *user)
    snprintf(at, room, "ipc://%s/pons/broker.sock", user);
  else
    snprintf(at, room, "ipc:///tmp/pons-%u/broker.sock", (unsigned)geteuid());
  options->endpoint = at;
}

/* Holds the values against what they may be. Returns -1 or the exit status. */
static int check(const Agent *agent, const Values *values, AgentOptions *ret) {
  uint64_t number = 0;

  if (!name_is_valid(text_of(values->name ? values->name : agent->name)))
    return usage("a name is 1 to 64 of A-Z a-z 0-9 _ . -", values->name);
  if (values->site && !name_is_valid(text_of(values->site)))
    return usage("a site is 1 to 32 of A-Z a-z 0-9 _ . -", values->site);
  if (values->singleton && !name_is_valid(text_of(values->singleton)))
    return usage("a lease is 1 to 64 of A-Z a-z 0-9 _ . -", values->singleton);
  if (values->weight && !read_number(values->weight, 0, WEIGHT_MAX, &ret->weight))
    return usage("the weight is a whole number from 0 to 1000", values->weight);
  if (values->tier && !is_one_of(values->tier, "gpu", "cpu", "remote"))
    return usage("the tier is gpu, cpu or remote", values->tier);
  if (values->role && !is_one_of(values->role, "primary", "standby", NULL))
    return usage("the role is primary or standby", values->role);
  if (values->version && strlen(values->version) > 32)
    return usage("the version has at most 32 bytes", values->version);
  if (values->concurrency && !read_number(values->concurrency, 1, CONCURRENCY_MAX, &number))
    return usage("the concurrency is a whole number from 1 to 65535", values->concurrency);
  if (values->log_level && log_level_parse(values->log_level, &ret->log_level) < 0)
    return usage("the log level is error, warning, info or debug", values->log_level);
  ret->has_weight = values->weight != NULL;
  ret->concurrency = (uint32_t)number;
  ret->name = values->name ? values->name : agent->name;
  ret->site = values->site;
  ret->tier = values->tier;
  ret->role = values->role;
  ret->version = values->version;
  ret->singleton = values->singleton;
  ret->crash_record = values->crash_record;
  ret->key = values->key;
  if (values->endpoint)
    ret->endpoint = values->endpoint;
  else
    set_default_endpoint(ret);
  return -1;
}

static void read_environment(Values *values) {
  for (size_t i = 0; i < ELEMENTS(settings); i++) {
    const char *value = getenv(settings[i].variable);

    if (value && *value)
      *value_of(values, &settings[i]) = value;
  }
}

/* Returns -1 or the exit status. */
static int read_arguments(int argc, char **argv, const Agent *agent, Values *values) {
  struct option options[ELEMENTS(settings) + 3];
  int option;

  memset(options, 0, sizeof options);
  for (size_t i = 0; i < ELEMENTS(settings); i++)
    options[i] = (struct option){settings[i].option, required_argument, NULL, (int)i};
  options[ELEMENTS(settings)] = (struct option){"help", no_argument, NULL, 'h'};
  options[ELEMENTS(settings) + 1] = (struct option){"version", no_argument, NULL, 'v'};
  while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
    if (option == 'h') {
      print_help(agent);
      return 0;
    }
    if (option == 'v') {
      printf("%s %s, protocol %d\n", program_invocation_short_name, PONS_VERSION, PROTOCOL_VERSION);
      return 0;
    }
    if (option == '?')
      return EXIT_USAGE;
    *value_of(values, &settings[option]) = optarg;
  }
  return optind == argc ? -1 : usage("this is no option", argv[optind]);
}

int options_read(int argc, char **argv, const Agent *agent, AgentOptions *ret) {
  Values values = {.endpoint = NULL};
  int status;

  *ret = (AgentOptions){.log_level = LOG_LEVEL_INFO};
  read_environment(&values);
  status = read_arguments(argc, argv, agent, &values);
  return status >= 0 ? status : check(agent, &values, ret);
}
