/* The shell around the pure supervisor: what the kernel says (a child ended, a datagram came, time has passed) becomes an
   event, and each action becomes a system call. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/log.h"
#include "bus/ctl/fleet-internal.h"
#include "bus/ctl/spawn.h"

enum { READ_BYTES = 16384, READS_PER_TURN = 8, READS_AT_END = 64, DATAGRAMS_PER_TURN = 1024 };

static void act(Fleet *fleet);

void fleet_step(Fleet *fleet, SuperviseEventType type, uint32_t index) {
  supervise_step(fleet->supervisor, (SuperviseEvent){type, index}, clock_monotonic_us());
  act(fleet);
}

static void close_output(FleetChild *child) {
  loop_fd_destroy(&child->output_watch);
  if (child->output_fd >= 0)
    close(child->output_fd);
  child->output_fd = -1;
}

/* Passes on what the child has written, in at most so many reads; true at_end ends the last line and the pipe. */
static void pass_output(FleetChild *child, uint32_t reads, bool at_end) {
  Fleet *fleet = child->fleet;
  uint8_t bytes[READ_BYTES];
  bool ended = at_end;

  buffer_clear(&fleet->lines);
  while (reads-- && child->output_fd >= 0) {
    ssize_t size = read(child->output_fd, bytes, sizeof bytes);

    ended |= size == 0;
    if (size <= 0)
      break;
    lines_push(&child->lines, (Bytes){bytes, (size_t)size}, &fleet->lines);
  }
  if (ended) {
    lines_flush(&child->lines, &fleet->lines);
    close_output(child);
  }
  if (fleet->lines.size)
    fleet->handler.on_output(fleet->handler.userdata, buffer_bytes(&fleet->lines));
}

static void on_output(void *userdata, int fd, uint32_t events) {
  (void)fd;
  (void)events;
  pass_output(userdata, READS_PER_TURN, false);
}

/* A process that has its place in the fleet: not one that is on its way in or out. */
static bool is_placed(const FleetChild *child) {
  return child == child->fleet->children[child->index];
}

static void tell_end(FleetChild *child) {
  supervise_step(child->fleet->supervisor, (SuperviseEvent){SUPERVISE_EXITED, child->index}, clock_monotonic_us());
  fleet_log_end(child);
}

static void on_child_exit(void *userdata, pid_t pid, int status) {
  FleetChild *child = userdata;
  Fleet *fleet = child->fleet;
  bool placed = is_placed(child);

  /* What it left in its group goes with it. The pid is still its own: it is reaped after this. */
  kill(-pid, SIGKILL);
  pass_output(child, READS_AT_END, true);
  child->pid = 0;
  spawn_describe_end(status, child->end, sizeof child->end);
  replace_on_end(child); /* which may free one that has no place */
  if (!placed)
    return;
  tell_end(child);
  act(fleet);
}

int fleet_child_watch(FleetChild *child) {
  Loop *loop = child->fleet->loop;
  int r = loop_watch_fd(loop, child->output_fd, EPOLLIN, on_output, child, &child->output_watch);

  if (r == 0)
    r = loop_watch_child(loop, child->pid, on_child_exit, child);
  if (r < 0) {
    spawn_signal(child->pid, SIGKILL);
    waitpid(child->pid, NULL, 0);
  }
  return r;
}

/* What to execute. A broker's file is held: it can be started again when its path has another one. */
static const char *take_program(FleetChild *child, char *held, size_t size_bytes) {
  if (!child->by_fd && !child->fleet->plan->children[child->index].agent) {
    if (child->held_fd >= 0)
      close(child->held_fd);
    child->held_fd = open(child->program, O_PATH | O_CLOEXEC);
  }
  snprintf(held, size_bytes, "/proc/self/fd/%d", child->held_fd);
  return child->by_fd ? held : child->program;
}

/* Starts the process with its output into a new pipe. Returns 0, negative errno, or with errors PLAN_E_SECRET or DOORS_E_LISTEN. */
static int spawn_child(FleetChild *child, Buffer *errors) {
  Fleet *fleet = child->fleet;
  const PlanChild *planned = &fleet->plan->children[child->index];
  _cleanup_(environment_done) Environment environment = {0};
  char held[64];
  int fds[2];
  Spawn spawn = {.program = take_program(child, held, sizeof held), .arguments = planned->arguments};
  int r = plan_environment(fleet->plan, planned, fleet->notify_path, &environment, errors);

  if (r == 0 && planned->listen_count)
    r = doors_open(&fleet->doors, planned->listen, planned->listen_count, errors);
  if (r)
    return r;
  spawn.environment = environment.variables;
  if (planned->listen_count)
    doors_hand_down(&fleet->doors, &environment, &spawn);
  if (pipe2(fds, O_CLOEXEC) < 0)
    return -errno;
  /* Only our end: the child's blocks, as programs expect of their output. */
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  spawn.output_fd = fds[1];
  r = spawn_process(&spawn, &child->pid);
  close(fds[1]);
  child->output_fd = fds[0];
  return r < 0 ? r : fleet_child_watch(child);
}

int fleet_child_start(FleetChild *child) {
  _cleanup_(buffer_done) Buffer errors = {0};
  int r;

  child->status[0] = '\0';
  r = spawn_child(child, &errors);
  if (r == 0)
    return 0;
  close_output(child);
  child->pid = 0;
  buffer_append(&errors, "", 1);
  snprintf(child->end, sizeof child->end, "not started: %s", r > 0 ? (const char *)errors.data : strerror(-r));
  child->end[strcspn(child->end, "\n")] = '\0';
  return r;
}

static void start_child(FleetChild *child) {
  if (fleet_child_start(child) == 0)
    return;
  replace_on_end(child);
  tell_end(child);
}

void fleet_tell_ended(Fleet *fleet) {
  fleet->ended = true;
  if (!fleet->replace.extra)
    fleet->handler.on_ended(fleet->handler.userdata);
}

/* Who is not served for a minute is refused, and does not wait. */
static void close_idle_doors(Fleet *fleet) {
  for (uint32_t i = 0; i < fleet->plan->count; i++)
    if (fleet->plan->children[i].listen_count && fleet->children[i]->pid)
      return;
  doors_close(&fleet->doors);
}

static void obey(Fleet *fleet, SuperviseAction action) {
  FleetChild *child = fleet->children[action.child];

  switch (action.type) {
  case SUPERVISE_ACT_START:
    start_child(child);
    break;
  case SUPERVISE_ACT_STOP:
    spawn_signal(child->pid, SIGTERM);
    break;
  case SUPERVISE_ACT_ABORT:
    /* Only the process itself: its crash handler writes the record. */
    kill(child->pid, SIGABRT);
    break;
  case SUPERVISE_ACT_KILL:
    spawn_signal(child->pid, SIGKILL);
    break;
  case SUPERVISE_ACT_DEGRADED:
    fleet_log_degraded(child);
    close_idle_doors(child->fleet);
    replace_on_degraded(child);
    break;
  case SUPERVISE_ACT_ENDED:
    fleet_tell_ended(fleet);
    break;
  }
}

/* Does what the supervisor asks for. An action that fails makes further ones, which the outermost call takes. */
static void act(Fleet *fleet) {
  SuperviseAction action;

  if (fleet->acting)
    return;
  fleet->acting = true;
  while (supervise_next_action(fleet->supervisor, &action))
    obey(fleet, action);
  fleet->acting = false;
  loop_timer_set(fleet->timer, supervise_due_us(fleet->supervisor));
  if (!fleet->settled && !fleet->stopping && supervise_is_settled(fleet->supervisor)) {
    fleet->settled = true;
    fleet->handler.on_settled(fleet->handler.userdata);
  }
}

static bool is_of(const FleetChild *child, pid_t pid, pid_t group) {
  return child && child->pid && (child->pid == pid || child->pid == group);
}

/* The child that a process belongs to: itself, or the leader of its group. */
static FleetChild *find_child(Fleet *fleet, pid_t pid) {
  pid_t group = getpgid(pid);

  for (uint32_t i = 0; i < fleet->plan->count; i++)
    if (is_of(fleet->children[i], pid, group))
      return fleet->children[i];
  return is_of(fleet->replace.extra, pid, group) ? fleet->replace.extra : NULL;
}

static void take_message(Fleet *fleet, const NotifyMessage *message) {
  FleetChild *child = find_child(fleet, message->pid);

  if (!child)
    return; /* of a process that is gone, or of a stranger */
  if (message->has_status)
    memcpy(child->status, message->status, sizeof child->status);
  if (message->ready && is_placed(child))
    fleet_step(fleet, SUPERVISE_READY, child->index);
  if (message->ready)
    replace_on_ready(child);
  if (!is_placed(child))
    return; /* only the fleet's own are watched */
  if (message->beat)
    fleet_step(fleet, SUPERVISE_BEAT, child->index);
  if (message->hung)
    fleet_step(fleet, SUPERVISE_HUNG, child->index);
  if (message->stopping)
    fleet_step(fleet, SUPERVISE_STOPPING, child->index);
}

static void drain_notify(Fleet *fleet) {
  for (int i = 0; i < DATAGRAMS_PER_TURN; i++) {
    NotifyMessage message;
    int r = notify_receive(fleet->notify_fd, &message);

    if (r == 0)
      take_message(fleet, &message);
    else if (r != -EBADMSG)
      return;
  }
}

static void on_notify(void *userdata, int fd, uint32_t events) {
  (void)fd;
  (void)events;
  drain_notify(userdata);
}

/* What children have said comes first: after we were late ourselves (a stopped process, a suspended machine), their beats
   lie in the socket, and nobody shall be aborted for our delay. */
static void on_timer(void *userdata, uint64_t now_us) {
  Fleet *fleet = userdata;

  (void)now_us;
  drain_notify(fleet);
  fleet_step(fleet, SUPERVISE_TIMER, 0);
}

static int make_supervisor(Fleet *fleet) {
  const Plan *plan = fleet->plan;
  SuperviseSpec *specs = calloc(plan->count, sizeof *specs);
  int r;

  if (!specs)
    return -ENOMEM;
  for (uint32_t i = 0; i < plan->count; i++)
    specs[i] = plan->children[i].spec;
  r = supervise_new(&fleet->supervisor, specs, plan->count, plan->groups, plan->group_count);
  free(specs);
  return r;
}

FleetChild *fleet_child_new(Fleet *fleet, uint32_t index, const char *program) {
  FleetChild *child = calloc(1, sizeof *child);

  if (!child)
    abort();
  *child = (FleetChild){
      .fleet = fleet,
      .index = index,
      .program = strdup(program),
      .held_fd = -1,
      .output_fd = -1,
      .lines = {.name = fleet->plan->children[index].name, .name_width = fleet->plan->name_width},
  };
  if (!child->program)
    abort();
  return child;
}

static int make_children(Fleet *fleet) {
  fleet->children = calloc(fleet->plan->count, sizeof *fleet->children);
  if (!fleet->children)
    return -ENOMEM;
  for (uint32_t i = 0; i < fleet->plan->count; i++)
    fleet->children[i] = fleet_child_new(fleet, i, fleet->plan->children[i].program);
  return 0;
}

/* The socket of before, or a new one. */
static int make_notify(Fleet *fleet, const json_t *state) {
  int r = 0;

  if (asprintf(&fleet->notify_path, "%s/notify.sock", fleet->plan->config->runtime_dir) < 0) {
    fleet->notify_path = NULL;
    return -ENOMEM;
  }
  if (state)
    fleet->notify_fd = (int)json_integer_value(json_object_get(state, "notify_fd"));
  else
    r = notify_open(fleet->notify_path, &fleet->notify_fd);
  if (r < 0)
    return r;
  return loop_watch_fd(fleet->loop, fleet->notify_fd, EPOLLIN, on_notify, fleet, &fleet->notify_watch);
}

int fleet_new(Fleet **ret, Loop *loop, const Plan *plan, const FleetHandler *handler, const json_t *state) {
  _cleanup_(fleet_destroy) Fleet *fleet = calloc(1, sizeof *fleet);
  int r;

  if (!fleet)
    return -ENOMEM;
  fleet->loop = loop;
  fleet->plan = plan;
  fleet->handler = *handler;
  fleet->notify_fd = -1;
  fleet->replace.before_fd = -1;
  fleet->started_us = clock_realtime_us();
  r = make_children(fleet);
  if (r == 0)
    r = make_supervisor(fleet);
  if (r == 0)
    r = loop_timer_new(loop, on_timer, fleet, &fleet->timer);
  if (r == 0)
    r = make_notify(fleet, state);
  if (r == 0 && state)
    r = fleet_load(fleet, state);
  if (r < 0)
    return r;
  *ret = TAKE(fleet);
  return 0;
}

void fleet_child_destroy(FleetChild **child) {
  FleetChild *gone = TAKE(*child);

  if (!gone)
    return;
  if (gone->pid) {
    loop_unwatch_child(gone->fleet->loop, gone->pid);
    spawn_signal(gone->pid, SIGKILL);
    waitpid(gone->pid, NULL, 0);
  }
  close_output(gone);
  lines_done(&gone->lines);
  if (gone->held_fd >= 0)
    close(gone->held_fd);
  free(gone->program);
  free(gone);
}

void fleet_destroy(Fleet **fleet) {
  Fleet *f = *fleet;

  if (!f)
    return;
  for (uint32_t i = 0; f->children && i < f->plan->count; i++)
    fleet_child_destroy(&f->children[i]);
  replace_done(&f->replace);
  doors_close(&f->doors);
  loop_fd_destroy(&f->notify_watch);
  loop_timer_destroy(&f->timer);
  if (f->notify_fd >= 0) {
    close(f->notify_fd);
    unlink(f->notify_path);
  }
  supervise_destroy(&f->supervisor);
  buffer_done(&f->lines);
  free(f->notify_path);
  free(f->children);
  free(f);
  *fleet = NULL;
}

void fleet_start(Fleet *fleet) {
  fleet_step(fleet, SUPERVISE_START, 0);
}

void fleet_stop(Fleet *fleet) {
  fleet->stopping = true;
  replace_stop(fleet, SIGTERM);
  fleet_step(fleet, SUPERVISE_STOP, 0);
}

void fleet_kill(Fleet *fleet) {
  fleet->stopping = true;
  replace_stop(fleet, SIGKILL);
  fleet_step(fleet, SUPERVISE_KILL, 0);
}
