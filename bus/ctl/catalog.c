#include "bus/ctl/catalog.h"

const ConfigCatalog *catalog_rows(void) {
  static const ConfigCatalog rows[] = {
#define AGENT(name, program, group, secrets, about) {#name, program, secrets},
#include "agents/catalog.def"
#undef AGENT
      {NULL, NULL, NULL},
  };

  return rows;
}
