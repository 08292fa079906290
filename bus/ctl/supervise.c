/* Every child is in one state and has at most one thing that happens to it by time (its due_us), so the whole of it is
   one heap of due times and one switch. A restart costs a unit of two budgets, the child's and its group's; who finds
   either empty becomes DEGRADED instead, and is then tried once per retry_us. A slow try is free of budget: it is one
   start per minute, which can't become a loop. */
#include "bus/ctl/supervise-internal.h"

#include <errno.h>
#include <stdlib.h>

#include "bus/base/clock.h"

enum { DOUBLINGS_MAX = 30 }; /* of the back-off, so that a shift can't overflow */

static int budget_init(Budget *budget, SuperviseBudget spec) {
  budget->spec = spec;
  if (budget->spec.intensity > SUPERVISE_INTENSITY_MAX)
    budget->spec.intensity = SUPERVISE_INTENSITY_MAX;
  budget->taken_us = calloc(budget->spec.intensity + 1, sizeof *budget->taken_us);
  return budget->taken_us ? 0 : -ENOMEM;
}

/* True when a restart at now would be one too many. */
static bool budget_is_spent(Budget *budget, uint64_t now_us) {
  while (budget->count && now_us - budget->taken_us[budget->first] >= budget->spec.period_us) {
    budget->first = (budget->first + 1) % budget->spec.intensity;
    budget->count--;
  }
  return budget->count >= budget->spec.intensity;
}

static void budget_take(Budget *budget, uint64_t now_us) {
  budget->taken_us[(budget->first + budget->count) % budget->spec.intensity] = now_us;
  budget->count++;
}

static int fill(Supervisor *supervisor, const SuperviseSpec *specs, uint32_t children, const SuperviseBudget *groups,
                uint32_t group_count) {
  supervisor->children = calloc(children + 1, sizeof *supervisor->children);
  supervisor->groups = calloc(group_count + 1, sizeof *supervisor->groups);
  if (!supervisor->children || !supervisor->groups)
    return -ENOMEM;
  supervisor->size = children;
  supervisor->group_count = group_count;
  for (uint32_t i = 0; i < group_count; i++)
    if (budget_init(&supervisor->groups[i], groups[i]) < 0)
      return -ENOMEM;
  for (uint32_t i = 0; i < children; i++) {
    supervisor->children[i].spec = specs[i];
    supervisor->children[i].view.due_us = TIME_NEVER;
    if (budget_init(&supervisor->children[i].budget, specs[i].policy.budget) < 0)
      return -ENOMEM;
  }
  return 0;
}

int supervise_new(Supervisor **ret, const SuperviseSpec *specs, uint32_t children, const SuperviseBudget *groups,
                  uint32_t group_count) {
  _cleanup_(supervise_destroy) Supervisor *supervisor = NULL;
  int r;

  for (uint32_t i = 0; i < children; i++)
    if (specs[i].group != SUPERVISE_NO_GROUP && (specs[i].group < 0 || (uint32_t)specs[i].group >= group_count))
      return -EINVAL;
  supervisor = calloc(1, sizeof *supervisor);
  if (!supervisor)
    return -ENOMEM;
  r = fill(supervisor, specs, children, groups, group_count);
  if (r < 0)
    return r;
  *ret = TAKE(supervisor);
  return 0;
}

void supervise_destroy(Supervisor **supervisor) {
  Supervisor *s = *supervisor;

  if (!s)
    return;
  for (uint32_t i = 0; i < s->size; i++)
    free(s->children[i].budget.taken_us);
  for (uint32_t i = 0; i < s->group_count; i++)
    free(s->groups[i].taken_us);
  heap_done(&s->due);
  free(s->children);
  free(s->groups);
  free(s->actions);
  free(s);
  *supervisor = NULL;
}

static void act(Supervisor *supervisor, SuperviseActionType type, const Child *child) {
  if (supervisor->action_end == supervisor->action_room) {
    uint32_t room = supervisor->action_room ? 2 * supervisor->action_room : 64;
    SuperviseAction *grown = realloc(supervisor->actions, room * sizeof *grown);

    if (!grown)
      abort(); /* a few bytes per child: the machine is broken */
    supervisor->actions = grown;
    supervisor->action_room = room;
  }
  supervisor->actions[supervisor->action_end++] =
      (SuperviseAction){type, child ? (uint32_t)(child - supervisor->children) : 0};
}

bool supervise_next_action(Supervisor *supervisor, SuperviseAction *ret) {
  if (supervisor->action_first == supervisor->action_end) {
    supervisor->action_first = supervisor->action_end = 0;
    return false;
  }
  *ret = supervisor->actions[supervisor->action_first++];
  return true;
}

/* Moves child into state, in which something happens after_us from now; 0 = nothing does. */
static void enter(Supervisor *supervisor, Child *child, ChildState state, uint64_t now_us, uint64_t after_us) {
  if (child->view.state != state)
    child->view.since_us = now_us;
  child->view.state = state;
  child->view.spent = CHILD_BUDGET_NONE;
  child->view.due_us = after_us ? now_us + after_us : TIME_NEVER;
  if (after_us)
    heap_set(&supervisor->due, &child->due, child->view.due_us);
  else
    heap_remove(&supervisor->due, &child->due);
}

static void start(Supervisor *supervisor, Child *child, uint64_t now_us) {
  if (child->started)
    child->view.restarts++;
  child->started = true;
  child->killed = false;
  child->was_ready = false;
  enter(supervisor, child, CHILD_STARTING, now_us, child->spec.policy.start_timeout_us);
  act(supervisor, SUPERVISE_ACT_START, child);
}

static void degrade(Supervisor *supervisor, Child *child, ChildBudget spent, uint64_t now_us) {
  enter(supervisor, child, CHILD_DEGRADED, now_us, child->spec.policy.retry_us);
  child->view.spent = spent;
  act(supervisor, SUPERVISE_ACT_DEGRADED, child);
}

static uint64_t backoff_us(const Child *child) {
  const SupervisePolicy *policy = &child->spec.policy;
  uint32_t doublings = child->view.failures - 1;

  if (doublings >= DOUBLINGS_MAX || policy->backoff_first_us > (policy->backoff_longest_us >> doublings))
    return max_u64(policy->backoff_longest_us, 1);
  return max_u64(policy->backoff_first_us << doublings, 1);
}

/* The process of a child that is wanted has ended: start it again later, unless it did so too often. */
static void restart_later(Supervisor *supervisor, Child *child, uint64_t now_us) {
  Budget *group = child->spec.group == SUPERVISE_NO_GROUP ? NULL : &supervisor->groups[child->spec.group];

  if (child->was_ready && now_us - child->ready_us >= child->spec.policy.budget.period_us)
    child->view.failures = 0;
  child->view.failures++;
  if (child->slow_try || budget_is_spent(&child->budget, now_us)) {
    degrade(supervisor, child, CHILD_BUDGET_OWN, now_us);
  } else if (group && budget_is_spent(group, now_us)) {
    degrade(supervisor, child, CHILD_BUDGET_GROUP, now_us);
  } else {
    budget_take(&child->budget, now_us);
    if (group)
      budget_take(group, now_us);
    enter(supervisor, child, CHILD_BACKOFF, now_us, backoff_us(child));
  }
}

static bool has_process(const Child *child) {
  return child->view.state == CHILD_STARTING || child->view.state == CHILD_READY || child->view.state == CHILD_STOPPING;
}

static bool stage_is(const Supervisor *supervisor, uint32_t stage, ChildState state) {
  for (uint32_t i = 0; i < supervisor->size; i++)
    if (supervisor->children[i].spec.stage == stage && supervisor->children[i].view.state != state)
      return false;
  return true;
}

static uint32_t last_stage(const Supervisor *supervisor) {
  uint32_t last = 0;

  for (uint32_t i = 0; i < supervisor->size; i++)
    if (supervisor->children[i].spec.stage > last)
      last = supervisor->children[i].spec.stage;
  return last;
}

static void begin_stage(Supervisor *supervisor, uint32_t stage, uint64_t now_us) {
  supervisor->stage = stage;
  for (uint32_t i = 0; i < supervisor->size; i++)
    if (supervisor->children[i].spec.stage == stage)
      start(supervisor, &supervisor->children[i], now_us);
}

/* Begins the stages whose time has come; a stage without children is passed over. */
static void advance(Supervisor *supervisor, uint64_t now_us) {
  while (supervisor->begun && !supervisor->stopping && supervisor->stage < last_stage(supervisor) &&
         stage_is(supervisor, supervisor->stage, CHILD_READY))
    begin_stage(supervisor, supervisor->stage + 1, now_us);
}

static void await_end(Supervisor *supervisor, Child *child, ChildReason reason, uint64_t timeout_us, uint64_t now_us) {
  child->view.reason = reason;
  enter(supervisor, child, CHILD_STOPPING, now_us, max_u64(timeout_us, 1));
}

/* Stops stage after stage, from the last; the next one only when all of this one have ended. */
static void retreat(Supervisor *supervisor, uint64_t now_us) {
  while (!supervisor->ended) {
    for (uint32_t i = 0; i < supervisor->size; i++) {
      Child *child = &supervisor->children[i];

      if (child->spec.stage != supervisor->stage || !has_process(child) || child->view.state == CHILD_STOPPING)
        continue;
      await_end(supervisor, child, CHILD_REASON_NONE, child->spec.policy.stop_timeout_us, now_us);
      act(supervisor, SUPERVISE_ACT_STOP, child);
    }
    if (!stage_is(supervisor, supervisor->stage, CHILD_STOPPED))
      return;
    if (supervisor->stage == 0) {
      supervisor->ended = true;
      act(supervisor, SUPERVISE_ACT_ENDED, NULL);
    } else {
      supervisor->stage--;
    }
  }
}

/* What has no process now gets none any more. */
static void stop_all(Supervisor *supervisor, uint64_t now_us) {
  if (supervisor->stopping)
    return;
  supervisor->stopping = true;
  supervisor->stage = last_stage(supervisor);
  for (uint32_t i = 0; i < supervisor->size; i++)
    if (!has_process(&supervisor->children[i]))
      enter(supervisor, &supervisor->children[i], CHILD_STOPPED, now_us, 0);
  retreat(supervisor, now_us);
}

static void kill_child(Supervisor *supervisor, Child *child, uint64_t now_us) {
  enter(supervisor, child, CHILD_STOPPING, now_us, 0);
  if (!child->killed)
    act(supervisor, SUPERVISE_ACT_KILL, child);
  child->killed = true;
}

static void kill_all(Supervisor *supervisor, uint64_t now_us) {
  stop_all(supervisor, now_us);
  for (uint32_t i = 0; i < supervisor->size; i++)
    if (has_process(&supervisor->children[i]))
      kill_child(supervisor, &supervisor->children[i], now_us);
}

static void abort_child(Supervisor *supervisor, Child *child, ChildReason reason, uint64_t now_us) {
  await_end(supervisor, child, reason, child->spec.policy.abort_timeout_us, now_us);
  act(supervisor, SUPERVISE_ACT_ABORT, child);
}

/* The due time of child has come. */
static void on_due(Supervisor *supervisor, Child *child, uint64_t now_us) {
  switch (child->view.state) {
  case CHILD_STARTING:
    abort_child(supervisor, child, CHILD_REASON_START_TIMEOUT, now_us);
    break;
  case CHILD_READY:
    abort_child(supervisor, child, CHILD_REASON_WATCHDOG, now_us);
    break;
  case CHILD_DEGRADED:
    child->slow_try = true;
    start(supervisor, child, now_us);
    break;
  case CHILD_BACKOFF:
    start(supervisor, child, now_us);
    break;
  case CHILD_STOPPING:
    if (child->view.reason == CHILD_REASON_NONE)
      child->view.reason = CHILD_REASON_STOP_TIMEOUT;
    kill_child(supervisor, child, now_us);
    break;
  case CHILD_STOPPED:
  case CHILD_STATE_END:
    heap_remove(&supervisor->due, &child->due);
    break;
  }
}

static void on_timer(Supervisor *supervisor, uint64_t now_us) {
  HeapEntry *first;

  while ((first = heap_first(&supervisor->due)) && first->at_us <= now_us)
    on_due(supervisor, CONTAINER_OF(first, Child, due), now_us);
}

/* With another program. That is no restart: nothing was wrong. */
static void start_again(Supervisor *supervisor, Child *child, uint64_t now_us) {
  child->again = false;
  child->slow_try = false;
  child->started = false;
  start(supervisor, child, now_us);
}

static void on_exited(Supervisor *supervisor, Child *child, uint64_t now_us) {
  if (!has_process(child))
    return;
  if (child->view.state != CHILD_STOPPING)
    child->view.reason = CHILD_REASON_EXITED;
  if (supervisor->stopping) {
    enter(supervisor, child, CHILD_STOPPED, now_us, 0);
    retreat(supervisor, now_us);
  } else if (child->again) {
    start_again(supervisor, child, now_us);
  } else {
    restart_later(supervisor, child, now_us);
  }
}

/* Its program is to be another one from now on, or a newer one. */
static void replace(Supervisor *supervisor, Child *child, uint64_t now_us) {
  if (supervisor->stopping || child->view.state == CHILD_STOPPED)
    return;
  child->again = has_process(child);
  if (!child->again) {
    start_again(supervisor, child, now_us);
  } else if (child->view.state != CHILD_STOPPING) {
    await_end(supervisor, child, CHILD_REASON_NONE, child->spec.policy.stop_timeout_us, now_us);
    act(supervisor, SUPERVISE_ACT_STOP, child);
  }
}

static void note_ready(Supervisor *supervisor, Child *child, uint64_t now_us) {
  child->slow_try = false;
  child->was_ready = true;
  child->ready_us = now_us;
  enter(supervisor, child, CHILD_READY, now_us, child->spec.policy.watchdog_us);
}

/* The process of this child is another one now, which is READY. */
static void adopt(Supervisor *supervisor, Child *child, uint64_t now_us) {
  if (supervisor->stopping || child->view.state == CHILD_STOPPED)
    return;
  child->killed = false;
  child->again = false;
  child->view.reason = CHILD_REASON_NONE;
  note_ready(supervisor, child, now_us);
}

static void on_child_event(Supervisor *supervisor, SuperviseEventType type, Child *child, uint64_t now_us) {
  bool runs = child->view.state == CHILD_STARTING || child->view.state == CHILD_READY;

  if (type == SUPERVISE_EXITED) {
    on_exited(supervisor, child, now_us);
  } else if (type == SUPERVISE_READY && child->view.state == CHILD_STARTING) {
    note_ready(supervisor, child, now_us);
  } else if (type == SUPERVISE_REPLACE) {
    replace(supervisor, child, now_us);
  } else if (type == SUPERVISE_ADOPT) {
    adopt(supervisor, child, now_us);
  } else if (type == SUPERVISE_BEAT && child->view.state == CHILD_READY) {
    enter(supervisor, child, CHILD_READY, now_us, child->spec.policy.watchdog_us);
  } else if (type == SUPERVISE_HUNG && runs) {
    abort_child(supervisor, child, CHILD_REASON_WATCHDOG, now_us);
  } else if (type == SUPERVISE_STOPPING && runs) {
    await_end(supervisor, child, CHILD_REASON_NONE, child->spec.policy.stop_timeout_us, now_us);
  }
}

void supervise_step(Supervisor *supervisor, SuperviseEvent event, uint64_t now_us) {
  switch (event.type) {
  case SUPERVISE_START:
    if (!supervisor->begun && !supervisor->stopping) {
      supervisor->begun = true;
      begin_stage(supervisor, 0, now_us);
    }
    break;
  case SUPERVISE_STOP:
    stop_all(supervisor, now_us);
    break;
  case SUPERVISE_KILL:
    kill_all(supervisor, now_us);
    break;
  case SUPERVISE_TIMER:
    on_timer(supervisor, now_us);
    break;
  case SUPERVISE_READY:
  case SUPERVISE_BEAT:
  case SUPERVISE_HUNG:
  case SUPERVISE_STOPPING:
  case SUPERVISE_EXITED:
  case SUPERVISE_REPLACE:
  case SUPERVISE_ADOPT:
    if (event.child < supervisor->size)
      on_child_event(supervisor, event.type, &supervisor->children[event.child], now_us);
    break;
  }
  advance(supervisor, now_us);
}

uint64_t supervise_due_us(const Supervisor *supervisor) {
  const HeapEntry *first = heap_first(&supervisor->due);

  return first ? first->at_us : TIME_NEVER;
}

const SuperviseChild *supervise_child(const Supervisor *supervisor, uint32_t child) {
  return &supervisor->children[child].view;
}

SuperviseCount supervise_count(const Supervisor *supervisor) {
  SuperviseCount count = {.all = supervisor->size};

  for (uint32_t i = 0; i < supervisor->size; i++)
    count.in[supervisor->children[i].view.state]++;
  return count;
}

bool supervise_is_settled(const Supervisor *supervisor) {
  SuperviseCount count = supervise_count(supervisor);
  bool moving = count.in[CHILD_STARTING] || count.in[CHILD_BACKOFF] || count.in[CHILD_STOPPING];

  return supervisor->begun && !moving && (count.in[CHILD_STOPPED] == 0 || count.in[CHILD_DEGRADED] > 0);
}

const char *child_state_name(ChildState state) {
  static const char *const names[CHILD_STATE_END] = {
      [CHILD_STOPPED] = "stopped", [CHILD_STARTING] = "starting", [CHILD_READY] = "ready",
      [CHILD_BACKOFF] = "backoff", [CHILD_STOPPING] = "stopping", [CHILD_DEGRADED] = "degraded",
  };

  return state < CHILD_STATE_END ? names[state] : "?";
}
