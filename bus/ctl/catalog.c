#include "bus/ctl/catalog.h"

#include <stddef.h>

const char *const *catalog_names(void) {
  static const char *const names[] = {
#define AGENT(name, group, about) #name,
#include "agents/catalog.def"
#undef AGENT
      NULL,
  };

  return names;
}
