#include "adapters/table.h"

#include "adapters/openai/openai.h"

const Dialect *table_find_dialect(const char *name) {
  static const Dialect *const dialects[] = {&openai_dialect};

  for (size_t i = 0; i < ELEMENTS(dialects); i++)
    if (strcmp(dialects[i]->name, name) == 0)
      return dialects[i];
  return NULL;
}
