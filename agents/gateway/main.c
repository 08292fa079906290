/* pons-gateway: HTTP in, the bus behind it. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agents/gateway/gateway-internal.h"
#include "bus/base/log.h"
#include "bus/loop/limits-setup.h"

enum {
  REGISTRY_KEEP_US = 200000,
  STATS_KEEP_US = 1000000,
  TABLE_KEEP_US = 1000000,
  OWN_DESCRIPTORS = 64, /* that are not connections of clients */
};

static Gateway gateway;

/* {"limit": 4096}, so that a large fleet is seen whole. */
static const uint8_t whole_registry[] = "\x81\xa5limit\xcd\x10\x00";
static const uint8_t nothing[] = "\x80";

AGENT_HANDLER(on_status, Call *call, const GatewayAsk *ask) {
  Text listen[LISTENERS_MAX];
  const Metrics *metrics = &gateway.metrics;

  (void)ask;
  for (uint32_t i = 0; i < gateway.listeners_count; i++)
    listen[i] = text_of(gateway.listeners[i].address);
  call_reply(call, &(GatewayStatus){
                       .listen = {listen, gateway.listeners_count},
                       .connections = gateway.connections_count,
                       .running = gateway.running,
                       .connections_total = metrics_total(metrics, METRIC_CONNECTIONS_TOTAL),
                       .requests_total = metrics_total(metrics, METRIC_REQUESTS),
                       .streams_total = metrics_total(metrics, METRIC_STREAMS),
                       .streams_broken = metrics_total(metrics, METRIC_STREAMS_BROKEN),
                       .hangups_total = metrics_total(metrics, METRIC_HANGUPS),
                       .uptime_us = clock_realtime_us() - gateway.started_us,
                       .draining = gateway.is_draining,
                   });
}

/* Reads pons.yaml and the keys. What is wrong with them is said on standard error, without the keys. */
static int configure(void) {
  _cleanup_(buffer_done) Buffer findings = {0};
  int r = config_load_and_tell(&gateway.config);

  if (r == 0)
    r = keys_load(&gateway.config->gateway, &gateway.keys, &findings);
  fwrite(findings.data, 1, findings.size, stderr);
  return r > 0 ? -EINVAL : r;
}

static void count_models(void) {
  const Config *config = gateway.config;

  gateway.models = calloc(config->models_count + 1, sizeof *gateway.models);
  if (!gateway.models)
    abort();
  for (uint32_t i = 0; i < config->models_count; i++)
    gateway.models[i] = config->models[i].name;
  metrics_init(&gateway.metrics, gateway.models, config->models_count);
}

/* A descriptor that is a client's must not be the one by which a broker would be reached again. */
static void fit_connections(ConfigGateway *config) {
  uint64_t limit = 0;
  uint64_t room;

  if (loop_raise_nofile(&limit) < 0)
    return;
  room = (limit - min_u64(limit, OWN_DESCRIPTORS)) / max_u64(config->listen_count, 1);
  if (config->connections <= room)
    return;
  log_warning("PONS-GATEWAY-DESCRIPTORS",
              "gateway.connections is %" PRIu32 ", and the %" PRIu64
              " descriptors of this process are enough for %" PRIu64 " at each address; raise its limit (ulimit -n)",
              config->connections, limit, room);
  config->connections = (uint32_t)max_u64(room, 1);
}

static int init(Runtime *runtime) {
  int r = configure();

  if (r < 0)
    return r;
  gateway.runtime = runtime;
  gateway.loop = runtime_loop(runtime);
  gateway.client = runtime_client(runtime);
  gateway.started_us = clock_realtime_us();
  gateway.chat = contract_find(TEXT("RequestCoordinator"), TEXT("chat"));
  gateway.embed = contract_find(TEXT("RequestCoordinator"), TEXT("embed"));
  gateway.explain = contract_find(TEXT("RequestCoordinator"), TEXT("explain"));
  list_init(&gateway.connections);
  count_models();
  fetch_init(&gateway.registry, &gateway, "pons", "registry", (Bytes){whole_registry, sizeof whole_registry - 1},
             REGISTRY_KEEP_US);
  fetch_init(&gateway.stats, &gateway, "pons", "stats", (Bytes){nothing, 1}, STATS_KEEP_US);
  fetch_init(&gateway.table, &gateway, "ModelManagerSuite", "models", (Bytes){nothing, 1}, TABLE_KEEP_US);
  fit_connections(&gateway.config->gateway);
  return server_inherits(&gateway) ? 0 : server_start(&gateway);
}

/* Beside another gateway, whose clients are not to be taken before they can be served. */
static int ready(Runtime *runtime) {
  (void)runtime;
  return gateway.listeners_count ? 0 : server_start(&gateway);
}

/* What runs is finished; the runtime waits for it. */
static void drain(Runtime *runtime) {
  gateway.is_draining = true;
  if (gateway.connections_count > 0) {
    gateway.is_held = true;
    runtime_begin_work(runtime);
  }
  server_drain(&gateway);
}

static void done(Runtime *runtime) {
  (void)runtime;
  server_stop(&gateway);
  fetch_done(&gateway.registry);
  fetch_done(&gateway.stats);
  fetch_done(&gateway.table);
  keys_done(&gateway.keys);
  metrics_done(&gateway.metrics);
  free(gateway.models);
  config_destroy(&gateway.config);
}

static const Agent agent = {
    .name = "gateway",
    .about = "HTTP in: the API of OpenAI, health and metrics",
    .services = AGENT_SERVICES({"Gateway", .methods = AGENT_METHODS({"status", on_status, .inline_ = true})}),
    .init = init,
    .ready = ready,
    .drain = drain,
    .done = done,
};
PONS_AGENT(agent)
