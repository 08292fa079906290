/* RequestCoordinator: says how large a request is and what it needs, writes that beside it, and hands it on. */
#include <unistd.h>

#include "agents/request_coordinator/classify.h"
#include "bus/agent/agent.h"
#include "bus/config/config.h"

static ClassifyRules rules;
static Buffer annotations; /* written anew for each request; handlers run one at a time */

/* Answers what is no request at all. Returns whether *ret is measured. */
static bool measure(Call *call, Text request, Footprint *ret) {
  JsonFault fault = {.reason = 0};
  int r = footprint_measure(request, ret, &fault);

  if (r == FOOTPRINT_E_JSON)
    call_error_full(call, STATUS_INVALID, "request", 0, "the request is no JSON, line %u, column %u: %s", fault.line,
                    fault.column, fault.message);
  else if (r == FOOTPRINT_E_OBJECT)
    call_error_full(call, STATUS_INVALID, "request", 0, "the request is no JSON object; write {\"messages\": [...]}");
  return r == 0;
}

/* Hands the call on to a method of ModelManagerSuite with route beside it. */
static void hand_on(Call *call, const char *method, ChatRoute *route) {
  const CallTarget target = {TEXT("ModelManagerSuite"), text_of(method)};
  ContractFault fault;

  route->sticky = call_annotation(call, "sticky");
  route->has_sticky = route->sticky.size > 0;
  buffer_clear(&annotations);
  if (contract_encode(CONTRACT(ChatRoute), route, &annotations, &fault) != 0)
    call_error_full(call, STATUS_INVALID, "sticky", 0, "the annotation does not fit: %s: %s", fault.path,
                    fault.message);
  else
    call_forward(call, &target, 1, buffer_bytes(&annotations));
}

AGENT_HANDLER(on_chat, Call *call, const ChatAsk *ask) {
  Footprint footprint;
  ChatRoute route = {.has_size = false};

  if (!measure(call, ask->request, &footprint))
    return;
  footprint.is_embedding = false; /* who asks for an embedding calls embed */
  classify_request(&footprint, call_priority(call), &rules, &route);
  hand_on(call, "chat", &route);
}

AGENT_HANDLER(on_embed, Call *call, const EmbedAsk *ask) {
  Footprint footprint;
  ChatRoute route = {.has_size = false};

  if (!measure(call, ask->request, &footprint))
    return;
  footprint.is_embedding = true;
  classify_request(&footprint, call_priority(call), &rules, &route);
  hand_on(call, "embed", &route);
}

AGENT_HANDLER(on_explain, Call *call, const ChatAsk *ask) {
  ClassifyWhy why;
  Footprint footprint;
  ChatRoute route = {.has_size = false};

  if (!measure(call, ask->request, &footprint))
    return;
  classify_request(&footprint, call_priority(call), &rules, &route);
  classify_explain(&footprint, call_priority(call), &rules, &why);
  route.has_reasons = true;
  route.reasons.items = why.rows;
  route.reasons.count = CLASSIFY_REASONS;
  hand_on(call, "explain", &route);
}

static int init(Runtime *runtime) {
  _cleanup_(config_destroy) Config *config = NULL;
  int r = config_load_and_tell(&config);

  (void)runtime;
  if (r < 0)
    return r;
  rules = (ClassifyRules){config->coordinator.heavy_tokens, config->coordinator.output_tokens};
  return 0;
}

static void done(Runtime *runtime) {
  (void)runtime;
  buffer_done(&annotations);
}

static const Agent agent = {
    .name = "request_coordinator",
    .about = "classifies requests and hands them on",
    .services =
        AGENT_SERVICES({"RequestCoordinator", .methods = AGENT_METHODS({"chat", on_chat, .inline_ = true},
                                                                       {"embed", on_embed, .inline_ = true},
                                                                       {"explain", on_explain, .inline_ = true})}),
    .init = init,
    .done = done,
};
PONS_AGENT(agent)
