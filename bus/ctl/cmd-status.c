/* Two views of one fleet: what the supervisor says of its processes, and what the broker says of its instances. Either may
   be absent: agents may run under systemd, and a broker may be down. */
#include <stdlib.h>

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

/* What one broker says; NULL when it does not answer. */
typedef struct BrokerView {
  char *name;
  char *endpoint; /* by which it alone is asked */
  json_t *registry;
  json_t *connections;
  json_t *authority; /* NULL when this broker has none */
  json_t *durable;   /* the same */
} BrokerView;

typedef struct Views {
  BrokerView brokers[CLIENT_BROKERS_MAX]; /* the preferred one first */
  uint32_t count;                         /* of those that are configured */
} Views;

static bool offers(const json_t *registry, const char *service) {
  return view_find(json_object_get(registry, "instances"), "service", service) != NULL;
}

static BrokerView ask_broker(Reach *reach) {
  Text name = client_broker(reach->client);
  BrokerView view = {.name = strndup(name.size ? name.data : "", name.size), .endpoint = strdup(reach->endpoint)};

  if (reach_ask(reach, "pons", "registry", "{\"limit\":1000}", &view.registry) == CTL_OK)
    reach_ask(reach, "pons", "connections", "{\"limit\":1000}", &view.connections);
  if (offers(view.registry, "pons.authority"))
    reach_ask(reach, "pons.authority", "status", NULL, &view.authority);
  if (offers(view.registry, "pons.durable"))
    reach_ask(reach, "pons.durable", "status", NULL, &view.durable);
  return view;
}

static Views ask_brokers(Ctl *ctl) {
  uint64_t wait_ms = min_u64(reach_wait_ms(ctl), BROKER_TIMEOUT_MS);
  Views views = {.count = 0};

  for (; views.count < CLIENT_BROKERS_MAX; views.count++) {
    _cleanup_(reach_close) Reach reach = {0};
    CtlExit status = reach_open_one(ctl, views.count, wait_ms, &reach);

    if (status == CTL_USAGE)
      break;
    if (status == CTL_OK)
      views.brokers[views.count] = ask_broker(&reach);
  }
  return views;
}

static void views_done(Views *views) {
  for (uint32_t i = 0; i < views->count; i++) {
    free(views->brokers[i].name);
    free(views->brokers[i].endpoint);
    json_decref(views->brokers[i].registry);
    json_decref(views->brokers[i].connections);
    json_decref(views->brokers[i].authority);
    json_decref(views->brokers[i].durable);
  }
}

/* The view that the tables are of: the preferred broker's, if it answers. */
static const BrokerView *main_view(const Views *views) {
  for (uint32_t i = 0; i < views->count; i++)
    if (views->brokers[i].registry)
      return &views->brokers[i];
  return &views->brokers[0];
}

static size_t count_instances(const BrokerView *view) {
  return json_array_size(json_object_get(view->registry, "instances"));
}

/* A broker that does not answer, or knows less than the other. */
static bool is_behind(const Views *views, uint32_t number) {
  const BrokerView *view = &views->brokers[number];

  return !view->registry || count_instances(view) < count_instances(main_view(views));
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

static bool is_whole(const json_t *supervisor, const Views *views) {
  const json_t *registry = main_view(views)->registry;

  for (uint32_t k = 0; k < views->count; k++)
    if (is_behind(views, k))
      return false;

  if (!registry || json_array_size(json_object_get(registry, "mismatches")) || has_missing(supervisor))
    return false;
  if (view_find(json_object_get(registry, "instances"), "state", "suspect"))
    return false;
  return !supervisor || strcmp(view_text(supervisor, "state"), "ready") == 0;
}

/* With two brokers a line for each. */
static void print_brokers(const Views *views, Buffer *ret) {
  for (uint32_t i = 0; i < views->count && views->count > 1; i++) {
    const BrokerView *view = &views->brokers[i];
    const char *rank = i == 0 ? "preferred" : "second";

    if (view->registry)
      buffer_printf(ret, "broker %s (%s) knows %zu instances\n", view->name, rank, count_instances(view));
    else
      buffer_printf(ret, "the %s broker does not answer\n", rank);
  }
}

static void print_both(const json_t *supervisor, const Views *views, Buffer *ret) {
  const json_t *registry = main_view(views)->registry;

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
  print_brokers(views, ret);
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
static void print_troubles(const json_t *supervisor, const Views *views, Buffer *ret) {
  const json_t *registry = main_view(views)->registry;
  size_t before;

  buffer_printf(ret, "\n");
  before = ret->size;
  if (supervisor)
    view_print_troubles(supervisor, ret);
  if (registry) {
    print_missing(supervisor, ret);
    view_print_mismatches(registry, ret);
  }
  for (uint32_t i = 0; registry && i < views->count; i++)
    if (is_behind(views, i) && views->brokers[i].registry)
      buffer_printf(ret, "broker %s does not know all instances (yet)\n", views->brokers[i].name);
  if (ret->size == before)
    ret->size--;
}

static json_t *brokers_json(const Views *views) {
  json_t *list = json_array();

  for (uint32_t i = 0; i < views->count; i++) {
    const BrokerView *view = &views->brokers[i];

    json_array_append_new(list, json_pack("{s:s, s:b, s:b, s:I, s:O?, s:O?}", "name", view->name ? view->name : "",
                                          "preferred", i == 0, "answers", view->registry != NULL, "instances",
                                          (json_int_t)count_instances(view), "authority", view->authority, "durable",
                                          view->durable));
  }
  return list;
}

/* Only who leads asks the witness, four times in a vote. */
static bool misses_witness(const Ctl *ctl, const json_t *authority) {
  uint64_t heard_us = view_number(authority, "witness_heard_us");

  return json_is_true(json_object_get(authority, "has_witness")) &&
         strcmp(view_text(authority, "state"), "leader") == 0 &&
         (heard_us == 0 || heard_us > ctl->config->authority.vote_ms * US_PER_MS);
}

/* Who leads, as this broker knows it, and what it is itself: an operator acts on that when brokers differ. */
static void print_authority(const Ctl *ctl, const json_t *authority, const char *who, Buffer *ret) {
  const char *leader = view_text(authority, "leader");

  if (*leader)
    buffer_printf(ret, "%s leads in epoch %u", leader, (unsigned)view_number(authority, "leader_epoch"));
  else
    buffer_printf(ret, "nobody leads whom %s knows of", who);
  buffer_printf(ret, "; %s is %s", who, view_text(authority, "state"));
  if (strcmp(view_text(authority, "node"), "alone") != 0)
    buffer_printf(ret, ", %s", json_is_true(json_object_get(authority, "linked")) ? "linked" : "NOT linked");
  if (misses_witness(ctl, authority))
    buffer_printf(ret, ", witness NOT heard");
  if (view_number(authority, "behind"))
    buffer_printf(ret, ", was behind %u times", (unsigned)view_number(authority, "behind"));
  view_print_behind(authority, ret);
  buffer_printf(ret, "\n");
  if (*view_text(authority, "disk"))
    buffer_printf(ret, "%s has no authority: %s\n", who, view_text(authority, "disk"));
}

/* A line for each broker that has some. */
static void print_authorities(const Ctl *ctl, const Views *views, Buffer *ret) {
  bool first = true;

  for (uint32_t i = 0; i < views->count; i++) {
    _cleanup_(buffer_done) Buffer who = {0};

    if (!views->brokers[i].authority)
      continue;
    buffer_printf(&who, "%s%s", views->count > 1 ? "broker " : "this broker",
                  views->count > 1 ? views->brokers[i].name : "");
    buffer_append(&who, "", 1);
    if (first)
      buffer_printf(ret, "\n");
    first = false;
    print_authority(ctl, views->brokers[i].authority, (const char *)who.data, ret);
  }
}

/* Requests that outlive a broker, where there are any, or something is wrong with them. */
static void print_durable(const BrokerView *view, bool is_first, Buffer *ret) {
  const char *disk = view_text(view->durable, "disk");
  unsigned dead = (unsigned)view_number(view->durable, "dead");
  unsigned damaged = (unsigned)view_number(view->durable, "damaged");

  if (*disk)
    buffer_printf(ret, "broker %s takes no durable requests: %s\n", view->name, disk);
  if (view_number(view->durable, "rows") == 0 && damaged == 0)
    return;
  buffer_printf(ret, "broker %s keeps durable requests: %u to be done, %u dead letters, %u damaged", view->name,
                (unsigned)view_number(view->durable, "waiting"), dead, damaged);
  if (!json_is_true(json_object_get(view->durable, "level")))
    buffer_printf(ret, ", does not know all of the other broker's");
  if (view_number(view->durable, "behind"))
    buffer_printf(ret, ", was behind %u times", (unsigned)view_number(view->durable, "behind"));
  if (dead + damaged > 0 && is_first)
    buffer_printf(ret, "; `pons deadletter list`");
  else if (damaged > 0) /* dead letters are the same at both, and damage is each one's own */
    buffer_printf(ret, "; `pons --endpoint '%s' deadletter list`", view->endpoint);
  buffer_printf(ret, "\n");
}

static void show(const Ctl *ctl, json_t *supervisor, const Views *views) {
  const BrokerView *view = main_view(views);
  _cleanup_(buffer_done) Buffer text = {0};

  if (ctl->options.json) {
    json_t *whole = json_pack("{s:O?, s:O?, s:o}", "supervisor", supervisor, "registry", view->registry, "brokers",
                              brokers_json(views));

    if (view->authority)
      json_object_set(whole, "authority", view->authority);
    if (view->durable)
      json_object_set(whole, "durable", view->durable);
    ctl_write_json(ctl, whole);
    return;
  }
  print_both(supervisor, views, &text);
  print_authorities(ctl, views, &text);
  for (uint32_t i = 0; i < views->count; i++)
    if (views->brokers[i].durable)
      print_durable(&views->brokers[i], &views->brokers[i] == view, &text);
  print_troubles(supervisor, views, &text);
  ctl_write(&text);
}

CtlExit cmd_status(Ctl *ctl) {
  CtlExit status = ctl_load_config(ctl);
  const BrokerView *view;
  json_t *supervisor;
  Views views;

  if (status)
    return status;
  supervisor = ask_supervisor(ctl);
  views = ask_brokers(ctl);
  view = main_view(&views);
  join_instances(supervisor, view->registry, view->connections);
  if (supervisor || view->registry) {
    show(ctl, supervisor, &views);
    status = is_whole(supervisor, &views) ? CTL_OK : CTL_FAILED;
  } else {
    if (ctl->options.json)
      ctl_write_json(ctl, json_pack("{s:n, s:n, s:[]}", "supervisor", "registry", "brokers"));
    ctl_say("no fleet runs in %s; start it with `pons up`", ctl->config->runtime_dir);
    status = (CtlExit)NOT_RUNNING;
  }
  json_decref(supervisor);
  views_done(&views);
  return status;
}
