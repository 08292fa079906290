/* The drills themselves are in bus/drill; here is where they find a fleet: the one of the configuration, or a lab's. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/ctl/control.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/reach.h"
#include "bus/ctl/view.h"
#include "bus/drill/director.h"

enum {
  RATE = 1000,
  AGENTS = 60,
  DEADLINE_MS = 5000,
  PATIENCE_S = 60,
  ASK_MS = 2000,
  SECONDS_LEAST = 2,
};

typedef struct DrillRun {
  Ctl *ctl;
  Lab *lab;
  char *endpoints; /* of the live fleet */
  KeyPair *key;    /* with which it is asked; NULL = none is wanted */
  Cutter *cutter;  /* of its cable, for drills that need it */
  bool is_full;    /* one of several drills */
  Report **reports;
  uint32_t count;
} DrillRun;

/* --- the fleet --- */

/* The name of the preferred broker's process; "" when it runs elsewhere. */
static void name_broker(const DrillRun *drill, Buffer *ret) {
  const ConfigOther *other = drill->lab ? NULL : &drill->ctl->config->other_broker;

  if (!other || !other->preferred)
    buffer_printf(ret, "broker");
  else if (other->run)
    buffer_printf(ret, "broker@%s", other->name);
  buffer_append(ret, "", 1);
}

static void name_control(const DrillRun *drill, uint32_t machine, Folder *ret) {
  char *folder = drill->lab ? (char *)(uintptr_t)lab_folder(drill->lab, machine) : NULL;

  folder_name(drill->lab ? &(Config){.runtime_dir = folder, .state_dir = folder} : drill->ctl->config, ret);
}

static pid_t find_process(void *userdata, uint32_t machine, const char *name) {
  const DrillRun *drill = userdata;
  _cleanup_(buffer_done) Buffer broker = {0};
  const json_t *process;
  json_t *status = NULL;
  pid_t pid = 0;
  Folder folder;

  name_broker(drill, &broker);
  if (!name)
    name = (const char *)broker.data;
  name_control(drill, machine, &folder);
  if (control_ask(folder.control, "status", false, ASK_MS, &status))
    return 0;
  process = view_find(json_object_get(status, "processes"), "name", name);
  if (process)
    pid = (pid_t)view_number(process, "pid");
  json_decref(status);
  return pid;
}

static LabChain chain_of(const Drill *which) {
  static const LabChain chains[] = {[DRILL_NEEDS_WORKER] = LAB_CHAIN_WORKER,
                                    [DRILL_NEEDS_PROVIDER] = LAB_CHAIN_PROVIDER,
                                    [DRILL_NEEDS_AGENT] = LAB_CHAIN_NONE};

  return chains[which->need];
}

/* Where nobody answers now there is nothing to be broken, and nothing to wait for. */
static CtlExit find_broker(Ctl *ctl) {
  _cleanup_(reach_close) Reach reach = {0};

  return reach_open(ctl, reach_wait_ms(ctl), false, &reach);
}

/* The fleet of the configuration, or a lab for this drill. */
static CtlExit open_fleet(DrillRun *drill, const Drill *which) {
  const Options *options = &drill->ctl->options;
  _cleanup_(buffer_done) Buffer text = {0};
  LabOptions lab = {.agents = (uint32_t)(options->agents ? options->agents : AGENTS),
                    .silence_ms = (uint32_t)options->silence_ms,
                    .witness = !options->no_witness && !options->one_broker,
                    .one_broker = options->one_broker,
                    .chain = chain_of(which)};
  CtlExit status;

  if (options->lab) {
    if (lab_open(&lab, &text, &drill->lab) == 0)
      return CTL_OK;
    ctl_say_lines(&text);
    return CTL_FAILED;
  }
  status = ctl_load_config(drill->ctl); /* for its supervisor, also when --endpoint says where the brokers are */
  if (status == CTL_OK)
    status = find_broker(drill->ctl);
  if (status)
    return status;
  return reach_find(drill->ctl, &drill->endpoints, &drill->key);
}

/* --- the drills --- */

static void on_event(void *userdata, const char *words) {
  const DrillRun *drill = userdata;

  if (drill->ctl->options.verbose)
    ctl_say("run %u: %s", drill->count + 1, words);
}

/* What ends with its event has at least what the table gives that. */
static uint64_t load_seconds(const Options *options, const Drill *which) {
  uint64_t least = which->loads & DRILL_LOAD_WHILE ? which->seconds : SECONDS_LEAST;

  return max_u64(options->seconds ? options->seconds : which->seconds, least);
}

static DirectorOptions describe(DrillRun *drill, const Drill *which) {
  const Options *options = &drill->ctl->options;
  DirectorOptions all = {.drill = which,
                         .lab = drill->lab,
                         .cutter = drill->cutter,
                         .find = find_process,
                         .find_userdata = drill,
                         .on_event = on_event,
                         .on_event_userdata = drill,
                         .rate = (uint32_t)(options->rate ? options->rate : RATE),
                         .length_us = load_seconds(options, which) * US_PER_S,
                         .deadline_us = (options->timeout_ms ? options->timeout_ms : DEADLINE_MS) * US_PER_MS,
                         .patience_us = PATIENCE_S * US_PER_S};

  if (!drill->lab) {
    all.least = 1;
    all.endpoints = drill->endpoints;
    all.config = options->config;
    all.key = drill->key;
    all.vote_us = drill->ctl->config->authority.vote_ms * US_PER_MS;
    all.places[0] = (DirectorPlace){"here", drill->endpoints, -1};
    return all;
  }
  all.least = lab_instances(drill->lab);
  all.endpoints = lab_sockets(drill->lab);
  all.vote_us = LAB_VOTE_MS * US_PER_MS;
  for (uint32_t i = 0; i < LAB_MACHINES; i++)
    all.places[i] = (DirectorPlace){lab_name(i), lab_endpoints(drill->lab, i), lab_net(drill->lab, i)};
  return all;
}

static CtlExit say_failure(const DrillRun *drill, int r, const Buffer *errors) {
  _cleanup_(buffer_done) Buffer log = {0};

  if (r == DIRECTOR_E_INTERRUPTED)
    return (CtlExit)CTL_INTERRUPTED;
  ctl_say_lines(errors);
  for (uint32_t i = 0; drill->lab && drill->ctl->options.verbose && i < LAB_MACHINES; i++)
    lab_print_log(drill->lab, i, &log);
  ctl_say_lines(&log);
  return CTL_FAILED;
}

/* FILE, or where several drills are done FILE with the drill's name before its extension. */
static void name_svg(const DrillRun *drill, const Report *report, Buffer *ret) {
  const char *path = drill->ctl->options.svg;
  const char *slash = strrchr(path, '/');
  const char *dot = strrchr(slash ? slash : path, '.');
  size_t stem = dot ? (size_t)(dot - path) : strlen(path);

  if (drill->is_full)
    buffer_printf(ret, "%.*s-%s%s", (int)stem, path, report->drill->name, path + stem);
  else
    buffer_printf(ret, "%s", path);
  buffer_append(ret, "", 1);
}

static CtlExit write_svg(const DrillRun *drill, const Report *report) {
  _cleanup_(buffer_done) Buffer path = {0};
  _cleanup_(buffer_done) Buffer text = {0};
  FILE *file;
  bool written;

  if (!drill->ctl->options.svg)
    return CTL_OK;
  name_svg(drill, report, &path);
  report_print_svg(report, &text);
  file = fopen((const char *)path.data, "we");
  written = file && fwrite(text.data, 1, text.size, file) == text.size;
  if (file && fclose(file) != 0)
    written = false;
  if (!written)
    ctl_say("%s can't be written: %s", (const char *)path.data, strerror(errno));
  return written ? CTL_OK : CTL_FAILED;
}

static CtlExit tell(const DrillRun *drill) {
  const Report *worst = report_worst(drill->reports, drill->count);
  _cleanup_(buffer_done) Buffer text = {0};

  if (!worst)
    return CTL_FAILED;
  if (drill->ctl->options.json)
    report_print_json(drill->reports, drill->count, &text);
  else
    report_print_text(drill->reports, drill->count, &text);
  ctl_write(&text);
  return write_svg(drill, worst) == CTL_OK && report_is_passed(worst) ? CTL_OK : CTL_FAILED;
}

/* All runs of one drill, and its report: also of those before the one that could not be done. */
static CtlExit do_runs(DrillRun *drill, const Drill *which) {
  uint64_t times = drill->ctl->options.times ? drill->ctl->options.times : 1;
  const DirectorOptions options = describe(drill, which);
  CtlExit status = CTL_OK;
  CtlExit judged;

  drill->reports = calloc(times, sizeof *drill->reports);
  if (!drill->reports)
    abort();
  for (drill->count = 0; status == CTL_OK && drill->count < times;) {
    _cleanup_(buffer_done) Buffer errors = {0};
    int r = director_run(&options, drill->count + 1, &errors, &drill->reports[drill->count]);

    if (r)
      status = say_failure(drill, r, &errors);
    else
      report_judge(drill->reports[drill->count++], !drill->ctl->options.no_time_bounds);
  }
  judged = drill->count ? tell(drill) : status;
  for (uint32_t i = 0; i < drill->count; i++)
    report_destroy(&drill->reports[i]);
  free(drill->reports);
  return status ? status : judged;
}

static CtlExit do_drill(DrillRun *drill, const Drill *which) {
  CtlExit status = open_fleet(drill, which);

  if (status == CTL_OK)
    status = do_runs(drill, which);
  lab_close(&drill->lab);
  cutter_destroy(&drill->cutter);
  key_unref(&drill->key);
  free(TAKE(drill->endpoints));
  return status;
}

/* What drills need of a fleet, beside what is found when they begin. */
typedef struct Need {
  bool machines;  /* that it may cut off */
  bool two;       /* brokers */
  bool preferred; /* broker on this machine */
  bool authority;
} Need;

static const Need needs[] = {
    [DRILL_NEEDS_TWO] = {.two = true},
    [DRILL_NEEDS_PAIR] = {.two = true, .preferred = true},
    [DRILL_NEEDS_LEADER] = {.preferred = true, .authority = true},
    [DRILL_NEEDS_CABLE] = {.two = true, .preferred = true},
    [DRILL_NEEDS_LAB] = {.machines = true},
    [DRILL_NEEDS_PROVIDER] = {.machines = true},
    [DRILL_NEEDS_AGENT] = {.machines = false},
};

static bool has_two(const Ctl *ctl) {
  const char *endpoint = ctl->options.endpoint;

  return endpoint ? strchr(endpoint, ';') != NULL : ctl->config->other_broker.endpoints_count > 0;
}

/* What the fleet of the configuration lacks for a drill; NULL = nothing. Where the other broker is preferred, a cut would have the work
   of this machine end UNKNOWN, as it must. */
static const char *lack_of(const Ctl *ctl, Need need) {
  const ConfigOther *other = &ctl->config->other_broker;

  if (need.machines)
    return "needs machines that it may cut off; give it --lab";
  if (need.two && !has_two(ctl))
    return "needs two brokers, and pons.yaml names one (other_broker is the second); or give it --lab";
  if (need.preferred && other->preferred && !other->run)
    return "is done on the other machine, whose broker is preferred; or give it --lab";
  if (need.authority && strcmp(ctl->config->authority.node, "none") == 0)
    return "is about leases, and this fleet has none: authority.node is none in pons.yaml; or give it --lab";
  return NULL;
}

/* Some show what a second broker is for; others have nothing to break without one. */
static const char *lack_of_lab(const Options *options, const Drill *which) {
  bool has_place =
      which->need == DRILL_NEEDS_LAB || which->need == DRILL_NEEDS_CABLE || which->need == DRILL_NEEDS_WORKER;

  return options->one_broker && has_place ? "needs the lab's second machine, which --one-broker leaves out" : NULL;
}

/* Takes hold of a live fleet's cable, if that can be cut from here. */
static void take_cable(DrillRun *drill, Buffer *ret_why) {
  const ConfigOther *other = &drill->ctl->config->other_broker;
  int r = cutter_new(other->endpoints, other->endpoints_count, CUTTER_PATIENCE_US, ret_why, &drill->cutter);

  if (r < 0)
    buffer_printf(ret_why, "the cable can't be taken hold of: %s", strerror(-r));
}

static CtlExit find_live_obstacle(DrillRun *drill, const Drill *which, Buffer *ret_why) {
  CtlExit status = ctl_load_config(drill->ctl);
  const char *lack = status ? NULL : lack_of(drill->ctl, needs[which->need]);

  if (lack)
    buffer_printf(ret_why, "%s", lack);
  else if (status == CTL_OK && which->need == DRILL_NEEDS_CABLE)
    take_cable(drill, ret_why);
  else if (status == CTL_OK && which->need == DRILL_NEEDS_WORKER && find_process(drill, 0, EVENT_WORKER) == 0)
    buffer_printf(ret_why, "needs " EVENT_WORKER " in the fleet that runs here; or give it --lab");
  return status;
}

/* Appends why a drill can't be done here; nothing: it can. */
static CtlExit find_obstacle(DrillRun *drill, const Drill *which, Buffer *ret_why) {
  const Options *options = &drill->ctl->options;
  const char *lack = options->lab ? lack_of_lab(options, which) : NULL;

  if (!which->begin)
    lack = "needs an agent or a command that this build does not have";
  if (lack)
    buffer_printf(ret_why, "%s", lack);
  return lack || options->lab ? CTL_OK : find_live_obstacle(drill, which, ret_why);
}

static CtlExit do_all(DrillRun *drill) {
  CtlExit status = drill->ctl->options.lab ? CTL_OK : ctl_load_config(drill->ctl);
  bool any = false;
  const Drill *which;

  if (status)
    return status;
  for (size_t i = 0; (which = drill_at(i)) && status != (CtlExit)CTL_INTERRUPTED; i++) {
    _cleanup_(buffer_done) Buffer why = {0};
    CtlExit own = find_obstacle(drill, which, &why);

    any = any || why.size == 0;
    if (own == CTL_OK && why.size == 0)
      own = do_drill(drill, which);
    else if (own == CTL_OK)
      ctl_say("left out: %s: %.*s", which->name, (int)why.size, (const char *)why.data);
    if (own)
      status = own;
  }
  return any ? status : CTL_USAGE;
}

static json_t *drills_json(void) {
  json_t *rows = json_array();
  const Drill *which;

  for (size_t i = 0; (which = drill_at(i)); i++)
    json_array_append_new(
        rows, json_pack("{s:s, s:s, s:b}", "name", which->name, "about", which->about, "here", which->begin != NULL));
  return rows;
}

static void list_drills(const Ctl *ctl) {
  const Drill *which;

  if (ctl->options.json) {
    ctl_write_json(ctl, drills_json());
    return;
  }
  for (size_t i = 0; (which = drill_at(i)); i++)
    printf("%-16s %s%s\n", which->name, which->about, which->begin ? "" : " (not in this build)");
  printf("%-16s all of them, one after the other\n", "full");
}

static CtlExit find_drill(DrillRun *drill, const char *name, const Drill **ret) {
  _cleanup_(buffer_done) Buffer why = {0};
  CtlExit status;

  *ret = drill_find(name);
  if (!*ret) {
    ctl_say("there is no drill '%s'; `pons drill list` has them", name);
    return CTL_USAGE;
  }
  status = find_obstacle(drill, *ret, &why);
  if (why.size)
    ctl_say("the drill %s: %.*s", name, (int)why.size, (const char *)why.data);
  return why.size ? (CtlExit)CTL_USAGE : status;
}

/* What is said of a lab, and there is none: whoever says it takes the fleet that runs for one. */
static bool is_lab_meant(const Options *options) {
  return !options->lab && (options->one_broker || options->no_witness || options->agents || options->silence_ms);
}

CtlExit cmd_drill(Ctl *ctl) {
  const char *name = ctl->options.arguments[0];
  DrillRun drill = {.ctl = ctl, .is_full = strcmp(name, "full") == 0};
  const Drill *which = NULL;
  CtlExit status = CTL_OK;

  if (strcmp(name, "list") == 0) {
    list_drills(ctl);
    return CTL_OK;
  }
  if (is_lab_meant(&ctl->options)) {
    ctl_say("--one-broker, --no-witness, --agents and --silence are for a lab, and without --lab the fleet that runs "
            "is drilled");
    return CTL_USAGE;
  }
  if (!drill.is_full)
    status = find_drill(&drill, name, &which);
  loop_block_signals(); /* whoever interrupts is heard by a director, which undoes what it did */
  if (status == CTL_OK)
    status = which ? do_drill(&drill, which) : do_all(&drill);
  return status;
}
