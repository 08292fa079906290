/* The worker of the pons peer: an agent as anybody writes it, whose one method sends back what it gets. */
#include "bus/agent/agent.h"

static void on_echo(Call *call, const void *request) {
  (void)request;
  call_reply_raw(call, call_body(call), NULL, call_content_type(call));
}

static const AgentMethod methods[] = {
    {.name = "echo", .handler = on_echo, .inline_ = true, .untyped = true, .flags = METHOD_IDEMPOTENT},
    {.name = NULL},
};

static const Agent agent = {
    .name = "bench-worker",
    .about = "sends back what it gets",
    .services = AGENT_SERVICES({.name = "bench", .methods = methods}),
};
PONS_AGENT(agent)
