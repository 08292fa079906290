/* ModelManagerSuite: chooses the models that may do a request, hands it on to the first, and keeps the books. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/model_manager_suite/ledger.h"
#include "agents/model_manager_suite/wish.h"
#include "bus/agent/agent.h"
#include "bus/config/config.h"

/* The process; handlers run one at a time. */
typedef struct Manager {
  Config *config;
  ModelTable table;
  Ledger ledger;
  Arena arena;        /* lists of the route that is being read */
  Buffer names;       /* of the wish that is being read */
  Buffer annotations; /* the route that is being written */
} Manager;

/* --- choosing --- */

/* The route as it came; an empty one where somebody asks without RequestCoordinator. */
static void read_route(Manager *manager, Call *call, ChatRoute *ret) {
  Bytes annotations = call_annotations(call);

  arena_clear(&manager->arena);
  if (annotations.size == 0 || contract_decode(CONTRACT(ChatRoute), annotations, &manager->arena, ret, NULL) != 0)
    *ret =
        (ChatRoute){.has_sticky = call_annotation(call, "sticky").size > 0, .sticky = call_annotation(call, "sticky")};
}

static void answer_refused(Call *call, int r, const Wish *wish, const Candidates *chosen) {
  char message[400];
  CallFault fault = {.status = STATUS_REFUSED, .path = TEXT("model"), .code = TEXT("model_not_found")};

  switch (r) {
  case CANDIDATES_E_UNKNOWN:
    fault.http_status = 404;
    snprintf(message, sizeof message, "there is no model '%.*s'; ask for one of /v1/models, or for auto",
             TEXT_ARG(chosen->wrong));
    break;
  case CANDIDATES_E_KIND:
    fault.http_status = 404;
    snprintf(message, sizeof message, "'%.*s' is no %s model; ask another model", TEXT_ARG(chosen->wrong),
             wish->is_embedding ? "embedding" : "chat");
    break;
  case CANDIDATES_E_CONTEXT:
    fault.http_status = 400;
    fault.path = TEXT("messages");
    fault.code = TEXT("context_length_exceeded");
    snprintf(message, sizeof message,
             "the request needs about %" PRIu64
             " tokens of context, prompt and longest answer together, and the largest "
             "model that may do it has %" PRIu64 " (context_tokens in pons.yaml); shorten it, lower max_tokens, or "
             "ask another model",
             wish->route->tokens, chosen->largest_context);
    break;
  default:
    fault.http_status = 503;
    fault.code = TEXT("no_models");
    snprintf(message, sizeof message,
             "pons.yaml has no model of kind %s; add one under models:", wish->is_embedding ? "embedding" : "chat");
  }
  fault.message = text_of(message);
  call_fail(call, &fault);
}

/* Chooses for a call; answers it where that is impossible. Returns whether *ret has candidates. */
static bool choose(Manager *manager, Call *call, Text request, Wish *wish, Candidates *ret, CandidatesWhy *why) {
  WishFault fault = {.path = NULL};
  int r;

  buffer_clear(&manager->names);
  if (wish_read(request, &manager->names, wish, &fault) != 0) {
    call_error_full(call, STATUS_INVALID, fault.path, 0, "%s", fault.message);
    return false;
  }
  r = candidates_choose(&manager->table, manager->ledger.healths, wish, loop_now_us(runtime_loop(call_runtime(call))),
                        ret, why);
  if (r != 0)
    answer_refused(call, r, wish, ret);
  return r == 0;
}

/* Writes the candidates into the route; rows must live as long as it. */
static void set_candidates(ChatRoute *route, const Candidates *chosen, ChatCandidate *rows) {
  for (uint32_t i = 0; i < chosen->count; i++)
    rows[i] = (ChatCandidate){.model = chosen->models[i]->name, .executor = chosen->models[i]->executor};
  route->has_candidates = true;
  route->candidates.items = rows;
  route->candidates.count = chosen->count;
  route->has_next = true;
  route->next = 0;
  route->has_failures = false;
}

/* The encoded route, with as many candidates as fit into annotations: names may be long. */
static Bytes encode_route(Manager *manager, ChatRoute *route) {
  do {
    buffer_clear(&manager->annotations);
    if (contract_encode(CONTRACT(ChatRoute), route, &manager->annotations, NULL) != 0)
      abort(); /* it is made of what contracts and pons.yaml have passed */
  } while (manager->annotations.size > LIMIT_ANNOTATIONS_BYTES && --route->candidates.count > 0);
  return buffer_bytes(&manager->annotations);
}

/* Chooses, and hands the call on to `method` of the candidates' services. */
static void hand_on(Call *call, Text request, bool is_embedding, const char *method) {
  Manager *manager = call_state(call);
  ChatCandidate rows[CANDIDATES_MAX];
  CallTarget targets[LIMIT_FORWARD_TARGETS];
  Text services[LIMIT_FORWARD_TARGETS];
  ChatRoute route;
  Wish wish = {.is_embedding = is_embedding, .route = &route};
  Candidates chosen;
  size_t count;

  read_route(manager, call, &route);
  route.has_reasons = false;
  if (!choose(manager, call, request, &wish, &chosen, NULL))
    return;
  health_try(&manager->ledger.healths[chosen.models[0]->index], loop_now_us(runtime_loop(call_runtime(call))));
  set_candidates(&route, &chosen, rows);
  count = candidates_services(&chosen, services, LIMIT_FORWARD_TARGETS);
  for (size_t i = 0; i < count; i++)
    targets[i] = (CallTarget){services[i], text_of(method)};
  call_forward(call, targets, count, encode_route(manager, &route));
}

AGENT_HANDLER(on_chat, Call *call, const ChatAsk *ask) {
  hand_on(call, ask->request, false, "generate");
}

AGENT_HANDLER(on_embed, Call *call, const EmbedAsk *ask) {
  hand_on(call, ask->request, true, "embed");
}

AGENT_HANDLER(on_explain, Call *call, const ChatAsk *ask) {
  Manager *manager = call_state(call);
  ChatReason reasons[16];
  ChatCandidate rows[CANDIDATES_MAX];
  CandidatesWhy why;
  ChatRoute route;
  Wish wish = {.route = &route};
  Candidates chosen;
  ChatDecision decision = {.reasons = {reasons, 0}};

  read_route(manager, call, &route);
  wish.is_embedding = text_is(route.profile, "embedding");
  if (!choose(manager, call, ask->request, &wish, &chosen, &why))
    return;
  for (size_t i = 0; route.has_reasons && i < route.reasons.count; i++)
    reasons[decision.reasons.count++] = route.reasons.items[i];
  for (size_t i = 0; i < why.count; i++)
    reasons[decision.reasons.count++] = why.rows[i];
  route.has_reasons = false;
  set_candidates(&route, &chosen, rows);
  decision.route = route;
  call_reply(call, &decision);
}

/* --- the books --- */

static ModelRow row_of(const Manager *manager, const Model *model, uint64_t now_us) {
  const LedgerSums *sums = &manager->ledger.sums[model->index];
  HealthState state = health_state(&manager->ledger.healths[model->index], now_us);

  return (ModelRow){
      .name = model->name,
      .kind = text_of(model->kind),
      .executor = model->executor,
      .has_provider = model->provider.size > 0,
      .provider = model->provider,
      .size = text_of(model_size_name(model->size)),
      .context_tokens = model->context_tokens,
      .has_input_nano_usd = model->input.is_known,
      .input_nano_usd = model->input.nano_usd,
      .has_cached_nano_usd = model->cached.is_known,
      .cached_nano_usd = model->cached.nano_usd,
      .has_cache_write_nano_usd = model->cache_write.is_known,
      .cache_write_nano_usd = model->cache_write.nano_usd,
      .has_output_nano_usd = model->output.is_known,
      .output_nano_usd = model->output.nano_usd,
      .has_batch_input_nano_usd = model->batch_input.is_known,
      .batch_input_nano_usd = model->batch_input.nano_usd,
      .has_batch_output_nano_usd = model->batch_output.is_known,
      .batch_output_nano_usd = model->batch_output.nano_usd,
      .has_prices_date = model->prices_date.size > 0,
      .prices_date = model->prices_date,
      .has_prices_source = model->prices_source.size > 0,
      .prices_source = model->prices_source,
      .has_can = model->can_count > 0,
      .can = {model->can, model->can_count},
      .state = text_of(health_state_name(state)),
      .requests = sums->requests,
      .failures = sums->failures,
      .input_tokens = sums->input_tokens,
      .output_tokens = sums->output_tokens,
      .cost_nano_usd = sums->cost_nano_usd,
      .has_unpriced = sums->unpriced > 0,
      .unpriced = sums->unpriced,
  };
}

AGENT_HANDLER(on_models, Call *call, const ModelsAsk *ask) {
  Manager *manager = call_state(call);
  uint64_t now_us = loop_now_us(runtime_loop(call_runtime(call)));
  ModelRow *rows = calloc(manager->table.count + 1, sizeof *rows);

  (void)ask;
  if (!rows)
    abort();
  for (uint32_t i = 0; i < manager->table.count; i++)
    rows[i] = row_of(manager, &manager->table.rows[i], now_us);
  call_reply(call, &(Models){.models = {rows, manager->table.count}});
  free(rows);
}

/* Tells watchers what is new; nobody waits for them. */
static void publish(Call *call, const Settlement *rows, size_t count) {
  _cleanup_(buffer_done) Buffer body = {0};

  if (count > 0 && contract_encode(CONTRACT(Settle), &(Settle){.settlements = {rows, count}}, &body, NULL) == 0)
    client_publish(call_client(call), TEXT("usage.settled"), buffer_bytes(&body), false);
}

AGENT_HANDLER(on_settle, Call *call, const Settle *settle) {
  Manager *manager = call_state(call);
  Settlement counted[64];
  Settled settled = {.counted = 0};

  for (size_t i = 0; i < settle->settlements.count; i++)
    if (ledger_settle(&manager->ledger, &settle->settlements.items[i], loop_now_us(runtime_loop(call_runtime(call)))))
      counted[settled.counted++] = settle->settlements.items[i];
  publish(call, counted, settled.counted);
  call_reply(call, &settled);
}

/* --- the process --- */

static void done(Runtime *runtime) {
  Manager *manager = runtime_state(runtime);

  ledger_done(&manager->ledger);
  model_table_done(&manager->table);
  config_destroy(&manager->config);
  arena_done(&manager->arena);
  buffer_done(&manager->names);
  buffer_done(&manager->annotations);
}

static int init(Runtime *runtime) {
  static Manager manager;
  int r = config_load_and_tell(&manager.config);

  if (r < 0)
    return r;
  model_table_init(&manager.table, manager.config);
  ledger_init(&manager.ledger, &manager.table);
  runtime_set_state(runtime, &manager);
  return 0;
}

static const Agent agent = {
    .name = "model_manager_suite",
    .about = "chooses models and keeps the books",
    .services = AGENT_SERVICES(
        {"ModelManagerSuite",
         .methods = AGENT_METHODS({"chat", on_chat, .inline_ = true}, {"embed", on_embed, .inline_ = true},
                                  {"explain", on_explain, .inline_ = true}, {"models", on_models, .inline_ = true},
                                  {"settle", on_settle, .inline_ = true})}),
    .init = init,
    .done = done,
};
PONS_AGENT(agent)
