/* Where a ROUTER is found. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/loop/reserve.h"
#include "bus/loop/socket-internal.h"

enum {
  BACKLOG = 4096,
  ACCEPTS_PER_TURN = 256,
};

/* Where a connection comes from: a host, or a user of this machine. */
static uint64_t origin_of(int fd, const struct sockaddr_storage *from) {
  const struct sockaddr_in *four = (const struct sockaddr_in *)(const void *)from;
  const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)(const void *)from;
  struct ucred who = {.uid = 0};
  socklen_t size = sizeof who;

  if (from->ss_family == AF_INET)
    return text_hash((Text){(const char *)&four->sin_addr, sizeof four->sin_addr});
  if (from->ss_family == AF_INET6)
    return text_hash((Text){(const char *)&six->sin6_addr, sizeof six->sin6_addr});
  getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
  return text_hash((Text){(const char *)&who.uid, sizeof who.uid});
}

static void take_in(Socket *socket, int fd, uint64_t origin) {
  static const int on = 1;
  Connection *connection;

  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on); /* of a unix socket it fails, and needs not be asked for */
  connection = connection_new(socket, fd, CONNECTION_GREETING);
  if (!connection) {
    socket_tell(socket, SOCKET_REFUSED, 0, 0);
    return;
  }
  connection->origin = origin;
  socket_tell(socket, SOCKET_UP, connection->number, 0);
  connection_greet(connection);
}

/* Whoever has failed too often is not worth a handshake. */
static void take_in_or_not(Socket *socket, int fd, const struct sockaddr_storage *from) {
  uint64_t origin = socket->key ? origin_of(fd, from) : 0;

  if (socket_may_come(socket, origin)) {
    take_in(socket, fd, origin);
    return;
  }
  close(fd);
  socket_tell(socket, SOCKET_REFUSED, 0, -EDQUOT);
}

static void on_connection(void *userdata, int fd, uint32_t revents _unused_) {
  Listener *listener = userdata;

  for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
    struct sockaddr_storage from = {.ss_family = AF_UNSPEC};
    socklen_t size = sizeof from;
    int accepted = accept4(fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (accepted >= 0) {
      take_in_or_not(listener->socket, accepted, &from);
    } else if (errno == EMFILE || errno == ENFILE) {
      descriptors_turn_away(fd);
      socket_tell(listener->socket, SOCKET_REFUSED, 0, 0);
    } else if (errno == EAGAIN) {
      return;
    } else {
      socket_tell(listener->socket, SOCKET_MISSED, 0, 0);
    }
  }
}

void listener_destroy(Listener *listener) {
  list_remove(&listener->in_socket);
  loop_fd_destroy(&listener->watch);
  close(listener->fd);
  if (listener->path[0])
    unlink(listener->path);
  free(listener);
}

/* Removes a socket's file at which nobody listens. */
static void remove_stale(const Address *address) {
  const char *path = address_path(address);
  struct stat stat;
  int fd;

  if (!path || lstat(path, &stat) < 0 || !S_ISSOCK(stat.st_mode))
    return;
  fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0)
    return;
  if (connect(fd, (const struct sockaddr *)&address->storage, address->size) < 0 && errno == ECONNREFUSED)
    unlink(path);
  close(fd);
}

/* Returns a descriptor that listens, or -errno. */
static int listen_at(const Address *address) {
  static const int on = 1;
  int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int r = 0;

  if (fd < 0)
    return -errno;
  remove_stale(address);
  if (address->storage.ss_family != AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
    r = -errno;
  if (r == 0 && (bind(fd, (const struct sockaddr *)&address->storage, address->size) < 0 || listen(fd, BACKLOG) < 0))
    r = -errno;
  if (r == 0)
    return fd;
  close(fd);
  return r;
}

static int read_address(const char *endpoint, Address *ret) {
  char host[ADDRESS_HOST_BYTES];
  struct sockaddr_storage found;
  socklen_t size;
  int r = address_read(endpoint, true, ret, host);

  if (r != ADDRESS_E_NAME)
    return r;
  if (resolve_now(host, &found, &size) < 0)
    return -ENXIO;
  address_set_host(ret, (const struct sockaddr *)&found, size);
  return 0;
}

int socket_bind(Socket *socket, const char *endpoint) {
  Listener *listener;
  Address address;
  int r = read_address(endpoint, &address);
  int fd;

  if (r == 0)
    r = descriptors_reserve();
  fd = r == 0 ? listen_at(&address) : r;
  if (fd < 0)
    return fd;
  listener = calloc(1, sizeof *listener);
  if (!listener)
    abort();
  *listener = (Listener){.socket = socket, .fd = fd};
  if (address_path(&address))
    memcpy(listener->path, address_path(&address), strlen(address_path(&address)));
  list_push(&socket->listeners, &listener->in_socket);
  r = loop_watch_fd(socket->loop, fd, EPOLLIN, on_connection, listener, &listener->watch);
  if (r < 0)
    listener_destroy(listener);
  return r;
}

const char *socket_endpoint(Socket *socket, char *ret, size_t size_bytes) {
  Listener *last =
      list_is_empty(&socket->listeners) ? NULL : CONTAINER_OF(socket->listeners.previous, Listener, in_socket);
  Address address = {.size = sizeof address.storage};

  if (size_bytes > 0)
    ret[0] = '\0';
  if (last && getsockname(last->fd, (struct sockaddr *)&address.storage, &address.size) == 0)
    address_print(&address, ret, size_bytes);
  return ret;
}
