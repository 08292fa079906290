#include "bus/ctl/run.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bus/base/log.h"
#include "bus/ctl/control.h"
#include "bus/ctl/fleet.h"

enum { END_ORDERLY = 0, END_NO_BROKER = 1 };

typedef struct Run {
  Loop *loop;
  Fleet *fleet;
  Control *control;
  Output *output;
  const RunReport *report;
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

static void on_settled(void *userdata) {
  Run *run = userdata;
  json_t *description = fleet_describe(run->fleet);

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

/* `replace NAME PID PROGRAM`. PID says which process is meant: who asks once more, since the answer was lost, does not replace
   twice. */
static json_t *replace(Run *run, const char *words) {
  char name[128] = "";
  int pid = 0;
  int program = 0;
  json_t *result;

  if (sscanf(words, "%127s %d %n", name, &pid, &program) < 2 || !program || !words[program])
    return NULL;
  result = fleet_replace(run->fleet, name, pid, words + program);
  return result ? result : json_null();
}

static json_t *on_word(void *userdata, const char *word) {
  Run *run = userdata;

  if (strncmp(word, "replace ", 8) == 0)
    return replace(run, word + 8);
  if (strcmp(word, "status") == 0)
    return fleet_describe(run->fleet);
  if (strcmp(word, "stop") == 0 && !run->stopping) {
    log_info("PONS-STOPPING", "pons down: stopping the fleet");
    stop(run);
  }
  return strcmp(word, "stop") == 0 ? fleet_describe(run->fleet) : NULL;
}

static int set_up(Run *run, const Plan *plan, const Folder *folder) {
  static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
  const FleetHandler handler = {on_output, on_settled, on_replaced, on_ended, run};
  int r = loop_new(&run->loop);

  if (r == 0)
    r = fleet_new(&run->fleet, run->loop, plan, &handler);
  if (r == 0)
    r = control_new(&run->control, run->loop, folder->control, on_word, run);
  for (size_t i = 0; r == 0 && i < ELEMENTS(signals); i++)
    r = loop_on_signal(run->loop, signals[i], on_signal, run);
  return r;
}

int run_fleet(const Plan *plan, const Folder *folder, Output *output, const RunReport *report) {
  Run run = {.output = output, .report = report};
  LogLevel level = LOG_LEVEL_INFO;
  int r;

  log_output = output;
  log_level_parse(plan->config->log.level, &level);
  log_setup(level, on_log);
  loop_block_signals();
  r = set_up(&run, plan, folder);
  if (r == 0) {
    fleet_start(run.fleet);
    r = loop_run(run.loop);
  }
  fleet_destroy(&run.fleet);
  control_destroy(&run.control);
  loop_destroy(&run.loop);
  log_setup(level, NULL);
  return r;
}
