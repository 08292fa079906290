/* Two views of one fleet: what the supervisor says of its processes, and what the broker says of its instances. Either may
   be absent: agents may run under systemd, and a broker may be down. */
#include "bus/ctl/control.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/join.h"
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

typedef struct BrokerView {
  json_t *registry; /* NULL when no broker answers */
  json_t *connections;
} BrokerView;

static BrokerView ask_broker(Ctl *ctl) {
  _cleanup_(reach_close) Reach reach = {0};
  BrokerView view = {NULL, NULL};

  if (reach_open(ctl, min_u64(reach_wait_ms(ctl), BROKER_TIMEOUT_MS), true, &reach) == CTL_OK &&
      reach_ask(&reach, "pons", "registry", "{\"limit\":1000}", &view.registry) == CTL_OK)
    reach_ask(&reach, "pons", "connections", "{\"limit\":1000}", &view.connections);
  return view;
}

static bool has_missing(const json_t *supervisor) {
  const json_t *process;
  size_t i;

  json_array_foreach(json_object_get(supervisor, "processes"), i, process) {
    if (join_is_missing(process))
      return true;
  }
  return false;
}

static bool is_whole(const json_t *supervisor, const json_t *registry) {
  const json_t *row;
  size_t i;

  if (!registry || json_array_size(json_object_get(registry, "mismatches")) || has_missing(supervisor))
    return false;
  json_array_foreach(json_object_get(registry, "instances"), i, row) {
    if (strcmp(view_text(row, "state"), "suspect") == 0)
      return false;
  }
  return !supervisor || strcmp(view_text(supervisor, "state"), "ready") == 0;
}

static void print_both(const json_t *supervisor, const json_t *registry, Buffer *ret) {
  if (supervisor) {
    buffer_printf(ret, "fleet is %s (supervisor %u, profile %s)\n\n", view_text(supervisor, "state"),
                  (unsigned)view_number(supervisor, "pid"), view_text(supervisor, "profile"));
    view_print_fleet(supervisor, clock_realtime_us(), ret);
  } else {
    buffer_printf(ret, "no supervisor of `pons up` runs here; the broker says:\n");
  }
  buffer_printf(ret, "\n");
  if (registry)
    view_print_instances(registry, ret);
  else
    buffer_printf(ret, "the broker does not answer\n");
}

static void print_missing(const json_t *supervisor, Buffer *ret) {
  const json_t *process;
  size_t i;

  json_array_foreach(json_object_get(supervisor, "processes"), i, process) {
    if (join_is_missing(process))
      buffer_printf(ret, "%s is ready, but the broker does not know it (yet)\n", view_text(process, "name"));
  }
}

/* What somebody must act on, last and on its own, so that it is not overlooked. */
static void print_troubles(const json_t *supervisor, const json_t *registry, Buffer *ret) {
  size_t before;

  buffer_printf(ret, "\n");
  before = ret->size;
  if (supervisor)
    view_print_troubles(supervisor, ret);
  if (registry) {
    print_missing(supervisor, ret);
    view_print_mismatches(registry, ret);
  }
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
  BrokerView broker;

  if (status)
    return status;
  supervisor = ask_supervisor(ctl);
  broker = ask_broker(ctl);
  join_instances(supervisor, broker.registry, broker.connections);
  if (supervisor || broker.registry) {
    show(ctl, supervisor, broker.registry);
    status = is_whole(supervisor, broker.registry) ? CTL_OK : CTL_FAILED;
  } else {
    if (ctl->options.json)
      ctl_write_json(ctl, json_pack("{s:n, s:n}", "supervisor", "registry"));
    ctl_say("no fleet runs in %s; start it with `pons up`", ctl->config->runtime_dir);
    status = (CtlExit)NOT_RUNNING;
  }
  json_decref(supervisor);
  json_decref(broker.registry);
  json_decref(broker.connections);
  return status;
}
