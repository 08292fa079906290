#include "bus/ctl/look.h"

#include <stdlib.h>
#include <string.h>

#include "bus/ctl/upgrade.h"
#include "bus/ctl/view.h"

enum { WAIT_MS = 1000, SLACK_US = 200000 /* what was on its way, and clocks */ };

static bool offers_authority(const json_t *registry) {
  return view_find(json_object_get(registry, "instances"), "service", "pons.authority") != NULL;
}

static void ask_times(Reach *reach, Look *ret) {
  json_t *pong = NULL;
  json_t *requests = NULL;

  if (reach_ask(reach, "pons", "ping", NULL, &pong) == CTL_OK &&
      reach_ask(reach, "pons", "requests", "{\"limit\":1}", &requests) == CTL_OK) {
    ret->uptime_us = view_number(pong, "uptime_us");
    ret->oldest_us = view_number(json_array_get(json_object_get(requests, "requests"), 0), "age_us");
  }
  json_decref(pong);
  json_decref(requests);
}

bool look_at(Ctl *ctl, uint32_t number, Look *ret) {
  _cleanup_(reach_close) Reach reach = {0};
  CtlExit status = reach_open_one(ctl, number, WAIT_MS, &reach);
  Text name;

  *ret = (Look){.name = NULL};
  if (status != CTL_OK)
    return status != CTL_USAGE;
  name = client_broker(reach.client);
  ret->name = strndup(name.size ? name.data : "", name.size);
  if (!ret->name)
    abort();
  if (reach_ask(&reach, "pons", "registry", "{\"limit\":4096}", &ret->registry) == CTL_OK &&
      reach_ask(&reach, "pons", "connections", "{\"limit\":1000}", &ret->connections) == CTL_OK)
    ask_times(&reach, ret);
  if (offers_authority(ret->registry))
    reach_ask(&reach, "pons.authority", "status", NULL, &ret->authority);
  return true;
}

void look_done(Look *look) {
  free(look->name);
  json_decref(look->registry);
  json_decref(look->connections);
  json_decref(look->authority);
  *look = (Look){.name = NULL};
}

static bool is_unlinked(const Look *look) {
  return look->authority && strcmp(view_text(look->authority, "node"), "alone") != 0 &&
         !json_is_true(json_object_get(look->authority, "linked"));
}

void look_object(const Look *leaving, const Look *staying, Buffer *ret) {
  if (!leaving->registry || !staying->registry)
    buffer_printf(ret, "the %sbroker does not answer\n", staying->registry ? "" : "other ");
  else if (is_unlinked(leaving) || is_unlinked(staying))
    buffer_printf(ret, "brokers %s and %s are not linked\n", leaving->name, staying->name);
  else
    upgrade_compare(leaving->registry, leaving->name, staying->registry, staying->name, ret);
}

static bool has_client(const Look *look, const char *client) {
  return view_find(json_object_get(look->connections, "connections"), "client", client) != NULL;
}

/* How long the youngest instance has been there: it vouches for no request that may be older than itself. */
static uint64_t youngest_us(const Look *look, uint64_t now_us) {
  uint64_t age_us = UINT64_MAX;
  const json_t *row;
  size_t i;

  json_array_foreach(json_object_get(look->registry, "instances"), i, row) {
    uint64_t started_us = view_number(row, "started_us");

    age_us = min_u64(age_us, now_us > started_us ? now_us - started_us : 0);
  }
  return age_us;
}

bool look_is_settled(const Look *young, const Look *other, uint64_t doubt_us, uint64_t now_us) {
  uint64_t since_us = other->oldest_us + doubt_us + SLACK_US;
  const json_t *row;
  size_t i;

  json_array_foreach(json_object_get(other->connections, "connections"), i, row) {
    /* The broker's own services, and who asks this. */
    bool passes = view_number(row, "connected_us") < SLACK_US || view_number(row, "pid") == 0;

    if (!passes && !has_client(young, view_text(row, "client")))
      return false;
  }
  return young->uptime_us > since_us && youngest_us(young, now_us) > since_us;
}

bool look_leads(const Look *look) {
  return strcmp(view_text(look->authority, "state"), "leader") == 0;
}
