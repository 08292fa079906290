/* What:      the model table as the manager uses it: made once of pons.yaml and never changed.
 * Owns:      a ModelTable owns its rows; texts borrow from the Config.
 * May use:   base, config.
 * Threading: one thread makes it; read-only then.
 * Spec:      docs/routing.md, "Candidates" */
#ifndef PONS_MODELS_MODEL_TABLE_H
#define PONS_MODELS_MODEL_TABLE_H

#include "bus/base/table.h"
#include "bus/config/config.h"

typedef enum ModelSize { MODEL_LIGHT, MODEL_ANY, MODEL_HEAVY } ModelSize;

/* A price that nobody wrote down is unknown, and not 0. */
typedef struct ModelPrice {
  bool is_known;
  uint64_t nano_usd; /* of one token */
} ModelPrice;

typedef struct Model {
  TableLink link; /* by name */
  Text name;
  Text executor;
  Text provider;    /* empty: a local model */
  const char *kind; /* as pons.yaml has it */
  bool is_embedding;
  ModelSize size;
  uint64_t context_tokens;
  ModelPrice input;
  ModelPrice cached; /* unknown: as input */
  ModelPrice cache_write;
  ModelPrice output;
  ModelPrice batch_input;
  ModelPrice batch_output;
  Text prices_date;   /* empty: unknown */
  Text prices_source; /* empty: unknown */
  const Text *can;    /* what it can do besides text; none: unknown */
  uint32_t can_count;
  uint32_t index; /* its place in the table */
} Model;

typedef struct ModelTable {
  Model *rows; /* in the order of preference */
  uint32_t count;
  Table by_name;
} ModelTable;

/* Fills an all-zero table from config, which must outlive it. The local model has no more context than local_llm gives it. */
void model_table_init(ModelTable *table, const Config *config);
/* Frees the rows; the table is empty again. Usable as _cleanup_. */
void model_table_done(ModelTable *table);
/* The model of that name, borrowed, or NULL. */
const Model *model_table_find(const ModelTable *table, Text name);
/* What is known of whether it can do that: "image", "tools", "reasoning". */
typedef enum ModelAbility { MODEL_CAN_UNKNOWN, MODEL_CAN_NOT, MODEL_CAN } ModelAbility;
ModelAbility model_can(const Model *model, const char *what);
/* "light", "any" or "heavy", as pons.yaml writes it. */
const char *model_size_name(ModelSize size);

#endif
