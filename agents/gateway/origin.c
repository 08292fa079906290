#include "agents/gateway/origin.h"

#include <arpa/inet.h>
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

/* What stands before the port; an IPv6 address without its brackets. */
static Text name_of(const char *host) {
  const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
  size_t size = end ? (size_t)(end - host) : strlen(host);

  return host[0] == '[' && end ? (Text){host + 1, size - 1} : (Text){host, size};
}

static bool is_address(Text name) {
  char text[INET6_ADDRSTRLEN];
  uint8_t address[16];

  if (name.size >= sizeof text)
    return false;
  memcpy(text, name.data, name.size);
  text[name.size] = '\0';
  return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

static bool ends_with(Text name, const char *end) {
  size_t size = strlen(end);

  return name.size >= size && strncasecmp(name.data + name.size - size, end, size) == 0;
}

static bool is_localhost(Text name) {
  return (name.size == strlen("localhost") && ends_with(name, "localhost")) || ends_with(name, ".localhost");
}

bool origin_host_is_ours(const ConfigGateway *gateway, const char *host) {
  Text name;

  if (!host)
    return true;
  name = name_of(host);
  if (is_address(name) || is_localhost(name))
    return true;
  for (uint32_t i = 0; i < gateway->hosts_count; i++)
    if (name.size == strlen(gateway->hosts[i]) && ends_with(name, gateway->hosts[i]))
      return true;
  return false;
}
