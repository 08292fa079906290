#include "bus/config/address-internal.h"

#include <arpa/inet.h>
#include <stdlib.h>

/* Splits tcp://HOST:PORT, which RULE_ENDPOINT has passed. */
Text address_host(const char *endpoint) {
  const char *colon = strrchr(endpoint, ':');

  return (Text){endpoint + 6, (size_t)(colon - endpoint - 6)};
}

static const char *port_of(const char *endpoint) {
  return strrchr(endpoint, ':') + 1;
}

bool address_is_tcp(const char *endpoint) {
  return strncmp(endpoint, "tcp://", 6) == 0;
}

bool address_any_port(const char *endpoint) {
  return strcmp(port_of(endpoint), "*") == 0 || atoi(port_of(endpoint)) == 0;
}

bool address_is_all(Text host) {
  return text_is(host, "*") || text_is(host, "0.0.0.0") || text_is(host, "[::]") || text_is(host, "::");
}

/* 127.0.0.0/8 (RFC 1122 3.2.1.3), ::1 (RFC 4291 2.5.3), and the names that mean them on Linux. */
bool address_is_loopback(Text host) {
  char address[INET_ADDRSTRLEN];
  struct in_addr in;

  if (text_is(host, "localhost") || text_is(host, "lo") || text_is(host, "[::1]") || text_is(host, "::1"))
    return true;
  if (host.size >= sizeof address)
    return false;
  memcpy(address, host.data, host.size);
  address[host.size] = '\0';
  return inet_pton(AF_INET, address, &in) == 1 && ntohl(in.s_addr) >> 24 == 127;
}

bool address_is_numeric(Text host) {
  char address[INET6_ADDRSTRLEN];
  struct in6_addr in;
  bool bracketed = host.size > 2 && host.data[0] == '[';

  if (bracketed)
    host = (Text){host.data + 1, host.size - 2};
  if (host.size >= sizeof address)
    return false;
  memcpy(address, host.data, host.size);
  address[host.size] = '\0';
  return inet_pton(bracketed ? AF_INET6 : AF_INET, address, &in) == 1;
}

bool address_collides(const char *a, const char *b) {
  if (!address_is_tcp(a) || !address_is_tcp(b))
    return strcmp(a, b) == 0;
  if (address_any_port(a) || address_any_port(b) || atoi(port_of(a)) != atoi(port_of(b)))
    return false;
  return address_is_all(address_host(a)) || address_is_all(address_host(b)) ||
         text_equal(address_host(a), address_host(b));
}

Text address_url_host(const char *url) {
  const char *host = strstr(url, "://") + 3;
  size_t size = *host == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":/");

  return (Text){host, size};
}
