/* The flag agent.NAME switches an agent: off, it says DRAIN and finishes what it has; on again, it says CREDIT. The process stays, so
   it is there again in a round trip. */
#include <stdio.h>

#include "bus/agent/agent-internal.h"

#define TOPIC "pons.flags.agent."

static bool says_off(Text value) {
  return text_is(value, "off") || text_is(value, "false") || text_is(value, "0");
}

/* Both brokers tell of a flag, and one may be behind. */
static bool is_newer(Runtime *runtime, const FlagRow *flag) {
  bool newer = flag->epoch != runtime->feature.epoch ? flag->epoch > runtime->feature.epoch
                                                     : flag->counter > runtime->feature.counter;

  if (newer) {
    runtime->feature.epoch = flag->epoch;
    runtime->feature.counter = flag->counter;
  }
  return newer;
}

static void switch_to(Runtime *runtime, bool off) {
  Header header = {.kind = KIND_DRAIN, .flags = FLAG_CLEAN};

  if (off == runtime->feature.off || runtime->phase != PHASE_SERVING)
    return;
  runtime->feature.off = off;
  log_info("PONS-AGENT-FLAG", "%s is switched %s by the flag agent.%s", runtime->instance, off ? "off" : "on",
           runtime->name);
  if (!off) {
    runtime_grant(runtime);
    return;
  }
  for (uint32_t i = 0; i < client_brokers(runtime->client); i++)
    client_send(runtime->client, i, &header, BYTES_NONE, NULL);
}

static void on_flag(void *userdata, const BusEvent *event) {
  Runtime *runtime = userdata;
  FlagRow flag;

  if (contract_decode(CONTRACT(FlagRow), event->body, NULL, &flag, NULL) == 0 && is_newer(runtime, &flag))
    switch_to(runtime, says_off(flag.value));
}

int feature_watch(Runtime *runtime) {
  char topic[LIMIT_TARGET_BYTES + 1];

  snprintf(topic, sizeof topic, TOPIC "%s", runtime->name);
  return client_subscribe(runtime->client, text_of(topic), on_flag, runtime, NULL);
}
