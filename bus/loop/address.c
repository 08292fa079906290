#include "bus/loop/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

static struct sockaddr_un *as_un(Address *address) {
  return (struct sockaddr_un *)&address->storage;
}

static struct sockaddr_in *as_in(Address *address) {
  return (struct sockaddr_in *)&address->storage;
}

static struct sockaddr_in6 *as_in6(Address *address) {
  return (struct sockaddr_in6 *)&address->storage;
}

static int read_ipc(const char *path, Address *ret) {
  struct sockaddr_un *un = as_un(ret);
  size_t size = strlen(path);

  if (size == 0)
    return -EINVAL;
  if (size >= sizeof un->sun_path)
    return -ENAMETOOLONG;
  *ret = (Address){.size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + size + (path[0] != '@'))};
  un->sun_family = AF_UNIX;
  memcpy(un->sun_path, path, size);
  if (path[0] == '@')
    un->sun_path[0] = '\0';
  return 0;
}

static int read_port(const char *text, bool to_bind, in_port_t *ret) {
  char *end;
  unsigned long port = strtoul(text, &end, 10);

  if (to_bind && strcmp(text, "*") == 0)
    port = 0;
  else if (text[0] < '0' || text[0] > '9' || *end != '\0' || port > UINT16_MAX || (port == 0 && !to_bind))
    return -EINVAL;
  *ret = htons((uint16_t)port);
  return 0;
}

/* The IPv4 address of an interface of this machine. */
static bool read_interface(const char *name, struct in_addr *ret) {
  struct ifaddrs *all;
  bool found = false;

  if (if_nametoindex(name) == 0 || getifaddrs(&all) < 0)
    return false;
  for (struct ifaddrs *one = all; one && !found; one = one->ifa_next)
    if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET && strcmp(one->ifa_name, name) == 0) {
      *ret = ((struct sockaddr_in *)(void *)one->ifa_addr)->sin_addr;
      found = true;
    }
  freeifaddrs(all);
  return found;
}

static int read_host(const char *host, bool to_bind, in_port_t port, Address *ret) {
  struct in_addr v4 = {INADDR_ANY};
  struct in6_addr v6;

  if ((to_bind && strcmp(host, "*") == 0) || inet_pton(AF_INET, host, &v4) == 1 ||
      (to_bind && read_interface(host, &v4))) {
    ret->size = sizeof(struct sockaddr_in);
    *as_in(ret) = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = port, .sin_addr = v4};
    return 0;
  }
  ret->size = sizeof(struct sockaddr_in6);
  *as_in6(ret) = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = port};
  if (inet_pton(AF_INET6, host, &v6) != 1)
    return ADDRESS_E_NAME;
  as_in6(ret)->sin6_addr = v6;
  return 0;
}

static int read_tcp(const char *text, bool to_bind, Address *ret, char *ret_host) {
  const char *colon = strrchr(text, ':');
  size_t size = colon ? (size_t)(colon - text) : 0;
  in_port_t port;

  *ret = (Address){.size = 0};
  if (size >= 2 && text[0] == '[' && text[size - 1] == ']') {
    text++;
    size -= 2;
  }
  if (size == 0)
    return -EINVAL;
  if (size >= ADDRESS_HOST_BYTES)
    return -ENAMETOOLONG;
  memcpy(ret_host, text, size);
  ret_host[size] = '\0';
  if (read_port(colon + 1, to_bind, &port) < 0)
    return -EINVAL;
  return read_host(ret_host, to_bind, port, ret);
}

int address_read(const char *endpoint, bool to_bind, Address *ret, char *ret_host) {
  enum { SCHEME_BYTES = 6 };

  if (strncmp(endpoint, "ipc://", SCHEME_BYTES) == 0)
    return read_ipc(endpoint + SCHEME_BYTES, ret);
  if (strncmp(endpoint, "tcp://", SCHEME_BYTES) == 0)
    return read_tcp(endpoint + SCHEME_BYTES, to_bind, ret, ret_host);
  return -EINVAL;
}

void address_set_host(Address *address, const struct sockaddr *host, socklen_t size) {
  in_port_t port = as_in6(address)->sin6_port; /* where it lies in a sockaddr_in too */

  memcpy(&address->storage, host, size);
  address->size = size;
  as_in6(address)->sin6_port = port;
}

const char *address_path(const Address *address) {
  const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;

  return un->sun_family == AF_UNIX && un->sun_path[0] ? un->sun_path : NULL;
}

const char *address_print(const Address *address, char *ret, size_t size_bytes) {
  const struct sockaddr_un *un = (const struct sockaddr_un *)&address->storage;
  char host[ADDRESS_HOST_BYTES];
  char port[8];

  if (un->sun_family == AF_UNIX && un->sun_path[0])
    snprintf(ret, size_bytes, "ipc://%s", un->sun_path);
  else if (un->sun_family == AF_UNIX)
    snprintf(ret, size_bytes, "ipc://@%.*s", (int)(address->size - offsetof(struct sockaddr_un, sun_path) - 1),
             un->sun_path + 1);
  else if (getnameinfo((const struct sockaddr *)&address->storage, address->size, host, sizeof host, port, sizeof port,
                       NI_NUMERICHOST | NI_NUMERICSERV) == 0)
    snprintf(ret, size_bytes, strchr(host, ':') ? "tcp://[%s]:%s" : "tcp://%s:%s", host, port);
  else if (size_bytes > 0)
    ret[0] = '\0';
  return ret;
}

bool address_is_here(const char *endpoint) {
  static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
  Address address;
  char host[ADDRESS_HOST_BYTES];
  const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)&address.storage;
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)&address.storage;
  int r = address_read(endpoint, true, &address, host);

  if (r != 0)
    return r == ADDRESS_E_NAME && strcmp(host, "localhost") == 0;
  if (address.storage.ss_family == AF_INET)
    return ntohl(four->sin_addr.s_addr) >> 24 == 127;
  return address.storage.ss_family == AF_UNIX || memcmp(&six->sin6_addr, &loopback, sizeof loopback) == 0;
}
