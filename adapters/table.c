#include "adapters/table.h"

#include "adapters/anthropic/anthropic.h"
#include "adapters/azure/azure.h"
#include "adapters/bedrock/bedrock.h"
#include "adapters/custom/custom.h"
#include "adapters/gemini/gemini.h"
#include "adapters/openai/openai.h"

const Dialect *const *table_dialects(void) {
  static const Dialect *const dialects[] = {
      &openai_dialect,         &anthropic_dialect, &gemini_dialect, &bedrock_dialect,
      &bedrock_invoke_dialect, &azure_dialect,     &custom_dialect, NULL};

  return dialects;
}

const Dialect *table_find_dialect(const char *name) {
  for (const Dialect *const *at = table_dialects(); *at; at++)
    if (strcmp((*at)->name, name) == 0)
      return *at;
  return NULL;
}
