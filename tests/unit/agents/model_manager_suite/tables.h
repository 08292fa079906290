/* What:      model tables for the tests of the manager, made of rows of ConfigModel.
 * Owns:      nothing.
 * May use:   the model table, cmocka.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_TESTS_TABLES_H
#define PONS_TESTS_TABLES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/model_manager_suite/model_table.h"

static _unused_ char tables_chat[] = "chat";
static _unused_ char tables_local[] = "Local";
static _unused_ char tables_remote[] = "RemoteApiAdapter";
static _unused_ char tables_none[] = "none";

#define TABLES_LIGHT(model, context)                                                                                   \
  {                                                                                                                    \
    .name = (char[]){model}, .kind = tables_chat, .executor = tables_local, .size = (char[]){"light"},                 \
    .context_tokens = (context)                                                                                        \
  }
#define TABLES_ANY(model, context)                                                                                     \
  {                                                                                                                    \
    .name = (char[]){model}, .kind = tables_chat, .executor = tables_remote, .provider = (char[]){"p"},                \
    .size = (char[]){"any"}, .context_tokens = (context)                                                               \
  }
#define TABLES_HEAVY(model, context)                                                                                   \
  {                                                                                                                    \
    .name = (char[]){model}, .kind = tables_chat, .executor = tables_remote, .provider = (char[]){"p"},                \
    .size = (char[]){"heavy"}, .context_tokens = (context)                                                             \
  }
#define TABLES_EMBEDDING(model, context)                                                                               \
  {                                                                                                                    \
    .name = (char[]){model}, .kind = (char[]){"embedding"}, .executor = tables_remote, .provider = (char[]){"p"},      \
    .size = (char[]){"heavy"}, .context_tokens = (context)                                                             \
  }

/* Fills an all-zero table; rows must outlive it. */
static inline void tables_init(ModelTable *table, ConfigModel *rows, size_t count) {
  const Config config = {.models = rows, .models_count = (uint32_t)count, .local_llm = {.model = tables_none}};

  model_table_init(table, &config);
}

#endif
