/* `pons upgrade`: this process decides what is next and whether it may be; the supervisor replaces one process at a time
   (fleet-replace.c). When this one is ended in the middle, what it has begun is finished and nothing further is begun. */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bus/ctl/control.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/grid.h"
#include "bus/ctl/look.h"
#include "bus/ctl/tryout.h"
#include "bus/ctl/upgrade.h"
#include "bus/ctl/view.h"

enum {
  PATIENCE_MS = 30000, /* for the brokers to be of one mind */
  SETTLE_MS = 5000,    /* for what is good to have, but no condition */
  PAUSE_US = 50000,    /* between two looks */
  TRYOUT_MS = 10000,   /* for --version */
  STATUS_MS = 2000,
  BROKER_MS = 60000, /* more than the supervisor gives a broker to stop and to start */
  MARGIN_MS = 15000, /* beyond what an agent is given */
};

typedef struct Upgrade {
  Ctl *ctl;
  Folder folder;
  Loop *loop;     /* to wait in */
  json_t *fleet;  /* the supervisor's status */
  json_t *chosen; /* processes with `to`, a program, and `version` */
  json_t *done;   /* results */
  int width;      /* of the longest name */
  bool interrupted;
} Upgrade;

/* --- who is where --- */

static bool has_two(const Upgrade *upgrade) {
  return upgrade->ctl->config->other_broker.endpoints_count > 0;
}

/* Which broker of client.endpoints a process is: 0 is the preferred one. */
static uint32_t number_of(const Upgrade *upgrade, const json_t *process) {
  bool is_other = strcmp(view_text(process, "name"), "broker") != 0;

  return is_other != upgrade->ctl->config->other_broker.preferred;
}

static bool is_broker(const json_t *process) {
  return !*view_text(process, "agent") && !upgrade_is_supervisor(process);
}

/* The name of the process that is the broker which leads; "" when nobody does, or it is not of this fleet. */
static const char *find_leader(const Upgrade *upgrade) {
  const json_t *process;
  size_t i;

  json_array_foreach(json_object_get(upgrade->fleet, "processes"), i, process) {
    _cleanup_(look_done) Look look = {0};

    if (!is_broker(process) || !has_two(upgrade))
      continue;
    look_at(upgrade->ctl, number_of(upgrade, process), &look);
    if (look_leads(&look))
      return view_text(process, "name");
  }
  return "";
}

/* --- waiting --- */

static bool is_interrupted(void *userdata) {
  const Upgrade *upgrade = userdata;

  return upgrade->interrupted;
}

static void on_interrupt(void *userdata, int signo) {
  Upgrade *upgrade = userdata;

  (void)signo;
  upgrade->interrupted = true;
}

static void take_breath(Upgrade *upgrade) {
  loop_run_until(upgrade->loop, is_interrupted, upgrade, clock_monotonic_us() + PAUSE_US);
}

static uint64_t deadline_of(const Upgrade *upgrade) {
  uint64_t patience_ms = upgrade->ctl->options.timeout_ms ? upgrade->ctl->options.timeout_ms : PATIENCE_MS;

  return clock_monotonic_us() + patience_ms * US_PER_MS;
}

/* What speaks against going on, after one look at both brokers. An agent may be replaced beside a broker that is down. */
static void look(Upgrade *upgrade, const json_t *process, bool *ret_settled, Buffer *ret_why) {
  const ConfigHeartbeat *heartbeat = &upgrade->ctl->config->broker.heartbeat;
  uint64_t doubt_us = (heartbeat->interval_ms + heartbeat->timeout_ms) * US_PER_MS;
  uint32_t number = is_broker(process) ? number_of(upgrade, process) : 0;
  uint64_t now_us = clock_realtime_us();
  _cleanup_(look_done) Look leaving = {0};
  _cleanup_(look_done) Look staying = {0};

  look_at(upgrade->ctl, number, &leaving);
  look_at(upgrade->ctl, 1 - number, &staying);
  if (is_broker(process) || (leaving.registry && staying.registry))
    look_object(&leaving, &staying, ret_why);
  *ret_settled = !is_broker(process) || (look_is_settled(&staying, &leaving, doubt_us, now_us) &&
                                         look_is_settled(&leaving, &staying, doubt_us, now_us));
}

/* Looks at both brokers until the process may go: each instance is ready at both, and if it is a broker, the other one can
   do without it. */
static CtlExit wait_until_free(Upgrade *upgrade, const json_t *process) {
  uint64_t settle_us = clock_monotonic_us() + SETTLE_MS * US_PER_MS;
  uint64_t deadline_us = deadline_of(upgrade);

  while (has_two(upgrade) && !upgrade->interrupted) {
    _cleanup_(buffer_done) Buffer why = {0};
    bool settled = false;

    look(upgrade, process, &settled, &why);
    if (why.size == 0 && (settled || clock_monotonic_us() >= settle_us))
      break;
    if (why.size && clock_monotonic_us() >= deadline_us) {
      ctl_say_lines(&why);
      return CTL_FAILED;
    }
    take_breath(upgrade);
  }
  return upgrade->interrupted ? (CtlExit)CTL_INTERRUPTED : CTL_OK;
}

/* --- a broker hands over --- */

static CtlExit say_yield(Upgrade *upgrade, uint32_t number) {
  _cleanup_(reach_close) Reach reach = {0};
  json_t *answer = NULL;
  CtlExit status = reach_open_one(upgrade->ctl, number, STATUS_MS, &reach);

  if (status == CTL_OK)
    status = reach_ask(&reach, "pons.authority", "yield", NULL, &answer);
  json_decref(answer);
  return status;
}

/* Until the other one leads. */
static CtlExit hand_over(Upgrade *upgrade, uint32_t number) {
  uint64_t deadline_us = deadline_of(upgrade);
  _cleanup_(look_done) Look look = {0};
  CtlExit status;

  look_at(upgrade->ctl, number, &look);
  if (!look_leads(&look))
    return CTL_OK;
  status = say_yield(upgrade, number);
  while (status == CTL_OK) {
    _cleanup_(look_done) Look other = {0};

    look_at(upgrade->ctl, 1 - number, &other);
    if (look_leads(&other))
      return CTL_OK;
    if (clock_monotonic_us() >= deadline_us)
      status = CTL_FAILED;
    take_breath(upgrade);
  }
  ctl_say("broker %s leads and can't hand over; `pons status` says more", look.name);
  return status;
}

static CtlExit make_free(Upgrade *upgrade, const json_t *process) {
  CtlExit status = upgrade_is_supervisor(process) ? CTL_OK : wait_until_free(upgrade, process);

  if (status == CTL_OK && has_two(upgrade) && is_broker(process))
    status = hand_over(upgrade, number_of(upgrade, process));
  if (status == CTL_FAILED)
    ctl_say("%s stays as it is: without it something would be lost", view_text(process, "name"));
  return status;
}

/* --- one process --- */

static uint64_t wait_ms(const Upgrade *upgrade, const json_t *process) {
  const ConfigAgent *agent = config_find_agent(upgrade->ctl->config, view_text(process, "agent"));

  return agent ? agent->start_timeout_ms + agent->stop_timeout_ms + MARGIN_MS : BROKER_MS;
}

/* The word may be said: the program's path has no line break. */
static int ask_supervisor(const Upgrade *upgrade, const json_t *process, json_t **ret) {
  _cleanup_(buffer_done) Buffer word = {0};

  if (upgrade_is_supervisor(process))
    buffer_printf(&word, "become %u %s", (unsigned)view_number(process, "life"), view_text(process, "to"));
  else
    buffer_printf(&word, "replace %s %d %s", view_text(process, "name"), (int)view_number(process, "pid"),
                  view_text(process, "to"));
  buffer_append(&word, "", 1);
  return control_ask(upgrade->folder.control, (const char *)word.data, false, wait_ms(upgrade, process), ret);
}

static void print_row(const Upgrade *upgrade, const json_t *process, const json_t *result) {
  _cleanup_(buffer_done) Buffer took = {0};

  if (upgrade->ctl->options.json)
    return;
  grid_print_span(&took, view_number(result, "took_us"));
  printf("%-*s  %-7s  %6.*s  %7d -> %-7d  %s\n", upgrade->width, view_text(process, "name"), view_text(result, "how"),
         (int)took.size, (const char *)took.data, (int)view_number(result, "before_pid"),
         (int)view_number(result, "pid"), view_text(process, "version"));
  fflush(stdout);
}

static CtlExit replace(Upgrade *upgrade, const json_t *process) {
  json_t *result = NULL;
  int r = ask_supervisor(upgrade, process, &result);

  if (r) {
    ctl_say("%s: the supervisor %s", view_text(process, "name"),
            r == CONTROL_E_TIMEOUT ? "has not finished yet; `pons status` shows how far it is" : "does not answer");
    return CTL_UNREACHABLE;
  }
  json_object_set(result, "version", json_object_get(process, "version"));
  json_array_append_new(upgrade->done, result);
  if (json_is_true(json_object_get(result, "ok"))) {
    print_row(upgrade, process, result);
    if (*view_text(result, "why"))
      ctl_say("%s: %s", view_text(process, "name"), view_text(result, "why"));
    return CTL_OK;
  }
  ctl_say("%s: %s", view_text(process, "name"),
          *view_text(result, "why") ? view_text(result, "why") : view_text(result, "error"));
  return CTL_FAILED;
}

static CtlExit replace_all(Upgrade *upgrade) {
  CtlExit status = CTL_OK;
  const json_t *process;
  size_t i;

  json_array_foreach(upgrade->chosen, i, process) {
    if (status == CTL_OK)
      status = make_free(upgrade, process);
    if (status == CTL_OK)
      status = replace(upgrade, process);
  }
  return status;
}

/* --- before the first --- */

static bool is_given_by_path(const Upgrade *upgrade, const json_t *process) {
  const ConfigAgent *agent = config_find_agent(upgrade->ctl->config, view_text(process, "agent"));

  return agent && strchr(agent->program, '/');
}

/* Which program the process is to run: that of --bin, if it is none that pons.yaml names by its path. */
static bool set_program(const Upgrade *upgrade, json_t *process, Buffer *errors) {
  const char *bin = upgrade->ctl->options.bin;
  const char *now = view_text(process, "program");
  char folder[PATH_MAX];
  char path[PATH_MAX + 256];

  if (!bin || is_given_by_path(upgrade, process)) {
    snprintf(path, sizeof path, "%s", now);
  } else if (realpath(bin, folder)) {
    snprintf(path, sizeof path, "%s/%s", folder, upgrade_base(now));
  } else {
    buffer_printf(errors, "--bin %s: %s\n", bin, strerror(errno));
    return false;
  }
  if (access(path, X_OK) != 0) {
    buffer_printf(errors, "%s: %s is no program; build it, or name a folder that has it with --bin\n",
                  view_text(process, "name"), path);
    return false;
  }
  json_object_set_new(process, "to", json_string(path));
  return true;
}

/* What does not even run is found before anything is touched. */
static bool try_out(json_t *process, Buffer *errors) {
  const char *program = view_text(process, "to");
  char said[TRYOUT_BYTES];

  json_object_set_new(process, "version", json_string(""));
  if (strncmp(upgrade_base(program), "pons-", 5) != 0 && !upgrade_is_supervisor(process))
    return true;
  if (tryout_version(program, TRYOUT_MS, said) != 0) {
    buffer_printf(errors, "%s: %s --version: %s\n", view_text(process, "name"), program, said);
    return false;
  }
  json_object_set_new(process, "version", json_string(said));
  return true;
}

static CtlExit prepare(Upgrade *upgrade) {
  _cleanup_(buffer_done) Buffer errors = {0};
  const Options *options = &upgrade->ctl->options;
  json_t *process;
  size_t i;
  bool good = upgrade_choose(json_object_get(upgrade->fleet, "processes"), options->arguments, options->argument_count,
                             find_leader(upgrade), &upgrade->chosen, &errors) == 0;

  json_array_foreach(upgrade->chosen, i, process) {
    good &= set_program(upgrade, process, &errors) && try_out(process, &errors);
    upgrade->width = (int)max_u64((uint64_t)upgrade->width, strlen(view_text(process, "name")));
  }
  ctl_say_lines(&errors);
  return good ? CTL_OK : CTL_USAGE;
}

static CtlExit find_fleet(Upgrade *upgrade) {
  int r = control_ask(upgrade->folder.control, "status", false, STATUS_MS, &upgrade->fleet);

  if (r) {
    ctl_say("no fleet of `pons up` runs in %s", upgrade->ctl->config->runtime_dir);
    return CTL_UNREACHABLE;
  }
  if (strcmp(view_text(upgrade->fleet, "state"), "starting") != 0 &&
      strcmp(view_text(upgrade->fleet, "state"), "stopping") != 0)
    return CTL_OK;
  ctl_say("the fleet is still %s; ask again when it is not", view_text(upgrade->fleet, "state"));
  return CTL_FAILED;
}

/* As the first of the processes. */
static void add_supervisor(const Upgrade *upgrade) {
  json_t *supervisor = upgrade_supervisor(upgrade->fleet);

  if (supervisor)
    json_array_insert_new(json_object_get(upgrade->fleet, "processes"), 0, supervisor);
  else
    ctl_say("this supervisor is of a version that stays; `pons down` and `pons up` replace it");
}

/* What nobody can promise is said before it happens. */
static void warn(const Upgrade *upgrade) {
  const json_t *process;
  size_t i;

  json_array_foreach(upgrade->chosen, i, process) {
    if (is_broker(process) && !has_two(upgrade))
      ctl_say(
          "there is one broker: while it is replaced requests wait or are refused (DRAINING, NO_SERVICE), and one of a "
          "`once` method that an agent had begun may end UNKNOWN; a second one (other_broker) would carry them");
  }
}

static size_t count_replaced(const Upgrade *upgrade) {
  const json_t *result;
  size_t count = 0;
  size_t i;

  json_array_foreach(upgrade->done, i, result) {
    count += json_is_true(json_object_get(result, "ok"));
  }
  return count;
}

static CtlExit run(Upgrade *upgrade) {
  CtlExit status = find_fleet(upgrade);

  if (status == CTL_OK) {
    add_supervisor(upgrade);
    status = prepare(upgrade);
  }
  if (status != CTL_OK)
    return status;
  warn(upgrade);
  upgrade->done = json_array();
  if (!upgrade->ctl->options.json)
    printf("%-*s  %-7s  %6s  %7s    %-7s  %s\n", upgrade->width, "NAME", "HOW", "TOOK", "PID", "", "VERSION");
  status = replace_all(upgrade);
  if (upgrade->ctl->options.json)
    ctl_write_json(upgrade->ctl, json_pack("{s:b, s:O}", "ok", status == CTL_OK, "processes", upgrade->done));
  if (status != CTL_OK)
    ctl_say("%zu of %zu processes are replaced; the others run as before", count_replaced(upgrade),
            json_array_size(upgrade->chosen));
  return status;
}

CtlExit cmd_upgrade(Ctl *ctl) {
  Upgrade upgrade = {.ctl = ctl};
  CtlExit status = ctl_load_config(ctl);

  if (status)
    return status;
  folder_name(ctl->config, &upgrade.folder);
  loop_block_signals();
  if (loop_new(&upgrade.loop) < 0 || loop_on_signal(upgrade.loop, SIGINT, on_interrupt, &upgrade) < 0)
    abort(); /* memory is out */
  status = run(&upgrade);
  json_decref(upgrade.fleet);
  json_decref(upgrade.chosen);
  json_decref(upgrade.done);
  loop_destroy(&upgrade.loop);
  return status;
}
