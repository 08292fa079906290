/* A row of the model table that says no price takes all prices of the list, and one that says any takes none: half of each
   would be a price that nobody asks for. Context and abilities are completed each by itself. */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include "bus/config/address-internal.h"
#include "bus/config/check-internal.h"

/* The prices of a row, where they are in either struct. */
static const struct {
  size_t listed;
  size_t model;
} prices[] = {
#define PRICE(key)                                                                                                     \
  { offsetof(ConfigListed, key), offsetof(ConfigModel, key) }
    PRICE(input_usd),       PRICE(cached_usd),      PRICE(cache_write_usd),  PRICE(cache_write_hour_usd),
    PRICE(output_usd),      PRICE(input_audio_usd), PRICE(output_audio_usd), PRICE(minute_usd),
    PRICE(batch_input_usd), PRICE(batch_output_usd)
#undef PRICE
};

static char **text_at(void *row, size_t offset) {
  return (char **)(void *)((char *)row + offset);
}

/* --- who is meant --- */

static bool ends_with(Text text, Text end) {
  return text.size > end.size && memcmp(text.data + text.size - end.size, end.data, end.size) == 0;
}

static bool is_host(const ConfigListed *listed, Text host) {
  Text own = text_of(listed->host);

  return own.data[0] == '*' ? ends_with(host, (Text){own.data + 1, own.size - 1}) : text_equal(own, host);
}

static bool is_model(const ConfigListed *listed, const char *upstream) {
  for (uint32_t i = 0; i < listed->also_count; i++)
    if (strcmp(listed->also[i], upstream) == 0)
      return true;
  return strcmp(listed->model, upstream) == 0;
}

static ConfigListed *find(ConfigPriceList *list, Text host, const char *upstream) {
  for (uint32_t i = 0; i < list->models_count; i++)
    if (is_host(&list->models[i], host) && is_model(&list->models[i], upstream))
      return &list->models[i];
  return NULL;
}

/* --- completing a row --- */

static char *copy_of(const char *text) {
  return text ? text_format("%s", text) : NULL;
}

static bool has_price(ConfigModel *model) {
  bool has = model->tiers_count > 0;

  for (size_t i = 0; i < ELEMENTS(prices); i++)
    has |= *text_at(model, prices[i].model) != NULL;
  return has;
}

static void *copies(size_t count, size_t size_bytes) {
  void *list = calloc(count, size_bytes);

  if (!list)
    abort(); /* as buffer_reserve */
  return list;
}

static void take_prices(ConfigModel *model, ConfigListed *listed) {
  for (size_t i = 0; i < ELEMENTS(prices); i++)
    *text_at(model, prices[i].model) = copy_of(*text_at(listed, prices[i].listed));
  if (listed->tiers_count > 0)
    model->tiers = copies(listed->tiers_count, sizeof *model->tiers);
  for (; model->tiers_count < listed->tiers_count; model->tiers_count++) {
    const ConfigTier *from = &listed->tiers[model->tiers_count];

    model->tiers[model->tiers_count] = (ConfigTier){.above_tokens = from->above_tokens,
                                                    .input_usd = copy_of(from->input_usd),
                                                    .cached_usd = copy_of(from->cached_usd),
                                                    .cache_write_usd = copy_of(from->cache_write_usd),
                                                    .cache_write_hour_usd = copy_of(from->cache_write_hour_usd),
                                                    .output_usd = copy_of(from->output_usd)};
  }
  free(model->prices_date);
  free(model->prices_source);
  model->prices_date = copy_of(listed->date);
  model->prices_source = copy_of(listed->source);
}

static void take_abilities(ConfigModel *model, const ConfigListed *listed) {
  if (model->can_count > 0 || listed->can_count == 0)
    return;
  model->can = copies(listed->can_count, sizeof *model->can);
  for (; model->can_count < listed->can_count; model->can_count++)
    model->can[model->can_count] = copy_of(listed->can[model->can_count]);
}

static void complete(Config *config, const Tree *tree, uint32_t index, ConfigPriceList *list) {
  ConfigModel *model = &config->models[index];
  const ConfigProvider *provider = model->provider ? config_find_provider(config, model->provider) : NULL;
  ConfigListed *listed;
  char path[64];

  if (!provider || !provider->base_url)
    return;
  listed = find(list, provider->listed_as ? text_of(provider->listed_as) : address_url_host(provider->base_url),
                model->upstream);
  if (!listed)
    return;
  snprintf(path, sizeof path, "models[%u].context_tokens", index);
  if (listed->context_tokens > 0 && !tree_find(tree, path))
    model->context_tokens = listed->context_tokens;
  take_abilities(model, listed);
  if (!has_price(model))
    take_prices(model, listed);
}

/* --- the list itself --- */

static void check_row(Report *report, const Tree *tree, const ConfigPriceList *list, uint32_t index) {
  const ConfigListed *listed = &list->models[index];
  char path[64];
  const Node *node;

  snprintf(path, sizeof path, "models[%u]", index);
  node = tree_find(tree, path);
  for (uint32_t i = 0; i < index; i++)
    if (strcmp(list->models[i].host, listed->host) == 0 && is_model(&list->models[i], listed->model))
      report_line(report, node->line, node->column, path, "'%s' is there already as models[%u]; merge the two",
                  listed->model, i);
  for (uint32_t i = 1; i < listed->tiers_count; i++)
    if (listed->tiers[i].above_tokens <= listed->tiers[i - 1].above_tokens)
      report_line(report, node->line, node->column, path, "tiers must stand in the order of their above_tokens");
}

static int read_list(Report *report, Bytes bytes, ConfigPriceList **ret) {
  _cleanup_(tree_destroy) Tree *tree = NULL;
  void *list = NULL;
  int r = tree_new(&tree, report->file, bytes, report->errors);

  if (r)
    return r;
  check_keys(report, tree, mapping_price_list);
  r = report->count ? CONFIG_E_INVALID : file_fill(report, bytes, tree, schema_price_list, sizeof **ret, &list);
  if (r)
    return r;
  *ret = list;
  defaults_apply(mapping_price_list, tree_root(tree), list);
  for (uint32_t i = 0; i < (*ret)->models_count; i++)
    check_row(report, tree, *ret, i);
  return report->count ? CONFIG_E_INVALID : 0;
}

int price_list_apply(Config *config, const Tree *tree, Buffer *errors) {
  _cleanup_(buffer_done) Buffer bytes = {0};
  Report report = {.file = config->price_list, .errors = errors};
  ConfigPriceList *list = NULL;
  int r;

  if (!config->price_list)
    return 0;
  r = file_read(config->price_list, &bytes, errors);
  if (r == 0)
    r = read_list(&report, buffer_bytes(&bytes), &list);
  report_end(&report);
  for (uint32_t i = 0; r == 0 && i < config->models_count; i++)
    complete(config, tree, i, list);
  file_free(schema_price_list, list);
  return r < 0 && r != -ENOMEM ? CONFIG_E_INVALID : r;
}
