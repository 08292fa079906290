#include "bus/ctl/run.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/base/log.h"
#include "bus/ctl/control.h"
#include "bus/ctl/fleet.h"
#include "bus/ctl/jsontext.h"
#include "bus/ctl/successor.h"
#include "bus/ctl/view.h"

enum { END_ORDERLY = 0, END_NO_BROKER = 1 };

#define TRIAL_US (10 * US_PER_S)

typedef struct Run {
  Loop *loop;
  Fleet *fleet;
  Control *control;
  Output *output;
  const RunReport *report;
  const RunStart *start;
  Successor *successor;   /* while one is tried out, and after one has failed */
  char program[PATH_MAX]; /* this one */
  uint64_t life;          /* how often one has taken the place of another in this process */
  uint64_t began_us;      /* when the last replacement began */
  bool succeeding;
  int code;
  bool stopping;
} Run;

/* log_setup's sink has no userdata: there is one supervisor per process. */
static Output *log_output;

static void on_log(LogLevel level, const char *event, const char *text) {
  char line[1200];
  int size = snprintf(line, sizeof line, "pons | %s: %s [%s]\n", log_level_name(level), text, event);

  output_write(log_output, (Bytes){(const uint8_t *)line, min_u64((uint64_t)size, sizeof line - 1)});
}

static void on_output(void *userdata, Bytes lines) {
  Run *run = userdata;

  output_write(run->output, lines);
}

static void stop(Run *run) {
  bool again = run->stopping;

  run->stopping = true;
  if (again)
    fleet_kill(run->fleet);
  else
    fleet_stop(run->fleet);
}

/* All that it is told of itself and of its fleet. */
static json_t *describe(const Run *run) {
  json_t *description = fleet_describe(run->fleet);

  json_object_set_new(description, "program", jsontext_new(text_of(run->program)));
  json_object_set_new(description, "life", json_integer((json_int_t)run->life));
  return description;
}

static void on_settled(void *userdata) {
  Run *run = userdata;
  json_t *description = describe(run);

  run->report->on_settled(run->report->userdata, description);
  json_decref(description);
  if (!fleet_has_broker(run->fleet)) {
    run->code = END_NO_BROKER;
    stop(run);
  }
}

static void on_ended(void *userdata) {
  Run *run = userdata;

  loop_stop(run->loop, run->code);
}

static void on_replaced(void *userdata, json_t *result) {
  Run *run = userdata;

  control_answer(run->control, json_incref(result));
}

static void on_signal(void *userdata, int signo) {
  Run *run = userdata;

  log_info("PONS-STOPPING", "%s: %s", strsignal(signo), run->stopping ? "killing the fleet" : "stopping the fleet");
  stop(run);
}

/* --- another program in this one's place --- */

static json_t *result_of(const Run *run, bool ok, const char *why) {
  return json_pack("{s:s, s:b, s:s, s:i, s:i, s:I, s:o}", "name", "supervisor", "ok", ok, "how", "re-exec", "pid",
                   (int)getpid(), "before_pid", (int)getpid(), "took_us",
                   (json_int_t)(run->began_us ? clock_monotonic_us() - run->began_us : 0), "why",
                   jsontext_new(text_of(why)));
}

static json_t *on_save(void *userdata) {
  const Run *run = userdata;
  json_t *state = fleet_busy(run->fleet) ? NULL : fleet_save(run->fleet);

  if (!state)
    return NULL;
  json_object_set_new(state, "life", json_integer((json_int_t)run->life + 1));
  json_object_set_new(state, "began_us", json_integer((json_int_t)run->began_us));
  json_object_set_new(state, "control_fd", json_integer(control_fd(run->control)));
  json_object_set_new(state, "lock_fd", json_integer(run->start->lock));
  return state;
}

static void pass_own(const json_t *state, bool on) {
  fcntl((int)view_number(state, "control_fd"), F_SETFD, on ? 0 : FD_CLOEXEC);
  fcntl((int)view_number(state, "lock_fd"), F_SETFD, on ? 0 : FD_CLOEXEC);
}

static void on_pass(void *userdata, const json_t *state, bool on) {
  (void)userdata;
  fleet_state_pass(state, on);
  pass_own(state, on);
}

static void on_failed(void *userdata, const char *why) {
  Run *run = userdata;

  run->succeeding = false;
  log_error("PONS-SUPERVISOR-NOT-REPLACED", "the supervisor stays as it is: %s", why);
  control_answer(run->control, result_of(run, false, why));
}

static json_t *begin_succession(Run *run, const char *program) {
  const SuccessorHandler handler = {on_save, on_pass, on_failed, run};
  int r;

  successor_destroy(&run->successor);
  run->began_us = clock_monotonic_us();
  r = successor_new(&run->successor, run->loop, program, run->start->arguments, TRIAL_US, &handler);
  run->succeeding = r == 0;
  return r < 0 ? result_of(run, false, strerror(-r)) : json_null();
}

/* `become LIFE PROGRAM`. LIFE says which program is meant: who asks once more hears from the new one that it is done. */
static json_t *become(Run *run, const char *words) {
  unsigned long long life = 0;
  int program = 0;
  const char *why = fleet_busy(run->fleet);

  if (sscanf(words, "%llu %n", &life, &program) < 1 || !program || !words[program])
    return NULL;
  if (life != run->life)
    return result_of(run, life + 1 == run->life, life + 1 == run->life ? "" : "it is another program by now");
  if (run->succeeding)
    return json_null();
  return why ? result_of(run, false, why) : begin_succession(run, words + program);
}

int run_check(const Plan *plan, const json_t *state, Buffer *errors) {
  return fleet_state_check(state, plan, errors);
}

int run_lock(const json_t *state) {
  return (int)view_number(state, "lock_fd");
}

/* `replace NAME PID PROGRAM`. PID says which process is meant: who asks once more, since the answer was lost, does not replace
   twice. */
static json_t *replace(Run *run, const char *words) {
  char name[128] = "";
  int pid = 0;
  int program = 0;
  json_t *result;

  if (sscanf(words, "%127s %d %n", name, &pid, &program) < 2 || !program || !words[program])
    return NULL;
  if (run->succeeding)
    return result_of(run, false, "the supervisor is being replaced");
  result = fleet_replace(run->fleet, name, pid, words + program);
  return result ? result : json_null();
}

static json_t *on_word(void *userdata, const char *word) {
  Run *run = userdata;

  if (strncmp(word, "replace ", 8) == 0)
    return replace(run, word + 8);
  if (strncmp(word, "become ", 7) == 0)
    return become(run, word + 7);
  if (strcmp(word, "status") == 0)
    return describe(run);
  if (strcmp(word, "stop") == 0 && !run->stopping) {
    log_info("PONS-STOPPING", "pons down: stopping the fleet");
    stop(run);
  }
  return strcmp(word, "stop") == 0 ? describe(run) : NULL;
}

/* --- the whole --- */

/* Who we are: the path by which we were executed, or where the kernel says that our file is. */
static void take_self(Run *run) {
  const json_t *state = run->start->state;
  ssize_t size = readlink("/proc/self/exe", run->program, sizeof run->program - 1);

  run->program[size > 0 ? size : 0] = '\0';
  run->life = view_number(state, "life");
  run->began_us = view_number(state, "began_us");
}

static int set_up(Run *run, const Plan *plan, const Folder *folder) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  const FleetHandler handler = {on_output, on_settled, on_replaced, on_ended, run};
  const json_t *state = run->start->state;
  int r = loop_new(&run->loop);

  take_self(run);
  if (state)
    pass_own(state, false);
  if (r == 0)
    r = fleet_new(&run->fleet, run->loop, plan, &handler, state);
  if (r == 0)
    r = control_new(&run->control, run->loop, folder->control, state ? (int)view_number(state, "control_fd") : -1,
                    on_word, run);
  for (size_t i = 0; r == 0 && i < ELEMENTS(signals); i++)
    r = loop_on_signal(run->loop, signals[i], on_signal, run);
  return r;
}

static void begin(Run *run) {
  if (run->start->state)
    log_info("PONS-SUPERVISOR-REPLACED", "the supervisor is %s from now on; no process of the fleet has noticed",
             run->program);
  else
    fleet_start(run->fleet);
}

int run_fleet(const Plan *plan, const Folder *folder, Output *output, const RunReport *report, const RunStart *start) {
  Run run = {.output = output, .report = report, .start = start};
  LogLevel level = LOG_LEVEL_INFO;
  int r;

  log_output = output;
  log_level_parse(plan->config->log.level, &level);
  log_setup(level, on_log);
  loop_block_signals();
  r = set_up(&run, plan, folder);
  if (r == 0) {
    begin(&run);
    r = loop_run(run.loop);
  }
  successor_destroy(&run.successor);
  fleet_destroy(&run.fleet);
  control_destroy(&run.control);
  loop_destroy(&run.loop);
  log_setup(level, NULL);
  return r;
}
