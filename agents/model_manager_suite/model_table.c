#include "agents/model_manager_suite/model_table.h"

#include <stdlib.h>

static const char *const size_names[] = {[MODEL_LIGHT] = "light", [MODEL_ANY] = "any", [MODEL_HEAVY] = "heavy"};

const char *model_size_name(ModelSize size) {
  return size_names[size];
}

static ModelSize size_of(const char *name) {
  for (size_t i = 0; i < ELEMENTS(size_names); i++)
    if (strcmp(size_names[i], name) == 0)
      return (ModelSize)i;
  return MODEL_ANY;
}

static ModelPrice price_of(const char *usd) {
  ModelPrice price = {.is_known = false};

  price.is_known = config_price(usd, &price.nano_usd) == 0;
  return price;
}

ModelAbility model_can(const Model *model, const char *what) {
  for (uint32_t i = 0; i < model->can_count; i++)
    if (text_is(model->can[i], what))
      return MODEL_CAN;
  return model->can_count > 0 ? MODEL_CAN_NOT : MODEL_CAN_UNKNOWN;
}

static Text *abilities_of(const ConfigModel *from) {
  Text *can = calloc(from->can_count + 1, sizeof *can);

  if (!can)
    abort();
  for (uint32_t i = 0; i < from->can_count; i++)
    can[i] = text_of(from->can[i]);
  return can;
}

static uint64_t context_of(const Config *config, const ConfigModel *model) {
  if (!model->provider && strcmp(model->name, config->local_llm.model) == 0)
    return min_u64(model->context_tokens, config->local_llm.context_tokens);
  return model->context_tokens;
}

void model_table_init(ModelTable *table, const Config *config) {
  table->rows = calloc(config->models_count + 1, sizeof *table->rows);
  if (!table->rows)
    abort();
  table->count = config->models_count;
  for (uint32_t i = 0; i < config->models_count; i++) {
    const ConfigModel *from = &config->models[i];
    Model *model = &table->rows[i];

    *model = (Model){
        .name = text_of(from->name),
        .executor = text_of(from->executor),
        .provider = text_of(from->provider),
        .kind = from->kind,
        .is_embedding = strcmp(from->kind, "embedding") == 0,
        .size = size_of(from->size),
        .context_tokens = context_of(config, from),
        .input = price_of(from->input_usd),
        .cached = price_of(from->cached_usd),
        .cache_write = price_of(from->cache_write_usd),
        .output = price_of(from->output_usd),
        .batch_input = price_of(from->batch_input_usd),
        .batch_output = price_of(from->batch_output_usd),
        .prices_date = text_of(from->prices_date),
        .prices_source = text_of(from->prices_source),
        .can = abilities_of(from),
        .can_count = from->can_count,
        .index = i,
    };
    table_add(&table->by_name, &model->link, text_hash(model->name));
  }
}

void model_table_done(ModelTable *table) {
  table_done(&table->by_name);
  for (uint32_t i = 0; i < table->count; i++)
    free((Text *)table->rows[i].can);
  free(table->rows);
  *table = (ModelTable){.rows = NULL};
}

const Model *model_table_find(const ModelTable *table, Text name) {
  uint64_t hash = text_hash(name);

  for (TableLink *link = table_bucket(&table->by_name, hash); link; link = link->next) {
    const Model *model = CONTAINER_OF(link, Model, link);

    if (link->hash == hash && text_equal(model->name, name))
      return model;
  }
  return NULL;
}
