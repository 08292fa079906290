#include "bus/drill/watch.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "agents/contracts/contracts.h"
#include "bus/client/client.h"

enum { LOOK_US = 20000, PATIENCE_US = 300000, ROWS_EVERY = 5, ROWS_FOR_US = 500000, TELL_EVERY_US = 1000000 };

/* One broker, as it was seen last. */
typedef struct Seen {
  Watch *watch;
  uint32_t number;
  Client *client;
  bool asks_rows, asks_state;
  bool answers;
  uint32_t instances; /* of all services of agents, that are ready */
  uint32_t workers;   /* of these, of echo */
  bool has_authority;
  bool leads;
  bool linked;
  bool barred;
  uint64_t epoch;
} Seen;

struct Watch {
  Loop *loop;
  LoopTimer *timer;
  Seen brokers[CLIENT_BROKERS_MAX];
  uint32_t count;
  uint32_t looks;
  uint64_t told_us;
  uint64_t wanted_us; /* when somebody wanted to know last whether all is there */
  ReportLead leads[REPORT_LEADS_MAX];
  uint32_t lead_count;
  char missing[160];
};

static void note_lead(Seen *seen, bool leads, uint64_t epoch, uint64_t at_us) {
  Watch *watch = seen->watch;

  if (seen->leads == leads)
    return;
  seen->leads = leads;
  if (watch->lead_count < REPORT_LEADS_MAX)
    watch->leads[watch->lead_count++] = (ReportLead){at_us, seen->number, leads, epoch};
}

/* --- asking --- */

static void ask(Seen *seen, const char *service, const char *method, const void *request,
                void (*on_end)(void *userdata, const Answer *answer)) {
  _cleanup_(buffer_done) Buffer body = {0};
  Ask question = {.service = TEXT_NONE};

  if (ask_encode(contract_find(text_of(service), text_of(method)), request, &body, &question, NULL))
    abort(); /* our own words fit our own tables */
  question.deadline_us = PATIENCE_US;
  question.attempts = 1;
  if (client_ask(seen->client, &question, &(AskHandler){.on_end = on_end, .userdata = seen}, NULL) < 0)
    abort(); /* on the loop thread it takes every request */
}

static void on_state(void *userdata, const Answer *answer) {
  _cleanup_(arena_done) Arena arena = {0};
  Seen *seen = userdata;
  AuthorityStatus status;

  seen->asks_state = false;
  if (answer->status != STATUS_OK ||
      answer_decode(contract_find(TEXT("pons.authority"), TEXT("status")), answer, &arena, &status, NULL)) {
    seen->linked = false;
    note_lead(seen, false, seen->epoch, clock_monotonic_us() - answer->took_us); /* when it was asked in vain */
    return;
  }
  seen->has_authority = true;
  seen->linked = status.linked || text_is(status.node, "alone");
  seen->barred = status.barred_us > 0;
  seen->epoch = status.epoch;
  note_lead(seen, text_is(status.state, "leader"), status.epoch, clock_monotonic_us());
}

/* A service that is ready, and not the broker's own. */
static bool is_agents(const PonsInstance *row) {
  static const Text own = TEXT("pons");
  bool is_own = row->service.size >= own.size && memcmp(row->service.data, own.data, own.size) == 0;

  return !is_own && text_is(row->state, "ready");
}

static void on_rows(void *userdata, const Answer *answer) {
  _cleanup_(arena_done) Arena arena = {0};
  Seen *seen = userdata;
  PonsRegistry rows;

  seen->asks_rows = false;
  seen->answers = answer->status == STATUS_OK;
  seen->instances = 0;
  seen->workers = 0;
  if (!seen->answers || answer_decode(contract_find(TEXT("pons"), TEXT("registry")), answer, &arena, &rows, NULL))
    return;
  for (size_t i = 0; i < rows.instances.count; i++) {
    const PonsInstance *row = &rows.instances.items[i];

    seen->instances += is_agents(row);
    seen->workers += is_agents(row) && text_is(row->service, "echo");
  }
}

static void on_told(void *userdata _unused_, const Answer *answer _unused_) {
  /* Whether it leads is seen. */
}

void watch_tell_to_lead(Watch *watch, uint32_t broker) {
  if (broker < watch->count)
    ask(&watch->brokers[broker], "pons.authority", "lead", &(PonsNothing){0}, on_told);
}

static void look(Seen *seen, bool at_rows) {
  if (!seen->asks_state) {
    seen->asks_state = true;
    ask(seen, "pons.authority", "status", &(PonsNothing){0}, on_state);
  }
  if (at_rows && !seen->asks_rows) {
    seen->asks_rows = true;
    ask(seen, "pons", "registry", &(PonsRegistryRequest){0}, on_rows);
  }
}

static void on_timer(void *userdata, uint64_t now_us) {
  Watch *watch = userdata;

  bool is_wanted = now_us < watch->wanted_us + ROWS_FOR_US;

  for (uint32_t i = 0; i < watch->count; i++) {
    look(&watch->brokers[i], is_wanted && watch->looks % ROWS_EVERY == 0);
    watch->brokers[i].answers &= is_wanted; /* what was there before the event says nothing of after it */
  }
  watch->looks++;
  loop_timer_set(watch->timer, now_us + LOOK_US);
}

/* --- what was seen --- */

static const char *name_of(uint32_t number) {
  return number == 0 ? "preferred" : "other";
}

static bool lacks(Watch *watch, const Seen *seen, uint32_t least) {
  const Seen *first = &watch->brokers[0];

  if (!seen->answers)
    snprintf(watch->missing, sizeof watch->missing, "the %s broker does not answer", name_of(seen->number));
  else if (seen->instances < least || seen->instances < first->instances)
    snprintf(watch->missing, sizeof watch->missing, "the %s broker knows %u instances, and not %u",
             name_of(seen->number), seen->instances, first->instances > least ? first->instances : least);
  else if (seen->has_authority && !seen->linked)
    snprintf(watch->missing, sizeof watch->missing, "the %s broker is not linked", name_of(seen->number));
  else if (seen->has_authority && seen->barred)
    snprintf(watch->missing, sizeof watch->missing, "the %s broker may not take over yet", name_of(seen->number));
  else
    return false;
  return true;
}

bool watch_is_whole(Watch *watch, uint32_t least) {
  uint64_t now_us = clock_monotonic_us();

  watch->wanted_us = now_us;
  for (uint32_t i = 0; i < watch->count; i++)
    if (lacks(watch, &watch->brokers[i], least))
      return false;
  if (!watch->brokers[0].has_authority || watch->brokers[0].leads)
    return true;
  snprintf(watch->missing, sizeof watch->missing, "the preferred broker does not lead");
  if (now_us >= watch->told_us + TELL_EVERY_US) {
    watch->told_us = now_us;
    watch_tell_to_lead(watch, 0);
  }
  return false;
}

const char *watch_missing(Watch *watch) {
  return watch->missing;
}

uint32_t watch_workers(const Watch *watch) {
  return watch->brokers[0].workers;
}

void watch_clear_leads(Watch *watch) {
  watch->lead_count = 0;
  for (uint32_t i = 0; i < watch->count; i++)
    if (watch->brokers[i].leads)
      watch->leads[watch->lead_count++] = (ReportLead){0, i, true, watch->brokers[i].epoch};
}

const ReportLead *watch_leads_seen(const Watch *watch, uint32_t *ret_count) {
  *ret_count = watch->lead_count;
  return watch->leads;
}

/* --- from new to destroy --- */

static int open_one(Watch *watch, const char *endpoint, KeyPair *key) {
  Seen *seen = &watch->brokers[watch->count];
  const ClientOptions options = {.endpoint = endpoint, .agent = TEXT("pons"), .key = key, .attempts = 1};

  *seen = (Seen){.watch = watch, .number = watch->count};
  watch->count++;
  return client_new(watch->loop, &options, &seen->client);
}

int watch_new(Loop *loop, const char *endpoints, KeyPair *key, Watch **ret) {
  Watch *watch = calloc(1, sizeof *watch);
  char *all = strdup(endpoints);
  char *rest = all;
  int r;

  if (!watch || !all)
    abort();
  watch->loop = loop;
  r = loop_timer_new(loop, on_timer, watch, &watch->timer);
  for (char *one; r == 0 && watch->count < CLIENT_BROKERS_MAX && (one = strsep(&rest, ";"));)
    r = open_one(watch, one, key);
  free(all);
  if (r < 0) {
    watch_destroy(&watch);
    return r;
  }
  loop_timer_set(watch->timer, loop_now_us(loop));
  *ret = watch;
  return 0;
}

void watch_destroy(Watch **watch) {
  if (!*watch)
    return;
  for (uint32_t i = 0; i < (*watch)->count; i++)
    client_destroy(&(*watch)->brokers[i].client);
  loop_timer_destroy(&(*watch)->timer);
  free(*watch);
  *watch = NULL;
}
