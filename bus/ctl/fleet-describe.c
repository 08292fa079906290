/* What is told of the fleet: to a log for who must act, and as JSON for `pons up`, `pons status` and scripts. */
#include <stdio.h>
#include <unistd.h>

#include "bus/base/log.h"
#include "bus/ctl/fleet-internal.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/jsontext.h"

const char *fleet_name(const FleetChild *child) {
  return child->fleet->plan->children[child->index].name;
}

static const SuperviseChild *view(const FleetChild *child) {
  return supervise_child(child->fleet->supervisor, child->index);
}

/* "" or why it was ended, in words. */
static const char *reason_text(const FleetChild *child) {
  static const char *const texts[] = {
      [CHILD_REASON_NONE] = "",
      [CHILD_REASON_EXITED] = "",
      [CHILD_REASON_START_TIMEOUT] = "it was not ready in time",
      [CHILD_REASON_WATCHDOG] = "its watchdog was silent",
      [CHILD_REASON_STOP_TIMEOUT] = "it did not stop in time",
  };

  return texts[view(child)->reason];
}

static void print_end(const FleetChild *child, Buffer *ret) {
  const char *reason = reason_text(child);

  buffer_printf(ret, "%s", child->end);
  if (*reason)
    buffer_printf(ret, ", %s", reason);
}

void fleet_log_end(const FleetChild *child) {
  _cleanup_(buffer_done) Buffer text = {0};
  const SuperviseChild *seen = view(child);

  print_end(child, &text);
  if (seen->state == CHILD_BACKOFF) {
    buffer_printf(&text, "; next start in ");
    grid_print_span(&text, seen->due_us - seen->since_us);
  }
  if (seen->state == CHILD_BACKOFF || seen->reason == CHILD_REASON_STOP_TIMEOUT)
    log_warning("PONS-CHILD-ENDED", "%s: %.*s", fleet_name(child), (int)text.size, (const char *)text.data);
  else if (seen->state == CHILD_STOPPED)
    log_info("PONS-CHILD-STOPPED", "%s: %.*s", fleet_name(child), (int)text.size, (const char *)text.data);
}

void fleet_log_degraded(const FleetChild *child) {
  _cleanup_(buffer_done) Buffer text = {0};
  const SuperviseChild *seen = view(child);
  const ConfigAgent *agent = child->fleet->plan->children[child->index].agent;

  print_end(child, &text);
  log_error("PONS-CHILD-DEGRADED", "%s: %.*s; degraded: %s%s is spent after %u restarts; next try in a minute",
            fleet_name(child), (int)text.size, (const char *)text.data,
            seen->spent == CHILD_BUDGET_GROUP ? "the restart budget of group " : "its restart budget",
            seen->spent == CHILD_BUDGET_GROUP ? agent->group : "", seen->restarts);
}

bool fleet_is_ready(const Fleet *fleet) {
  SuperviseCount count = supervise_count(fleet->supervisor);

  return count.in[CHILD_READY] == count.all;
}

bool fleet_has_broker(const Fleet *fleet) {
  return supervise_child(fleet->supervisor, 0)->state == CHILD_READY;
}

static const char *fleet_state(const Fleet *fleet) {
  if (fleet->stopping)
    return "stopping";
  if (supervise_count(fleet->supervisor).in[CHILD_DEGRADED])
    return "degraded";
  return fleet_is_ready(fleet) ? "ready" : "starting";
}

/* Since when, as microseconds since 1970. */
static json_int_t since_us(const FleetChild *child) {
  uint64_t age_us = clock_monotonic_us() - view(child)->since_us;

  return (json_int_t)(view(child)->since_us ? clock_realtime_us() - age_us : child->fleet->started_us);
}

static json_t *strings(char *const *texts, uint32_t count) {
  json_t *array = json_array();

  for (uint32_t i = 0; i < count; i++)
    json_array_append_new(array, jsontext_new(text_of(texts[i])));
  return array;
}

static json_t *endpoints_of(const FleetChild *child) {
  const Config *config = child->fleet->plan->config;

  const PlanChild *planned = &child->fleet->plan->children[child->index];

  if (planned->is_other)
    return strings(config->other_broker.endpoints, config->other_broker.endpoints_count);
  if (!planned->agent)
    return strings(config->broker.listen, config->broker.listen_count);
  return strings(config->client.endpoints, config->client.endpoints_count);
}

static json_t *describe_child(const FleetChild *child) {
  const PlanChild *planned = &child->fleet->plan->children[child->index];
  const SuperviseChild *seen = view(child);
  _cleanup_(buffer_done) Buffer end = {0};

  if (child->end[0])
    print_end(child, &end);
  return json_pack("{s:s, s:s, s:s, s:o, s:i, s:s, s:i, s:I, s:o, s:o, s:o, s:o}", "name", planned->name, "agent",
                   planned->agent ? planned->agent->name : "", "group", planned->agent ? planned->agent->group : "",
                   "program", jsontext_new(text_of(child->program)), "pid", (int)child->pid, "state",
                   child_state_name(seen->state), "restarts", (int)seen->restarts, "since_us", since_us(child),
                   "endpoints", endpoints_of(child), "says", jsontext_new(text_of(child->status)), "last_end",
                   jsontext_new((Text){(const char *)end.data, end.size}), "last_output",
                   jsontext_new(text_of(child->lines.last)));
}

json_t *fleet_describe(const Fleet *fleet) {
  const Plan *plan = fleet->plan;
  json_t *processes = json_array();

  for (uint32_t i = 0; i < plan->count; i++)
    json_array_append_new(processes, describe_child(fleet->children[i]));
  return json_pack("{s:s, s:i, s:s, s:o, s:o, s:I, s:o}", "state", fleet_state(fleet), "pid", (int)getpid(), "profile",
                   plan->profile->name, "config", jsontext_new(text_of(plan->config->source)), "runtime_dir",
                   jsontext_new(text_of(plan->config->runtime_dir)), "since_us", (json_int_t)fleet->started_us,
                   "processes", processes);
}
