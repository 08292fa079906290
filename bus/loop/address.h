/* What:      endpoints of ZeroMQ, ipc and tcp, as addresses of the kernel and back.
 * Owns:      nothing; an Address is a value.
 * May use:   base; the C library.
 * Threading: any.
 * Spec:      zmq_ipc(7), zmq_tcp(7) for how endpoints are written; unix(7), ip(7), ipv6(7) */
#ifndef PONS_LOOP_ADDRESS_H
#define PONS_LOOP_ADDRESS_H

#include <sys/socket.h>
#include <sys/un.h>

#include "bus/base/types.h"

enum {
  ADDRESS_PATH_BYTES = sizeof(((struct sockaddr_un *)NULL)->sun_path),
  ADDRESS_HOST_BYTES = 256,
};

enum {
  ADDRESS_E_NAME = 1, /* the host is neither an address nor an interface: a name to be resolved */
};

typedef struct Address {
  struct sockaddr_storage storage;
  socklen_t size;
} Address;

/* Reads ipc://PATH, ipc://@NAME, tcp://HOST:PORT. to_bind: HOST may be * or an interface, PORT may be *. Returns 0; ADDRESS_E_NAME, then ret
   has the port alone and ret_host, ADDRESS_HOST_BYTES long, the name; -EINVAL or -ENAMETOOLONG. */
int address_read(const char *endpoint, bool to_bind, Address *ret, char *ret_host);
/* Whether an endpoint is of this machine alone: ipc, or loopback. */
bool address_is_here(const char *endpoint);
/* The same host as a resolver has found it, with the port of address. */
void address_set_host(Address *address, const struct sockaddr *host, socklen_t size);
/* The endpoint as text. Returns ret. */
const char *address_print(const Address *address, char *ret, size_t size_bytes);
/* The path of an ipc endpoint in the file system, or NULL. */
const char *address_path(const Address *address);

#endif
