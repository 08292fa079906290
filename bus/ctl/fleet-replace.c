/* One process of the fleet is to be another one. Where two of a kind may be there at a time, the new one starts beside the
   old one and takes its place when it is READY; only then is the old one asked to end. Nothing is lost when the new one does
   not come up: the old one has never stopped. What may be there once (a broker: its endpoints and its files) is stopped
   first, and if the new one does not come up the program of before is started again. Its file may be gone from its path by
   then, as when a package was upgraded: so it is held open until the new one is READY. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/log.h"
#include "bus/ctl/fleet-internal.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/jsontext.h"
#include "bus/ctl/spawn.h"

static const PlanChild *planned(const Fleet *fleet, uint32_t index) {
  return &fleet->plan->children[index];
}

static const char *how_name(ReplacePhase phase) {
  return phase == REPLACE_BESIDE || phase == REPLACE_LEAVING ? "beside" : "restart";
}

/* --- the end of it --- */

static json_t *result_json(const char *name, const char *how, bool ok, const Replace *replace, pid_t pid, Text why) {
  uint64_t took_us = replace ? clock_monotonic_us() - replace->began_us : 0;

  return json_pack("{s:s, s:b, s:s, s:i, s:i, s:I, s:o}", "name", name, "ok", ok, "how", how, "pid", (int)pid,
                   "before_pid", replace ? (int)replace->before_pid : 0, "took_us", (json_int_t)took_us, "why",
                   jsontext_new(why));
}

void replace_done(Replace *replace) {
  fleet_child_destroy(&replace->extra);
  loop_timer_destroy(&replace->timer);
  if (replace->before_fd >= 0)
    close(replace->before_fd);
  free(replace->program);
  free(replace->before);
  buffer_done(&replace->why);
  *replace = (Replace){.before_fd = -1};
}

static void log_result(const char *name, bool ok, const Replace *replace, const json_t *result) {
  _cleanup_(buffer_done) Buffer took = {0};

  grid_print_span(&took, (uint64_t)json_integer_value(json_object_get(result, "took_us")));
  if (ok)
    log_info("PONS-CHILD-REPLACED", "%s: replaced in %.*s", name, (int)took.size, (const char *)took.data);
  else
    log_error("PONS-CHILD-NOT-REPLACED", "%s: %.*s", name, (int)replace->why.size, (const char *)replace->why.data);
}

/* What became of it is told; a process that has no place any more may still have to end. */
static void finish(Fleet *fleet, bool ok) {
  Replace *replace = &fleet->replace;
  const char *name = planned(fleet, replace->index)->name;
  Text why = {(const char *)replace->why.data, replace->why.size};
  json_t *result = result_json(name, how_name(replace->phase), ok, replace, fleet->children[replace->index]->pid, why);

  log_result(name, ok, replace, result);
  replace->phase = REPLACE_NONE;
  if (replace->inside) {
    replace->result = result;
    return;
  }
  if (!replace->extra)
    replace_done(replace);
  fleet->handler.on_replaced(fleet->handler.userdata, result);
  json_decref(result);
}

/* --- beside --- */

static void on_patience_over(void *userdata, uint64_t now_us) {
  Fleet *fleet = userdata;
  Replace *replace = &fleet->replace;
  bool starts = replace->phase == REPLACE_BESIDE;

  (void)now_us;
  if (!replace->extra || !replace->extra->pid)
    return;
  buffer_printf(&replace->why, "%s", starts ? "it was not ready in time; " : "the old one did not stop in time; ");
  spawn_signal(replace->extra->pid, SIGKILL);
}

static void set_patience(Fleet *fleet, uint64_t wait_us) {
  loop_timer_set(fleet->replace.timer, wait_us ? clock_monotonic_us() + wait_us : TIME_NEVER);
}

/* How a process that did not become ready ended, and what it said last. */
static void explain(Replace *replace, const FleetChild *child) {
  buffer_printf(&replace->why, "the new one did not come up: %s", child->end);
  if (child->lines.last[0])
    buffer_printf(&replace->why, ", its last words: %s", child->lines.last);
}

static int begin_beside(Fleet *fleet, const char *program) {
  Replace *replace = &fleet->replace;
  int r = loop_timer_new(fleet->loop, on_patience_over, fleet, &replace->timer);

  if (r < 0)
    return r;
  replace->phase = REPLACE_BESIDE;
  replace->extra = fleet_child_new(fleet, replace->index, program);
  if (fleet_child_start(replace->extra) == 0) {
    set_patience(fleet, planned(fleet, replace->index)->spec.policy.start_timeout_us);
  } else {
    explain(replace, replace->extra);
    fleet_child_destroy(&replace->extra);
    finish(fleet, false);
  }
  return 0;
}

/* The new one is READY: it takes the place, and the old one leaves. */
static void take_place(Fleet *fleet) {
  Replace *replace = &fleet->replace;
  FleetChild *old = fleet->children[replace->index];

  fleet->children[replace->index] = replace->extra;
  replace->extra = old;
  replace->phase = REPLACE_LEAVING;
  fleet_step(fleet, SUPERVISE_ADOPT, replace->index);
  if (old->pid) {
    set_patience(fleet, planned(fleet, replace->index)->spec.policy.stop_timeout_us);
    spawn_signal(old->pid, SIGTERM);
  } else {
    fleet_child_destroy(&replace->extra);
    finish(fleet, true);
  }
}

static void on_extra_end(Fleet *fleet) {
  Replace *replace = &fleet->replace;
  bool arrives = replace->phase == REPLACE_BESIDE;

  if (arrives)
    explain(replace, replace->extra);
  fleet_child_destroy(&replace->extra);
  if (arrives || replace->phase == REPLACE_LEAVING)
    finish(fleet, !arrives);
  else
    replace_done(replace); /* the end was told when the fleet was to stop */
  if (fleet->ended)
    fleet_tell_ended(fleet);
}

/* --- in place --- */

/* Whether the file that a process runs is still the one at its path. */
static bool is_at(const char *path, int fd) {
  struct stat there;
  struct stat running;

  return stat(path, &there) == 0 && fstat(fd, &running) == 0 && there.st_dev == running.st_dev &&
         there.st_ino == running.st_ino;
}

static void set_program(FleetChild *child, const char *program) {
  free(child->program);
  child->program = strdup(program);
  if (!child->program)
    abort();
  child->by_fd = false;
}

static void begin_in_place(Fleet *fleet, const char *program) {
  Replace *replace = &fleet->replace;
  FleetChild *child = fleet->children[replace->index];

  replace->program = strdup(program);
  replace->before = strdup(child->program);
  if (!replace->program || !replace->before)
    abort();
  replace->before_fd = child->held_fd;
  replace->before_by_fd = child->by_fd;
  child->held_fd = -1;
  replace->phase = child->pid ? REPLACE_STOPPING : REPLACE_STARTING;
  if (!child->pid)
    set_program(child, program);
  fleet_step(fleet, SUPERVISE_REPLACE, replace->index);
}

/* The new program is no good. The supervisor starts this child again as any that has ended. */
static void go_back(FleetChild *child) {
  Replace *replace = &child->fleet->replace;

  explain(replace, child);
  set_program(child, replace->before);
  if (child->held_fd >= 0)
    close(child->held_fd);
  child->held_fd = replace->before_fd;
  child->by_fd = child->held_fd >= 0 && (replace->before_by_fd || !is_at(child->program, child->held_fd));
  replace->before_fd = -1;
  replace->phase = REPLACE_RETURNING;
}

/* --- what the fleet tells --- */

static bool concerns(const FleetChild *child) {
  const Replace *replace = &child->fleet->replace;

  return replace->phase != REPLACE_NONE && replace->index == child->index;
}

void replace_on_ready(FleetChild *child) {
  Replace *replace = &child->fleet->replace;

  if (!concerns(child))
    return;
  if (replace->phase == REPLACE_BESIDE && child == replace->extra) {
    take_place(child->fleet);
  } else if (replace->phase == REPLACE_STARTING) {
    finish(child->fleet, true);
  } else if (replace->phase == REPLACE_RETURNING) {
    buffer_printf(&replace->why, "; the program of before runs again");
    finish(child->fleet, false);
  }
}

void replace_on_end(FleetChild *child) {
  Replace *replace = &child->fleet->replace;

  if (child == replace->extra) {
    on_extra_end(child->fleet);
    return;
  }
  if (!concerns(child))
    return;
  if (replace->phase == REPLACE_STOPPING) {
    set_program(child, replace->program);
    child->lines.last[0] = '\0'; /* the last words of the old one */
    replace->phase = REPLACE_STARTING;
  } else if (replace->phase == REPLACE_STARTING) {
    go_back(child);
  } else if (replace->phase == REPLACE_RETURNING) {
    buffer_printf(&replace->why, "; nor does the program of before: %s", child->end);
    finish(child->fleet, false);
  }
}

void replace_on_degraded(FleetChild *child) {
  Replace *replace = &child->fleet->replace;

  if (!concerns(child) || replace->phase != REPLACE_RETURNING)
    return;
  buffer_printf(&replace->why, "; its restart budget is spent, so that the program of before has to wait");
  finish(child->fleet, false);
}

void replace_stop(Fleet *fleet, int signal_number) {
  Replace *replace = &fleet->replace;

  if (replace->extra && replace->extra->pid) {
    spawn_signal(replace->extra->pid, signal_number);
    set_patience(fleet, planned(fleet, replace->index)->spec.policy.stop_timeout_us);
  }
  if (replace->phase == REPLACE_NONE)
    return;
  buffer_printf(&replace->why, "the fleet is being stopped");
  finish(fleet, false);
}

/* --- the beginning --- */

static int64_t find(const Fleet *fleet, const char *name) {
  for (uint32_t i = 0; i < fleet->plan->count; i++)
    if (strcmp(planned(fleet, i)->name, name) == 0)
      return i;
  return -1;
}

static json_t *refuse(const char *name, const char *why) {
  return result_json(name, "", false, NULL, 0, text_of(why));
}

static bool may_be_beside(const PlanChild *child) {
  return child->agent && child->agent->beside;
}

/* What speaks against it, or NULL. */
static const char *objection(const Fleet *fleet, int64_t index, pid_t pid) {
  const Replace *replace = &fleet->replace;

  if (index < 0)
    return "the fleet has no such process";
  if (fleet->stopping)
    return "the fleet is being stopped";
  if (replace->phase != REPLACE_NONE || replace->extra)
    return "another process is being replaced";
  if (supervise_child(fleet->supervisor, (uint32_t)index)->state == CHILD_STOPPED)
    return "it has not been started yet";
  return fleet->children[index]->pid == pid ? NULL : "its process is another one by now";
}

json_t *fleet_replace(Fleet *fleet, const char *name, pid_t pid, const char *program) {
  Replace *replace = &fleet->replace;
  int64_t index = find(fleet, name);
  const char *why = objection(fleet, index, pid);
  int r = 0;

  if (replace->phase != REPLACE_NONE && index == replace->index && pid == replace->before_pid)
    return NULL; /* asked once more */
  if (why)
    return refuse(name, why);
  replace_done(replace);
  replace->index = (uint32_t)index;
  replace->before_pid = pid;
  replace->began_us = clock_monotonic_us();
  replace->inside = true;
  if (may_be_beside(planned(fleet, replace->index)))
    r = begin_beside(fleet, program);
  else
    begin_in_place(fleet, program);
  replace->inside = false;
  return r < 0 ? refuse(name, strerror(-r)) : TAKE(replace->result);
}
