/* pons-broker: configuration and command line in, a broker in a loop, signals and readiness around it. After start-up it
   opens no file and resolves no name. */
#include "bus/broker/broker.h"
#include "bus/broker/keywatch.h"
#include "bus/broker/selftest.h"
#include "bus/broker/setup.h"

#include "bus/base/clock.h"
#include "bus/base/log.h"
#include "bus/base/table.h"
#include "bus/config/keyring.h"
#include "bus/loop/address.h"
#include "bus/loop/crash.h"
#include "bus/loop/journal.h"
#include "bus/loop/limits-setup.h"
#include "bus/loop/notify.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { ENDPOINTS_MAX = 16, STOP_TIMEOUT_S = 10, STATUS_INTERVAL_US = 5000000, EXIT_USAGE = 2 };

static const char usage[] = "pons-broker: routes requests, replies, streams and events of one machine.\n"
                            "\n"
                            "  pons-broker [--config FILE] [--listen ENDPOINT]... [--name NAME] [--site SITE]\n"
                            "              [--log-level error|warning|info|debug] [--crash-record FILE]\n"
                            "\n"
                            "  pons-broker --witness [--config FILE] [--log-level ...] [--crash-record FILE]\n"
                            "\n"
                            "Without --listen it binds what the configuration says under broker.listen.\n"
                            "As a witness it routes nothing: it is the third vote about which of two brokers leads.\n"
                            "SIGTERM lets unanswered requests end; a second one stops at once.\n";

typedef struct Arguments {
  const char *config;
  const char *name;
  const char *site;
  const char *log_level;
  const char *crash_record;
  const char *endpoints[ENDPOINTS_MAX];
  size_t n_endpoints;
  bool witness;
} Arguments;

/* Returns -1 to go on, else the exit status. */
static int parse(int argc, char **argv, Arguments *ret) {
  static const struct option options[] = {
      {"config", required_argument, NULL, 'c'},    {"listen", required_argument, NULL, 'l'},
      {"name", required_argument, NULL, 'n'},      {"site", required_argument, NULL, 's'},
      {"log-level", required_argument, NULL, 'g'}, {"crash-record", required_argument, NULL, 'r'},
      {"witness", no_argument, NULL, 'w'},         {"help", no_argument, NULL, 'h'},
      {"version", no_argument, NULL, 'v'},         {NULL, 0, NULL, 0},
  };
  int option;

  while ((option = getopt_long(argc, argv, "", options, NULL)) >= 0) {
    switch (option) {
    case 'c':
      ret->config = optarg;
      break;
    case 'l':
      if (ret->n_endpoints == ENDPOINTS_MAX) {
        fprintf(stderr, "pons-broker: at most %d times --listen\n", ENDPOINTS_MAX);
        return EXIT_USAGE;
      }
      ret->endpoints[ret->n_endpoints++] = optarg;
      break;
    case 'n':
      ret->name = optarg;
      break;
    case 's':
      ret->site = optarg;
      break;
    case 'g':
      ret->log_level = optarg;
      break;
    case 'r':
      ret->crash_record = optarg;
      break;
    case 'w':
      ret->witness = true;
      break;
    case 'h':
      fputs(usage, stdout);
      return 0;
    case 'v':
      printf("pons-broker %s, protocol %d\n", PONS_VERSION, PROTOCOL_VERSION);
      return 0;
    default:
      fputs(usage, stderr);
      return EXIT_USAGE;
    }
  }
  if (optind == argc)
    return -1;
  fprintf(stderr, "pons-broker: \"%s\" is no option; see --help\n", argv[optind]);
  return EXIT_USAGE;
}

/* The file's settings in the core's terms. The routes borrow from the configuration, which lives as long as main. */
static Route *routes(const ConfigBroker *broker) {
  Route *list = calloc(broker->routes_count ? broker->routes_count : 1, sizeof *list);

  for (uint32_t i = 0; list && i < broker->routes_count; i++) {
    const ConfigRoute *from = &broker->routes[i];
    RouteVersion *versions = calloc(from->versions_count ? from->versions_count : 1, sizeof *versions);

    for (uint32_t k = 0; versions && k < from->versions_count; k++)
      versions[k] = (RouteVersion){from->versions[k].version, from->versions[k].weight};
    list[i] = (Route){from->service, versions, versions ? from->versions_count : 0};
  }
  return list;
}

static void free_routes(Route *list, size_t n) {
  for (size_t i = 0; list && i < n; i++) {
    const RouteVersion *versions = list[i].versions;

    free((void *)(uintptr_t)versions);
  }
  free(list);
}

static BrokerOptions options_of(const Arguments *arguments, const Config *config, const Route *list) {
  const ConfigBroker *from = &config->broker;
  BrokerOptions options = {.core = core_options_default(), .stop_timeout_us = STOP_TIMEOUT_S * US_PER_S};
  CoreOptions *core = &options.core;

  core->name = arguments->name ? arguments->name : from->name;
  core->site = arguments->site ? arguments->site : config->site;
  core->incarnation = clock_realtime_us();
  core->seed = random_u64();
  core->ping_interval_us = from->heartbeat.interval_ms * US_PER_MS;
  core->ping_timeout_us = from->heartbeat.timeout_ms * US_PER_MS;
  core->idle_interval_us = from->heartbeat.idle_ms * US_PER_MS;
  core->limits = (CoreLimits){
      .client_requests = from->limits.requests_per_client,
      .client_bytes = from->limits.bytes_per_client,
      .all_bytes = from->limits.bytes_all,
      .service_queue = from->limits.queue_per_service,
      .sessions = from->limits.sessions,
      .subscriptions = from->limits.subscriptions_per_session,
      .topics = from->limits.last_values,
  };
  core->routes = list;
  core->n_routes = from->routes_count;
  core->endpoints = arguments->n_endpoints ? arguments->endpoints : (const char *const *)from->listen;
  core->n_endpoints = arguments->n_endpoints ? arguments->n_endpoints : from->listen_count;
  return options;
}

static void on_stop_signal(void *userdata, int signo) {
  (void)signo;
  notify_stopping();
  broker_stop(userdata);
}

/* What `systemctl status` and `pons status` show, kept fresh by the loop that does the work. */
typedef struct StatusLine {
  const Broker *broker;
  LoopTimer *timer;
  uint32_t shown;
} StatusLine;

static void on_status(void *userdata, uint64_t now_us) {
  StatusLine *line = userdata;
  uint32_t now = broker_connections(line->broker);

  if (now != line->shown)
    notify_status("%u connections", now);
  line->shown = now;
  loop_timer_set(line->timer, now_us + STATUS_INTERVAL_US);
}

static void status_done(StatusLine *line) {
  loop_timer_destroy(&line->timer);
}

/* --- keys --- */

/* Without keys wanted *ret stays NULL. Returns 0 or the exit status. */
static int open_keys(const Config *config, const char *name, Admission **ret) {
  _cleanup_(buffer_done) Buffer errors = {0};

  if (!keyring_is_wanted(config) || admission_new(ret, config, name, &errors) == 0)
    return 0;
  fprintf(stderr, "%.*s", (int)errors.size, (const char *)errors.data);
  return EXIT_USAGE;
}

/* What the configuration says of its own endpoints, for those of the command line. Returns 0 or the exit status. */
static int check_endpoints(const BrokerOptions *options, const Config *config) {
  for (size_t i = 0; i < options->core.n_endpoints; i++)
    if (!options->admission && !config->broker.insecure && !address_is_here(options->core.endpoints[i])) {
      fprintf(stderr,
              "pons-broker: '%s' listens beyond loopback without keys: everybody who reaches it could do everything; "
              "make keys with `pons keys init`, or set broker.insecure: true if the network is yours alone\n",
              options->core.endpoints[i]);
      return EXIT_USAGE;
    }
  return 0;
}

/* Who is behind a door that opens for everybody must not be told that it is safe. */
static int say_tried(int r) {
  if (r == SELFTEST_E_ADMITTED)
    log_error("PONS-KEY-SELFTEST", "a key that nobody knows was admitted: this broker does not run");
  else if (r < 0)
    log_error("PONS-KEY-SELFTEST", "the own door could not be tried: %s", strerror(-r));
  return r == 0 ? 0 : -EACCES;
}

/* What the watch of keys.yaml tells. */
typedef struct Keys {
  Admission *admission;
  Broker *broker;       /* either this */
  Authority *authority; /* or, of a witness, this */
  KeyWatch *watch;
} Keys;

static void on_keys_changed(void *userdata) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Keys *keys = userdata;

  if (admission_reload(keys->admission, &errors) != 0) {
    log_error("PONS-KEYS-INVALID", "keys.yaml was changed and can't be used; the keys stay as they were: %.*s",
              (int)errors.size, (const char *)errors.data);
    return;
  }
  if (keys->broker)
    broker_admit_again(keys->broker);
  else
    authority_ask_gate_again(keys->authority);
  admission_forget_old(keys->admission);
  log_info("PONS-KEYS-CHANGED", "keys.yaml was read again");
}

static int watch_keys(Keys *keys, Loop *loop, const char *folder) {
  return keys->admission ? keywatch_new(&keys->watch, loop, folder, on_keys_changed, keys) : 0;
}

static void keys_done(Keys *keys) {
  keywatch_destroy(&keys->watch);
}

/* --- the broker --- */

static int run(const BrokerOptions *options, const char *keys_folder) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  _cleanup_(broker_destroy) Broker *broker = NULL;
  _cleanup_(status_done) StatusLine status = {0};
  _cleanup_(keys_done) Keys keys = {.admission = options->admission};
  const char *bad = NULL;
  int r = loop_new(&loop);

  if (r == 0)
    r = broker_new(&broker, loop, options, &bad);
  keys.broker = broker;
  if (r == 0)
    r = say_tried(broker_try_doors(broker));
  if (r == 0)
    r = watch_keys(&keys, loop, keys_folder);
  if (r == 0)
    r = loop_on_signal(loop, SIGTERM, on_stop_signal, broker);
  if (r == 0)
    r = loop_on_signal(loop, SIGINT, on_stop_signal, broker);
  if (r == 0)
    r = watchdog_start(loop);
  if (r == 0)
    r = loop_timer_new(loop, on_status, &status, &status.timer);
  if (r < 0) {
    log_error("PONS-BROKER-START", "the broker can't start%s%s: %s", bad ? ": can't listen on " : "", bad ? bad : "",
              strerror(-r));
    return EXIT_FAILURE;
  }
  log_info("PONS-BROKER-READY", "broker %s listens on %s", options->core.name, options->core.endpoints[0]);
  status.broker = broker;
  loop_timer_set(status.timer, loop_now_us(loop) + STATUS_INTERVAL_US);
  notify_ready("listening");
  return loop_run(loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- the witness --- */

static void on_end_signal(void *userdata, int signo) {
  (void)signo;
  notify_stopping();
  loop_stop(userdata, 0);
}

static int try_witness(Loop *loop, Authority *authority, Admission *admission) {
  char endpoint[256];

  if (!admission || !authority_endpoint(authority, endpoint, sizeof endpoint))
    return 0;
  return selftest_door(loop, admission, endpoint);
}

static int run_witness(const AuthorityOptions *options, Admission *admission, const char *keys_folder) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  _cleanup_(authority_destroy) Authority *authority = NULL;
  _cleanup_(keys_done) Keys keys = {.admission = admission};
  const char *bad = NULL;
  int r = loop_new(&loop);

  if (r == 0)
    r = authority_new(&authority, loop, options, &bad);
  keys.authority = authority;
  if (r == 0)
    r = say_tried(try_witness(loop, authority, admission));
  if (r == 0)
    r = watch_keys(&keys, loop, keys_folder);
  if (r == 0)
    r = loop_on_signal(loop, SIGTERM, on_end_signal, loop);
  if (r == 0)
    r = loop_on_signal(loop, SIGINT, on_end_signal, loop);
  if (r == 0)
    r = watchdog_start(loop);
  if (r < 0) {
    log_error("PONS-BROKER-START", "the witness can't start%s%s: %s", bad ? ": can't listen on " : "", bad ? bad : "",
              strerror(-r));
    return EXIT_FAILURE;
  }
  log_info("PONS-WITNESS-READY", "the witness listens on %s", options->listen);
  notify_ready("listening");
  return loop_run(loop) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* --- from command line to loop --- */

static int load(const Arguments *arguments, Config **ret) {
  _cleanup_(buffer_done) Buffer errors = {0};
  int r = config_load(arguments->config, ret, &errors);

  if (errors.size > 0)
    fprintf(stderr, "%.*s", (int)errors.size, (const char *)errors.data);
  if (r < 0)
    fprintf(stderr, "pons-broker: the configuration can't be read: %s\n", strerror(-r));
  return r == 0 ? 0 : EXIT_USAGE;
}

/* Makes a folder and those above it; the store says clearly enough when this failed. */
static void make_folders(const char *path) {
  char part[512];

  if (!path)
    return;
  for (const char *end = path; end; end = strchr(end + 1, '/')) {
    snprintf(part, sizeof part, "%.*s", (int)(end - path), path);
    if (*part)
      mkdir(part, 0700);
  }
  mkdir(path, 0700);
}

/* Returns 0 or the exit status. */
static int give_keys(Setup *setup, const Config *config, Admission *admission, const char *name) {
  _cleanup_(buffer_done) Buffer errors = {0};

  if (!admission || setup_keys(setup, config, admission, name, &errors) == 0)
    return 0;
  fprintf(stderr, "%.*s", (int)errors.size, (const char *)errors.data);
  return EXIT_USAGE;
}

static int start_witness(const Config *config) {
  _cleanup_(admission_destroy) Admission *admission = NULL;
  int status = open_keys(config, KEYRING_WITNESS, &admission);
  Setup setup;

  setup_witness(&setup, config, clock_realtime_us());
  make_folders(config->state_dir);
  if (status == 0)
    status = give_keys(&setup, config, admission, KEYRING_WITNESS);
  return status == 0 ? run_witness(&setup.options, admission, config->keys.dir) : status;
}

static int start_broker(const Arguments *arguments, const Config *config) {
  Route *list = routes(&config->broker);
  BrokerOptions options = options_of(arguments, config, list);
  _cleanup_(admission_destroy) Admission *admission = NULL;
  char name[KEYRING_NAME_SIZE];
  Setup setup;
  int status = open_keys(config, keyring_broker_name(options.core.name, name), &admission);

  options.admission = admission;
  if (status == 0)
    status = check_endpoints(&options, config);

  if (!arguments->n_endpoints)
    mkdir(config->runtime_dir, 0750); /* an endpoint in it says clearly enough when this failed */
  if (setup_authority(&setup, config, options.core.name, options.core.site, options.core.incarnation)) {
    make_folders(config->state_dir);
    options.authority = &setup.options;
    options.core.has_peer = setup.options.peer != NULL;
    if (status == 0)
      status = give_keys(&setup, config, admission, options.core.name);
  }
  if (status == 0)
    status = run(&options, config->keys.dir);
  free_routes(list, config->broker.routes_count);
  return status;
}

static int start(const Arguments *arguments, const Config *config) {
  LogLevel level = LOG_LEVEL_INFO;

  if (log_level_parse(arguments->log_level ? arguments->log_level : config->log.level, &level) < 0) {
    fprintf(stderr, "pons-broker: --log-level is one of error, warning, info, debug\n");
    return EXIT_USAGE;
  }
  log_setup_process(arguments->witness ? "pons-witness" : "pons-broker", level);
  return arguments->witness ? start_witness(config) : start_broker(arguments, config);
}

/* That a crash can't be recorded is no reason not to run. */
static void set_up_crash(const char *record) {
  int r = crash_setup("pons-broker", record);

  if (r < 0)
    fprintf(stderr, "pons-broker: the crash record %s can't be made: %s; a crash is told here\n", record ? record : "",
            strerror(-r));
}

int main(int argc, char **argv) {
  _cleanup_(config_destroy) Config *config = NULL;
  Arguments arguments = {0};
  int status = parse(argc, argv, &arguments);

  if (status >= 0)
    return status;
  loop_block_signals();
  loop_raise_nofile(NULL);
  table_seed(random_u64());
  set_up_crash(arguments.crash_record);
  status = load(&arguments, &config);
  if (status == 0)
    status = start(&arguments, config);
  return status;
}
