/* Which models a provider has, beside those that the model table knows of it. A provider may tell them page by page. */
#include <stdlib.h>

#include "agents/remote_api_adapter/errand.h"

enum { MODELS_MAX = 8192, NAME_MAX_BYTES = 512, PAGES_MAX = 64, CAN_MAX = 16 };

typedef struct Listing {
  DialectModels models;
  uint32_t pages;
  bool cut; /* there were more */
} Listing;

/* Rows, and room for what they point at. */
typedef struct Rows {
  ProviderModel *list;
  size_t count;
  Text (*can)[CAN_MAX];
} Rows;

/* --- asking --- */

static int encode(const Dialect *dialect, const void *ask, const void *state, DialectRequest *ret,
                  DialectFault *ret_fault) {
  const Listing *listing = state;

  (void)ask;
  if (!dialect->encode_models)
    return errand_has_none(dialect, "list of models", ret_fault);
  return dialect->encode_models(&listing->models, ret, ret_fault);
}

static int decode(const Dialect *dialect, const void *ask, void *state, Text body, DialectFault *ret_fault) {
  Listing *listing = state;
  _cleanup_(buffer_done) Buffer before = listing->models.next;
  const Buffer *next = &listing->models.next;
  int r;

  (void)ask;
  listing->models.next = (Buffer){0};
  r = dialect->decode_models(body, &listing->models, ret_fault);
  if (r != 0 || next->size == 0)
    return r;
  /* A page that leads to itself leads nowhere. */
  listing->cut =
      ++listing->pages == PAGES_MAX || (next->size == before.size && memcmp(next->data, before.data, next->size) == 0);
  return listing->cut ? 0 : ERRAND_E_AGAIN;
}

/* --- the rows --- */

static void add_known(Rows *rows, const ModelSeen *model) {
  static const char *const states[] = {[SEEN_NOTHING] = "unmeasured", [SEEN_UP] = "up", [SEEN_DOWN] = "down"};
  ProviderModel *row = &rows->list[rows->count - 1];
  const ConfigModel *config = model->config;
  Text *can = rows->can[rows->count - 1];

  row->has_name = true;
  row->name = text_of(config->name);
  row->state = text_of(states[model->seen]);
  row->has_context_tokens = true;
  row->context_tokens = config->context_tokens;
  row->has_input_nano_usd = config_price(config->input_usd, &row->input_nano_usd) == 0;
  row->has_output_nano_usd = config_price(config->output_usd, &row->output_nano_usd) == 0;
  row->has_prices_date = config->prices_date != NULL;
  row->prices_date = text_of(config->prices_date);
  row->has_prices_source = config->prices_source != NULL;
  row->prices_source = text_of(config->prices_source);
  for (uint32_t i = 0; i < config->can_count && i < CAN_MAX; i++)
    can[i] = text_of(config->can[i]);
  row->has_can = config->can_count > 0;
  row->can.items = can;
  row->can.count = min_u64(config->can_count, CAN_MAX);
}

static void add(Rows *rows, const ModelSeen *model, const char *upstream, bool listed) {
  if (rows->count == MODELS_MAX || *upstream == '\0' || strlen(upstream) > NAME_MAX_BYTES)
    return;
  rows->list[rows->count++] =
      (ProviderModel){.upstream = text_of(upstream), .listed = listed, .state = TEXT("unmeasured")};
  if (model)
    add_known(rows, model);
}

/* One row for each entry of the model table that means this model; if there is none, one without. */
static void add_listed(const Remote *remote, const Provider *provider, const char *upstream, Rows *rows) {
  const Providers *providers = &remote->providers;
  bool known = false;

  for (uint32_t i = 0; i < providers->models_count; i++)
    if (providers->models[i].provider == provider && strcmp(providers->models[i].config->upstream, upstream) == 0) {
      add(rows, &providers->models[i], upstream, true);
      known = true;
    }
  if (!known)
    add(rows, NULL, upstream, true);
}

static bool is_listed(const Buffer *names, const char *upstream) {
  const char *at = (const char *)names->data, *end = at + names->size;

  for (; at < end; at += strlen(at) + 1)
    if (strcmp(at, upstream) == 0)
      return true;
  return false;
}

static void *zeroed(size_t count, size_t size_bytes) {
  void *memory = calloc(count, size_bytes);

  if (!memory)
    abort();
  return memory;
}

static void reply(Call *call, Remote *remote, Provider *provider, const void *ask, const void *state) {
  const Listing *listing = state;
  const Providers *providers = &remote->providers;
  const char *at = (const char *)listing->models.names.data, *end = at + listing->models.names.size;
  Rows rows = {.list = zeroed(MODELS_MAX, sizeof *rows.list), .can = zeroed(MODELS_MAX, sizeof *rows.can)};
  bool cut;

  (void)ask;
  for (; at < end && rows.count < MODELS_MAX; at += strlen(at) + 1)
    add_listed(remote, provider, at, &rows);
  cut = listing->cut || at < end;
  for (uint32_t i = 0; i < providers->models_count; i++)
    if (providers->models[i].provider == provider &&
        !is_listed(&listing->models.names, providers->models[i].config->upstream))
      add(&rows, &providers->models[i], providers->models[i].config->upstream, false);
  call_reply(call, &(ProviderModels){.models = {rows.list, rows.count}, .has_cut = cut, .cut = cut});
  free(rows.list);
  free(rows.can);
}

static void done(void *state) {
  Listing *listing = state;

  dialect_models_done(&listing->models);
}

const ErrandKind errand_models = {sizeof(Listing), encode, decode, reply, done};
