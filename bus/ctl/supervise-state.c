/* Times are CLOCK_MONOTONIC's: they mean the same to the next program, for it runs in the same process. */
#include "bus/ctl/supervise-state.h"

#include <errno.h>

#include "bus/base/clock.h"
#include "bus/ctl/supervise-internal.h"
#include "bus/ctl/view.h"

static json_t *save_budget(const Budget *budget) {
  json_t *taken = json_array();

  for (uint32_t i = 0; i < budget->count; i++)
    json_array_append_new(taken,
                          json_integer((json_int_t)budget->taken_us[(budget->first + i) % budget->spec.intensity]));
  return taken;
}

/* What a smaller budget has no room for is forgotten, the oldest first. */
static int load_budget(Budget *budget, const json_t *from) {
  size_t count = json_array_size(from);
  size_t skipped = count > budget->spec.intensity ? count - budget->spec.intensity : 0;

  if (!json_is_array(from))
    return -EINVAL;
  budget->first = 0;
  budget->count = (uint32_t)(count - skipped);
  for (uint32_t i = 0; i < budget->count; i++)
    budget->taken_us[i] = (uint64_t)json_integer_value(json_array_get(from, skipped + i));
  return 0;
}

json_t *supervise_save(const Supervisor *supervisor) {
  json_t *groups = json_array();

  for (uint32_t i = 0; i < supervisor->group_count; i++)
    json_array_append_new(groups, save_budget(&supervisor->groups[i]));
  return json_pack("{s:i, s:o}", "stage", (int)supervisor->stage, "groups", groups);
}

int supervise_load(Supervisor *supervisor, const json_t *from) {
  const json_t *groups = json_object_get(from, "groups");
  int r = json_is_integer(json_object_get(from, "stage")) && json_is_array(groups) ? 0 : -EINVAL;

  supervisor->stage = (uint32_t)view_number(from, "stage");
  supervisor->begun = true;
  for (uint32_t i = 0; r == 0 && json_array_size(groups) == supervisor->group_count && i < supervisor->group_count; i++)
    r = load_budget(&supervisor->groups[i], json_array_get(groups, i));
  return r;
}

json_t *supervise_save_child(const Supervisor *supervisor, uint32_t index) {
  const Child *child = &supervisor->children[index];
  const SuperviseChild *view = &child->view;

  return json_pack("{s:s, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:b, s:b, s:b, s:b, s:b, s:o}", "state",
                   child_state_name(view->state), "reason", (int)view->reason, "spent", (int)view->spent, "restarts",
                   (int)view->restarts, "failures", (int)view->failures, "since_us", (json_int_t)view->since_us,
                   "due_us", (json_int_t)(view->due_us == TIME_NEVER ? 0 : view->due_us), "ready_us",
                   (json_int_t)child->ready_us, "started", child->started, "slow_try", child->slow_try, "killed",
                   child->killed, "again", child->again, "was_ready", child->was_ready, "taken_us",
                   save_budget(&child->budget));
}

static bool find_state(const char *name, ChildState *ret) {
  for (ChildState state = CHILD_STOPPED; state < CHILD_STATE_END; state++)
    if (strcmp(child_state_name(state), name) == 0) {
      *ret = state;
      return true;
    }
  return false;
}

static bool is_true(const json_t *from, const char *key) {
  return json_is_true(json_object_get(from, key));
}

int supervise_load_child(Supervisor *supervisor, uint32_t index, const json_t *from) {
  Child *child = &supervisor->children[index];
  uint64_t due_us = view_number(from, "due_us");
  uint64_t reason = view_number(from, "reason");
  uint64_t spent = view_number(from, "spent");
  ChildState state;

  if (!find_state(view_text(from, "state"), &state) || reason > CHILD_REASON_STOP_TIMEOUT || spent > CHILD_BUDGET_GROUP)
    return -EINVAL;
  child->view = (SuperviseChild){.state = state,
                                 .reason = (ChildReason)reason,
                                 .spent = (ChildBudget)spent,
                                 .restarts = (uint32_t)view_number(from, "restarts"),
                                 .failures = (uint32_t)view_number(from, "failures"),
                                 .since_us = view_number(from, "since_us"),
                                 .due_us = due_us ? due_us : TIME_NEVER};
  child->ready_us = view_number(from, "ready_us");
  child->started = is_true(from, "started");
  child->slow_try = is_true(from, "slow_try");
  child->killed = is_true(from, "killed");
  child->again = is_true(from, "again");
  child->was_ready = is_true(from, "was_ready");
  if (due_us)
    heap_set(&supervisor->due, &child->due, due_us);
  return load_budget(&child->budget, json_object_get(from, "taken_us"));
}
