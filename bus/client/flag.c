#include "bus/client/flag.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/contracts/contracts.h"

struct ClientFlag {
  Client *client;
  OnFlag *on_flag;
  void *userdata;
  uint64_t subscription;
  FlagState state;
};

static bool is_newer(const FlagState *state, const FlagRow *row) {
  return row->epoch != state->epoch ? row->epoch > state->epoch : row->counter > state->counter;
}

static void on_event(void *userdata, const BusEvent *event) {
  ClientFlag *flag = userdata;
  FlagRow row;

  if (contract_decode(CONTRACT(FlagRow), event->body, NULL, &row, NULL) != 0 || !is_newer(&flag->state, &row))
    return;
  snprintf(flag->state.value, sizeof flag->state.value, "%.*s", TEXT_ARG(row.value));
  flag->state.is_set = !row.removed;
  flag->state.epoch = row.epoch;
  flag->state.counter = row.counter;
  flag->on_flag(flag->userdata, &flag->state);
}

int client_flag_watch(Client *client, Text name, OnFlag *on_flag, void *userdata, ClientFlag **ret) {
  char topic[LIMIT_TARGET_BYTES + 1];
  ClientFlag *flag;
  int r;

  if (!name_is_valid(name))
    return -EINVAL;
  flag = calloc(1, sizeof *flag);
  if (!flag)
    return -ENOMEM;
  flag->client = client;
  flag->on_flag = on_flag;
  flag->userdata = userdata;
  snprintf(flag->state.name, sizeof flag->state.name, "%.*s", TEXT_ARG(name));
  snprintf(topic, sizeof topic, "pons.flags.%s", flag->state.name);
  r = client_subscribe(client, text_of(topic), on_event, flag, &flag->subscription);
  if (r < 0)
    free(flag);
  else
    *ret = flag;
  return r;
}

void client_flag_unwatch(ClientFlag **flag) {
  ClientFlag *gone = TAKE(*flag);

  if (!gone)
    return;
  client_unsubscribe(gone->client, gone->subscription);
  free(gone);
}

const FlagState *client_flag_state(const ClientFlag *flag) {
  return &flag->state;
}

static int ask(Client *client, const char *method, const void *request, const AskHandler *handler) {
  _cleanup_(buffer_done) Buffer body = {0};
  Ask question = {.attempts = 0};

  if (ask_encode(contract_find(TEXT("pons.flags"), text_of(method)), request, &body, &question, NULL) != 0)
    return -EINVAL;
  return client_ask(client, &question, handler, NULL);
}

int client_flag_read(Client *client, Text name, const AskHandler *handler) {
  return ask(client, "get", &(FlagAsk){.name = name}, handler);
}

int client_flag_write(Client *client, Text name, Text value, const AskHandler *handler) {
  return ask(client, "set", &(FlagWrite){.name = name, .value = value}, handler);
}

int client_flag_unset(Client *client, Text name, const AskHandler *handler) {
  return ask(client, "unset", &(FlagAsk){.name = name}, handler);
}
