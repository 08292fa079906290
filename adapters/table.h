/* What:      the one list of dialects.
 * Owns:      nothing; constants.
 * May use:   every room of a dialect.
 * Threading: any.
 * Spec:      docs/providers.md */
#ifndef PONS_ADAPTERS_TABLE_H
#define PONS_ADAPTERS_TABLE_H

#include "adapters/dialect/dialect.h"

/* The dialect of that name in pons.yaml, or NULL. */
const Dialect *table_find_dialect(const char *name);
/* All of them, with NULL at the end. */
const Dialect *const *table_dialects(void);

#endif
