/* What:      the agents that this build has.
 * Owns:      nothing; a constant.
 * May use:   agents/catalog.def, config.
 * Threading: any.
 * Spec:      agents/catalog.def */
#ifndef PONS_CTL_CATALOG_H
#define PONS_CTL_CATALOG_H

#include "bus/config/config.h"

/* In the order of the table, a NULL name at the end: what config_load_agents takes. */
const ConfigCatalog *catalog_rows(void);

#endif
