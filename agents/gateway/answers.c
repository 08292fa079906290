/* The routes that tell of the fleet: models, health, readiness, explain, metrics. */
#include <inttypes.h>
#include <stdio.h>

#include "agents/gateway/asked.h"
#include "agents/gateway/gateway-internal.h"

/* Reads what a fetch has kept. Answers the request when it does not fit. */
static bool read_fetched(HttpRequest *request, const Fetch *fetch, Arena *arena, void *ret) {
  ContractFault fault = {.reason = 0};

  if (contract_decode(fetch->method->reply, block_bytes(fetch->block), arena, ret, &fault) == 0)
    return true;
  respond_error(request, 502, "bad_reply", NULL, "%s.%s answered what does not fit its contract: %s: %s",
                fetch->method->service, fetch->method->method, fault.path, fault.message);
  return false;
}

static void put_member(Buffer *json, const char *before, const char *name, Text text) {
  buffer_printf(json, "%s\"%s\":", before, name);
  json_put_string(json, text);
}

/* --- models --- */

/* OpenAI's fields first; what is ours follows under `pons`. */
static void put_model(const Gateway *gateway, const ModelRow *row, Buffer *json) {
  put_member(json, "{", "id", row->name);
  buffer_printf(json, ",\"object\":\"model\",\"created\":%" PRIu64, gateway->started_us / US_PER_S);
  put_member(json, ",", "owned_by", row->has_provider ? row->provider : TEXT("pons"));
  put_member(json, ",\"pons\":{", "kind", row->kind);
  put_member(json, ",", "size", row->size);
  put_member(json, ",", "executor", row->executor);
  put_member(json, ",", "state", row->state);
  buffer_printf(json, ",\"context_tokens\":%" PRIu64 "}}", row->context_tokens);
}

static void on_models(HttpRequest *request) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  Buffer json = {0};
  Models models;

  if (!read_fetched(request, &request->gateway->table, &arena, &models))
    return;
  buffer_printf(&json, "{\"object\":\"list\",\"data\":[");
  for (size_t i = 0; i < models.models.count; i++) {
    buffer_append(&json, ",", i > 0);
    put_model(request->gateway, &models.models.items[i], &json);
  }
  buffer_printf(&json, "]}\n");
  respond_json(request, 200, &json);
}

void answer_models(HttpRequest *request) {
  fetch_get(&request->gateway->table, request, on_models);
}

static void on_model(HttpRequest *request) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  Buffer json = {0};
  Models models;

  if (!read_fetched(request, &request->gateway->table, &arena, &models))
    return;
  for (size_t i = 0; i < models.models.count; i++)
    if (text_equal(models.models.items[i].name, request->rest)) {
      put_model(request->gateway, &models.models.items[i], &json);
      buffer_append(&json, "\n", 1);
      respond_json(request, 200, &json);
      return;
    }
  respond_error(request, 404, "model_not_found", "model", "there is no model '%.*s'; GET /v1/models lists them",
                (int)min_u64(request->rest.size, 128), request->rest.data);
}

void answer_model(HttpRequest *request) {
  fetch_get(&request->gateway->table, request, on_model);
}

/* --- health --- */

static bool is_of(const PonsInstance *row, Text name) {
  return text_equal(row->service, name) || (row->instance.size > name.size && row->instance.data[name.size] == ':' &&
                                            memcmp(row->instance.data, name.data, name.size) == 0);
}

/* An agent of the catalogue or of pons.yaml, or a service that has a contract. */
static bool is_known(const Gateway *gateway, Text name) {
  static const char *const agents[] = {
#define AGENT(name, program, group, secrets, about) #name,
#include "agents/catalog.def"
#undef AGENT
  };
  const MethodContract *method;

  for (size_t i = 0; i < ELEMENTS(agents); i++)
    if (text_is(name, agents[i]))
      return true;
  for (uint32_t i = 0; i < gateway->config->agents_count; i++)
    if (text_is(name, gateway->config->agents[i].name))
      return true;
  for (size_t i = 0; (method = contract_method_at(i)); i++)
    if (text_is(name, method->service))
      return true;
  return false;
}

static void put_instance(const PonsInstance *row, Buffer *json) {
  put_member(json, "{", "instance", row->instance);
  put_member(json, ",", "service", row->service);
  put_member(json, ",", "state", row->state);
  put_member(json, ",", "site", row->site);
  buffer_printf(json, ",\"credit\":%" PRIu64 ",\"outstanding\":%" PRIu64 "}", row->credit, row->outstanding);
}

/* Appends the instances of name (empty = all). Returns how many are ready; *ret_rows is how many there are. */
static size_t put_instances(const PonsRegistry *registry, Text name, Buffer *json, size_t *ret_rows) {
  size_t ready = 0;

  *ret_rows = 0;
  buffer_printf(json, ",\"instances\":[");
  for (size_t i = 0; i < registry->instances.count; i++) {
    const PonsInstance *row = &registry->instances.items[i];

    if (name.size && !is_of(row, name))
      continue;
    buffer_append(json, ",", *ret_rows > 0);
    put_instance(row, json);
    ready += text_is(row->state, "ready");
    (*ret_rows)++;
  }
  buffer_printf(json, "]}\n");
  return ready;
}

static void on_health(HttpRequest *request) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  Buffer json = {0};
  PonsRegistry registry;
  size_t rows;

  if (!read_fetched(request, &request->gateway->registry, &arena, &registry))
    return;
  put_member(&json, "{", "status", TEXT("up"));
  put_member(&json, ",", "broker", client_broker(request->gateway->client));
  put_instances(&registry, TEXT_NONE, &json, &rows);
  respond_json(request, 200, &json);
}

/* Without a session there is nothing to wait for. */
static bool has_session(HttpRequest *request) {
  if (client_state(request->gateway->client) == CLIENT_OPEN)
    return true;
  respond_error(request, 503, "unavailable", NULL, "the gateway has no session with a broker; `pons status` says more");
  return false;
}

void answer_health(HttpRequest *request) {
  if (has_session(request))
    fetch_get(&request->gateway->registry, request, on_health);
}

static void on_agent_health(HttpRequest *request) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  _cleanup_(buffer_done) Buffer instances = {0};
  Buffer json = {0};
  PonsRegistry registry;
  size_t rows, ready;

  if (!read_fetched(request, &request->gateway->registry, &arena, &registry))
    return;
  ready = put_instances(&registry, request->rest, &instances, &rows);
  if (rows == 0 && !is_known(request->gateway, request->rest)) {
    respond_error(request, 404, "unknown_agent", NULL, "nobody knows an agent or service '%.*s'",
                  (int)min_u64(request->rest.size, 64), request->rest.data);
    return;
  }
  put_member(&json, "{", "name", request->rest);
  put_member(&json, ",", "status", ready ? TEXT("up") : TEXT("down"));
  buffer_append(&json, instances.data, instances.size);
  respond_json(request, ready ? 200 : 503, &json);
}

void answer_agent_health(HttpRequest *request) {
  if (has_session(request))
    fetch_get(&request->gateway->registry, request, on_agent_health);
}

static bool is_ready(const PonsRegistry *registry, Text service) {
  for (size_t i = 0; i < registry->instances.count; i++)
    if (text_equal(registry->instances.items[i].service, service) &&
        text_is(registry->instances.items[i].state, "ready"))
      return true;
  return false;
}

static const char *word_of(bool yes) {
  return yes ? "true" : "false";
}

/* model: some model for chats whose executor is there. */
static void tell_ready(HttpRequest *request, bool coordinator, bool models, bool model) {
  bool all = coordinator && models && model;
  Buffer json = {0};

  buffer_printf(&json, "{\"ready\":%s,\"RequestCoordinator\":%s,\"ModelManagerSuite\":%s,\"model\":%s}\n", word_of(all),
                word_of(coordinator), word_of(models), word_of(model));
  respond_json(request, all ? 200 : 503, &json);
}

static bool can_chat(const Models *models, const PonsRegistry *registry) {
  for (size_t i = 0; i < models->models.count; i++)
    if (text_is(models->models.items[i].kind, "chat") && is_ready(registry, models->models.items[i].executor))
      return true;
  return false;
}

/* The registry was fetched before the table, and is still kept. */
static void on_ready_table(HttpRequest *request) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  PonsRegistry registry;
  Models models;

  if (read_fetched(request, &request->gateway->registry, &arena, &registry) &&
      read_fetched(request, &request->gateway->table, &arena, &models))
    tell_ready(request, true, true, can_chat(&models, &registry));
}

static void on_ready_registry(HttpRequest *request) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  PonsRegistry registry;
  bool coordinator, models;

  if (!read_fetched(request, &request->gateway->registry, &arena, &registry))
    return;
  coordinator = is_ready(&registry, TEXT("RequestCoordinator"));
  models = is_ready(&registry, TEXT("ModelManagerSuite"));
  if (coordinator && models)
    fetch_get(&request->gateway->table, request, on_ready_table);
  else
    tell_ready(request, coordinator, models, false);
}

void answer_ready(HttpRequest *request) {
  if (has_session(request))
    fetch_get(&request->gateway->registry, request, on_ready_registry);
}

/* --- metrics --- */

static const char metrics_type[] = "text/plain; version=0.0.4; charset=utf-8";

static void on_stats(HttpRequest *request) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  Buffer text = {0};
  PonsStats stats;

  if (!read_fetched(request, &request->gateway->stats, &arena, &stats))
    return;
  metrics_print(&request->gateway->metrics, &text);
  for (size_t i = 0; i < stats.counters.count; i++) {
    const PonsCounter *row = &stats.counters.items[i];

    buffer_printf(&text, "# HELP pons_broker_%.*s Figure %.*s of pons.stats.\n# TYPE pons_broker_%.*s untyped\n",
                  TEXT_ARG(row->name), TEXT_ARG(row->name), TEXT_ARG(row->name));
    buffer_printf(&text, "pons_broker_%.*s %" PRIu64 "\n", TEXT_ARG(row->name), row->value);
  }
  respond_text(request, 200, metrics_type, &text);
}

/* Without a broker its figures are missing; those of the gateway are then needed most. */
void answer_metrics(HttpRequest *request) {
  Buffer text = {0};

  if (client_state(request->gateway->client) == CLIENT_OPEN) {
    fetch_get(&request->gateway->stats, request, on_stats);
    return;
  }
  metrics_print(&request->gateway->metrics, &text);
  respond_text(request, 200, metrics_type, &text);
}

/* --- explain --- */

static void put_uint(Buffer *json, const char *name, bool has, uint64_t value) {
  if (has)
    buffer_printf(json, ",\"%s\":%" PRIu64, name, value);
}

static void put_decision(const ChatDecision *decision, Buffer *json) {
  const ChatRoute *route = &decision->route;

  put_member(json, "{", "size", route->size);
  put_member(json, ",", "profile", route->profile);
  put_member(json, ",", "latency", route->latency);
  put_uint(json, "tokens", route->has_tokens, route->tokens);
  buffer_printf(json, ",\"candidates\":[");
  for (size_t i = 0; i < route->candidates.count; i++) {
    put_member(json, i ? ",{" : "{", "model", route->candidates.items[i].model);
    put_member(json, ",", "executor", route->candidates.items[i].executor);
    buffer_append(json, "}", 1);
  }
  buffer_printf(json, "],\"reasons\":[");
  for (size_t i = 0; i < decision->reasons.count; i++) {
    put_member(json, i ? ",{" : "{", "rule", decision->reasons.items[i].rule);
    put_member(json, ",", "because", decision->reasons.items[i].because);
    buffer_append(json, "}", 1);
  }
  buffer_printf(json, "]}\n");
}

static void on_explained(void *userdata, const Answer *answer) {
  _cleanup_(arena_done) Arena arena = {.chunks = NULL};
  HttpRequest *request = userdata;
  ContractFault fault = {.reason = 0};
  ChatDecision decision;
  Buffer json = {0};

  if (!ask_take(request, answer))
    return;
  if (answer_decode(request->asked, answer, &arena, &decision, &fault) != 0) {
    respond_error(request, 502, "bad_reply", NULL, "explain answered what does not fit its contract: %s: %s",
                  fault.path, fault.message);
    return;
  }
  put_decision(&decision, &json);
  respond_json(request, 200, &json);
}

static Text argument(const HttpRequest *request, const char *name, const char *otherwise) {
  const char *value = MHD_lookup_connection_value(request->connection->mhd, MHD_GET_ARGUMENT_KIND, name);

  return text_of(value ? value : otherwise);
}

/* GET: ?prompt=...&model=... becomes the request that a POST would bring. */
static void make_body(HttpRequest *request) {
  buffer_clear(&request->body);
  put_member(&request->body, "{", "model", argument(request, "model", "auto"));
  put_member(&request->body, ",\"messages\":[{\"role\":\"user\",", "content", argument(request, "prompt", ""));
  buffer_printf(&request->body, "}]}");
}

void answer_explain(HttpRequest *request) {
  AskedFault fault;
  bool stream;

  if (request->method != HTTP_POST)
    make_body(request);
  if (asked_chat((Text){(const char *)request->body.data, request->body.size}, &stream, &fault) != 0)
    respond_error(request, 400, fault.code, fault.param, "%s", fault.message);
  else
    ask_send(request, request->gateway->explain, false, &(AskHandler){.on_end = on_explained, .userdata = request});
}
