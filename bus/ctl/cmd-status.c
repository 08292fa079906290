/* Two views of one fleet: what the supervisor says of its processes, and what the broker says of its instances. Either may
   be absent: agents may run under systemd, and a broker may be down. */
#include "bus/ctl/control.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/reach.h"
#include "bus/ctl/view.h"

enum { SUPERVISOR_TIMEOUT_MS = 2000, BROKER_TIMEOUT_MS = 1000, NOT_RUNNING = CTL_USAGE };

/* NULL when no supervisor answers. */
static json_t *ask_supervisor(const Ctl *ctl) {
  json_t *supervisor = NULL;
  Folder folder;

  if (!ctl->config)
    return NULL;
  folder_name(ctl->config, &folder);
  if (control_ask(folder.control, "status", false, SUPERVISOR_TIMEOUT_MS, &supervisor))
    return NULL;
  return supervisor;
}

/* NULL when no broker answers. */
static json_t *ask_broker(Ctl *ctl) {
  _cleanup_(reach_close) Reach reach = {0};
  json_t *registry = NULL;

  if (reach_open(ctl, min_u64(reach_wait_ms(ctl), BROKER_TIMEOUT_MS), true, &reach) == CTL_OK)
    reach_ask(&reach, "pons", "registry", NULL, &registry);
  return registry;
}

static bool is_whole(const json_t *supervisor, const json_t *registry) {
  const json_t *row;
  size_t i;

  if (!registry || json_array_size(json_object_get(registry, "mismatches")))
    return false;
  json_array_foreach(json_object_get(registry, "instances"), i,
                     row) if (strcmp(view_text(row, "state"), "suspect") == 0) return false;
  return !supervisor || strcmp(view_text(supervisor, "state"), "ready") == 0;
}

static void print_both(const json_t *supervisor, const json_t *registry, Buffer *ret) {
  if (supervisor) {
    buffer_printf(ret, "fleet is %s (supervisor %u, profile %s)\n\n", view_text(supervisor, "state"),
                  (unsigned)view_number(supervisor, "pid"), view_text(supervisor, "profile"));
    view_print_processes(supervisor, clock_realtime_us(), ret);
  } else {
    buffer_printf(ret, "no supervisor of `pons up` runs here; the broker says:\n");
  }
  buffer_printf(ret, "\n");
  if (registry)
    view_print_instances(registry, ret);
  else
    buffer_printf(ret, "the broker does not answer\n");
}

/* What somebody must act on, last and on its own, so that it is not overlooked. */
static void print_troubles(const json_t *supervisor, const json_t *registry, Buffer *ret) {
  size_t before;

  buffer_printf(ret, "\n");
  before = ret->size;
  if (supervisor)
    view_print_troubles(supervisor, ret);
  if (registry)
    view_print_mismatches(registry, ret);
  if (ret->size == before)
    ret->size--;
}

static void show(const Ctl *ctl, json_t *supervisor, json_t *registry) {
  _cleanup_(buffer_done) Buffer text = {0};

  if (ctl->options.json) {
    ctl_write_json(ctl, json_pack("{s:O?, s:O?}", "supervisor", supervisor, "registry", registry));
    return;
  }
  print_both(supervisor, registry, &text);
  print_troubles(supervisor, registry, &text);
  ctl_write(&text);
}

CtlExit cmd_status(Ctl *ctl) {
  CtlExit status = ctl_load_config(ctl);
  json_t *supervisor;
  json_t *registry;

  if (status)
    return status;
  supervisor = ask_supervisor(ctl);
  registry = ask_broker(ctl);
  if (supervisor || registry) {
    show(ctl, supervisor, registry);
    status = is_whole(supervisor, registry) ? CTL_OK : CTL_FAILED;
  } else {
    if (ctl->options.json)
      ctl_write_json(ctl, json_pack("{s:n, s:n}", "supervisor", "registry"));
    ctl_say("no fleet runs in %s; start it with `pons up`", ctl->config->runtime_dir);
    status = (CtlExit)NOT_RUNNING;
  }
  json_decref(supervisor);
  json_decref(registry);
  return status;
}
