/* What:      how a check of several keys says what it has found, at the place that has set them.
 * Owns:      nothing.
 * May use:   base.
 * Threading: one thread.
 * Spec:      docs/configuration.md, "Errors" */
#ifndef PONS_CONFIG_WHOLE_INTERNAL_H
#define PONS_CONFIG_WHOLE_INTERNAL_H

#include "bus/config/check-internal.h"

/* What a check knows. */
typedef struct Whole {
  Report *report;
  const Config *config;
  const Tree *tree;
  const ConfigCatalog *catalog;
} Whole;

/* Adds a finding at the place that has set path: a variable, a line of the file, or the nearest line around it. */
void whole_wrong(const Whole *whole, const char *path, const char *format, ...) _printf_(3, 4);
/* Writes "list[index].key" into ret, which it returns; key may be empty. */
const char *whole_path(char ret[KEY_PATH_SIZE], const char *list, uint32_t index, const char *key);
/* Finds a name that stands twice in a list; entries of entry_bytes have their name's pointer in front. */
void whole_unique(const Whole *whole, const char *list, const char *key, const void *entries, uint32_t count,
                  size_t entry_bytes);
/* Finds a value below least (or, strictly, equal to it), which is that of least_path. */
void whole_order(const Whole *whole, const char *path, uint64_t value, bool strictly, const char *least_path,
                 uint64_t least);

/* check_models.c: gateway, models, providers, local_llm. */
void check_models(const Whole *whole);
/* check_authority.c: the pair of brokers and its witness. */
void check_authority(const Whole *whole);

#endif
