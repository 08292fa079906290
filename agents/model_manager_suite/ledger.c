#include "agents/model_manager_suite/ledger.h"

#include <stdlib.h>

#include "bus/base/ids.h"

#define NOBODY UINT32_MAX /* a model that is not in the table */

/* What is counted once. All zero: a place of the ring that is still empty. */
struct LedgerKey {
  TableLink link;
  RequestId request;
  uint32_t model;
  uint32_t hop;
};

static void *zeroed(size_t count, size_t size_bytes) {
  void *memory = calloc(count, size_bytes);

  if (!memory)
    abort();
  return memory;
}

void ledger_init(Ledger *ledger, const ModelTable *table) {
  ledger->table = table;
  ledger->sums = zeroed(table->count + 1, sizeof *ledger->sums);
  ledger->healths = zeroed(table->count + 1, sizeof *ledger->healths);
  ledger->keys = zeroed(LEDGER_KEYS, sizeof *ledger->keys);
}

void ledger_done(Ledger *ledger) {
  table_done(&ledger->by_key);
  free(ledger->sums);
  free(ledger->healths);
  free(ledger->keys);
  *ledger = (Ledger){.table = NULL};
}

static uint64_t hash_of(const LedgerKey *key) {
  return request_id_hash(key->request) ^ ((uint64_t)key->model << 8 | key->hop);
}

/* Remembers key, unless it is known. Returns whether it is new. */
static bool remember(Ledger *ledger, LedgerKey key) {
  LedgerKey *place = &ledger->keys[ledger->next_key];
  uint64_t hash = hash_of(&key);

  for (TableLink *link = table_bucket(&ledger->by_key, hash); link; link = link->next) {
    const LedgerKey *known = CONTAINER_OF(link, LedgerKey, link);

    if (request_id_equal(known->request, key.request) && known->model == key.model && known->hop == key.hop)
      return false;
  }
  if (!request_id_is_none(place->request))
    table_remove(&ledger->by_key, &place->link);
  *place = key;
  table_add(&ledger->by_key, &place->link, hash);
  ledger->next_key = (ledger->next_key + 1) % LEDGER_KEYS;
  return true;
}

static void add(uint64_t *sum, uint64_t more) {
  if (__builtin_add_overflow(*sum, more, sum))
    *sum = UINT64_MAX;
}

static void count(LedgerSums *sums, const Settlement *settlement, bool failed) {
  const ChatUsage *usage = &settlement->usage;

  add(&sums->requests, 1);
  add(&sums->failures, failed);
  add(&sums->input_tokens, usage->has_input_tokens ? usage->input_tokens : 0);
  add(&sums->output_tokens, usage->has_output_tokens ? usage->output_tokens : 0);
  add(&sums->unpriced, !settlement->has_cost_nano_usd && text_is(settlement->outcome, "done"));
  add(&sums->cost_nano_usd, settlement->has_cost_nano_usd ? settlement->cost_nano_usd : 0);
}

bool ledger_settle(Ledger *ledger, const Settlement *settlement, uint64_t now_us) {
  const Model *model = model_table_find(ledger->table, settlement->model);
  LedgerKey key = {.model = model ? model->index : NOBODY, .hop = (uint32_t)settlement->hop};
  bool failed = text_is(settlement->outcome, "failed");

  if (request_id_parse(settlement->request, &key.request) != 0 || request_id_is_none(key.request))
    return true;
  if (!remember(ledger, key))
    return false;
  if (!model)
    return true;
  count(&ledger->sums[model->index], settlement, failed);
  if (failed || text_is(settlement->outcome, "done"))
    health_settle(&ledger->healths[model->index], failed, now_us);
  return true;
}
