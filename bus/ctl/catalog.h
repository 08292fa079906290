/* What:      the names of the agents that this build has.
 * Owns:      nothing; a constant.
 * May use:   agents/catalog.def.
 * Threading: any.
 * Spec:      agents/catalog.def */
#ifndef PONS_CTL_CATALOG_H
#define PONS_CTL_CATALOG_H

/* Names in the order of the table, NULL at the end: what config_load_agents takes. */
const char *const *catalog_names(void);

#endif
