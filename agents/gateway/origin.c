#include "agents/gateway/origin.h"

#include <strings.h>

const char *origin_find(const ConfigGateway *gateway, const char *origin) {
  for (uint32_t i = 0; origin && i < gateway->cors_origins_count; i++)
    if (strcmp(gateway->cors_origins[i], origin) == 0)
      return gateway->cors_origins[i];
  return NULL;
}

bool origin_is_own(const char *origin, const char *host) {
  const char *at = origin ? strstr(origin, "://") : NULL;

  if (!origin)
    return true;
  return at && host && strcasecmp(at + 3, host) == 0;
}
