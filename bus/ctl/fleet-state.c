/* The fleet for the program that goes on with it. Both run in one process, so a child stays a child, a descriptor's number
   means the same, and so does a time of CLOCK_MONOTONIC. What has a place in the plan is found again by its name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/ctl/fleet-internal.h"
#include "bus/ctl/jsontext.h"
#include "bus/ctl/supervise-state.h"
#include "bus/ctl/view.h"

const char *fleet_busy(const Fleet *fleet) {
  if (fleet->stopping)
    return "the fleet is being stopped";
  if (!fleet->settled)
    return "the fleet is still starting";
  if (fleet->replace.phase != REPLACE_NONE || fleet->replace.extra)
    return "another process is being replaced";
  return NULL;
}

static json_t *save_child(const FleetChild *child) {
  json_t *state = supervise_save_child(child->fleet->supervisor, child->index);
  json_t *own =
      json_pack("{s:s, s:s, s:i, s:i, s:b, s:i, s:o, s:o, s:o, s:o}", "name", fleet_name(child), "program",
                child->program, "pid", (int)child->pid, "held_fd", child->held_fd, "by_fd", child->by_fd, "output_fd",
                child->output_fd, "says", jsontext_new(text_of(child->status)), "last_end",
                jsontext_new(text_of(child->end)), "last_output", jsontext_new(text_of(child->lines.last)),
                "unfinished", jsontext_new((Text){(const char *)child->lines.rest.data, child->lines.rest.size}));

  if (own)
    json_object_update(state, own);
  json_decref(own);
  return own ? state : NULL;
}

json_t *fleet_save(const Fleet *fleet) {
  json_t *state = supervise_save(fleet->supervisor);
  json_t *children = json_array();
  json_t *doors = json_array();
  int r = 0;

  for (uint32_t i = 0; i < fleet->doors.count; i++)
    json_array_append_new(doors, json_integer(fleet->doors.fds[i]));
  for (uint32_t i = 0; i < fleet->plan->count; i++)
    r |= json_array_append_new(children, save_child(fleet->children[i]));
  json_object_set_new(state, "format", json_integer(FLEET_STATE_FORMAT));
  json_object_set_new(state, "started_us", json_integer((json_int_t)fleet->started_us));
  json_object_set_new(state, "notify_fd", json_integer(fleet->notify_fd));
  json_object_set_new(state, "doors", doors);
  json_object_set_new(state, "children", children);
  if (r == 0)
    return state;
  json_decref(state); /* a path that is no UTF-8 */
  return NULL;
}

static void keep_fd(const json_t *object, const char *key, int flags) {
  const json_t *fd = json_object_get(object, key);

  if (json_is_integer(fd) && json_integer_value(fd) >= 0)
    fcntl((int)json_integer_value(fd), F_SETFD, flags);
}

void fleet_state_pass(const json_t *state, bool on) {
  int flags = on ? 0 : FD_CLOEXEC;
  const json_t *each;
  size_t i;

  keep_fd(state, "notify_fd", flags);
  json_array_foreach(json_object_get(state, "doors"), i, each) {
    fcntl((int)json_integer_value(each), F_SETFD, flags);
  }
  json_array_foreach(json_object_get(state, "children"), i, each) {
    keep_fd(each, "held_fd", flags);
    keep_fd(each, "output_fd", flags);
  }
}

static const json_t *find_saved(const json_t *state, const char *name) {
  return view_find(json_object_get(state, "children"), "name", name);
}

static bool is_planned(const Plan *plan, const char *name) {
  for (uint32_t i = 0; i < plan->count; i++)
    if (strcmp(plan->children[i].name, name) == 0)
      return true;
  return false;
}

int fleet_state_check(const json_t *state, const Plan *plan, Buffer *errors) {
  const json_t *each;
  size_t i;

  if (view_number(state, "format") != FLEET_STATE_FORMAT) {
    buffer_printf(errors, "this program can't take over from that one; `pons down` and `pons up` will do\n");
    return FLEET_E_STATE;
  }
  for (uint32_t k = 0; k < plan->count; k++)
    if (!find_saved(state, plan->children[k].name))
      buffer_printf(errors, "pons.yaml has the process %s, which the running fleet has not\n", plan->children[k].name);
  json_array_foreach(json_object_get(state, "children"), i, each) {
    if (!is_planned(plan, view_text(each, "name")))
      buffer_printf(errors, "the running fleet has the process %s, which pons.yaml has not any more\n",
                    view_text(each, "name"));
  }
  return errors->size ? FLEET_E_STATE : 0;
}

static void take_text(char *ret, size_t size_bytes, const json_t *from, const char *key) {
  snprintf(ret, size_bytes, "%s", view_text(from, key));
}

static int take_fd(const json_t *from, const char *key) {
  const json_t *fd = json_object_get(from, key);

  return json_is_integer(fd) ? (int)json_integer_value(fd) : -1;
}

static int load_child(FleetChild *child, const json_t *from) {
  const char *unfinished = view_text(from, "unfinished");
  int r = supervise_load_child(child->fleet->supervisor, child->index, from);

  if (r < 0)
    return r;
  free(child->program);
  child->program = strdup(view_text(from, "program"));
  if (!child->program)
    abort();
  child->held_fd = take_fd(from, "held_fd");
  child->by_fd = json_is_true(json_object_get(from, "by_fd"));
  child->output_fd = take_fd(from, "output_fd");
  take_text(child->status, sizeof child->status, from, "says");
  take_text(child->end, sizeof child->end, from, "last_end");
  take_text(child->lines.last, sizeof child->lines.last, from, "last_output");
  buffer_append(&child->lines.rest, unfinished, min_u64(strlen(unfinished), LINE_MAX_BYTES));
  child->pid = (pid_t)view_number(from, "pid");
  return child->pid ? fleet_child_watch(child) : 0;
}

int fleet_load(Fleet *fleet, const json_t *state) {
  const json_t *doors = json_object_get(state, "doors");
  int r = supervise_load(fleet->supervisor, state);

  fleet_state_pass(state, false);
  fleet->settled = true;
  fleet->started_us = view_number(state, "started_us");
  fleet->doors.count = (uint32_t)min_u64(json_array_size(doors), DOORS_MAX);
  for (uint32_t i = 0; i < fleet->doors.count; i++)
    fleet->doors.fds[i] = (int)json_integer_value(json_array_get(doors, i));
  for (uint32_t i = 0; r == 0 && i < fleet->plan->count; i++) {
    const json_t *saved = find_saved(state, fleet_name(fleet->children[i]));

    r = saved ? load_child(fleet->children[i], saved) : -EINVAL;
  }
  loop_timer_set(fleet->timer, supervise_due_us(fleet->supervisor));
  return r;
}
