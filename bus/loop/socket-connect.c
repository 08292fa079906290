/* How a DEALER gets to its one connection: resolve, connect, greet, and from the beginning when it fails. */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <unistd.h>

#include "bus/loop/socket-internal.h"

enum { WAIT_FIRST_US = 10000, WAIT_LONGEST_US = 250000 }; /* each wait is twice the one before */

static void begin(Socket *socket);

static void on_retry(void *userdata, uint64_t now_us _unused_) {
  begin(userdata);
}

void connector_reset(Connector *connector) {
  connector->wait_us = WAIT_FIRST_US;
}

void connector_retry(Socket *socket) {
  Connector *connector = &socket->connector;

  loop_timer_set(connector->retry, clock_monotonic_us() + connector->wait_us);
  connector->wait_us = min_u64(connector->wait_us * 2, WAIT_LONGEST_US);
}

static void fail(Socket *socket, int error) {
  socket_tell(socket, SOCKET_FAILED, 0, error);
  connector_retry(socket);
}

void connector_done(Connection *connection) {
  int error = 0;
  socklen_t size = sizeof error;

  if (getsockopt(connection->fd, SOL_SOCKET, SO_ERROR, &error, &size) < 0)
    error = errno;
  if (error) {
    connection_end(connection, -error);
    return;
  }
  loop_fd_set_events(connection->watch, EPOLLIN);
  connection_greet(connection);
}

static void connect_now(Socket *dealer) {
  static const int on = 1;
  const Address *address = &dealer->connector.address;
  int fd = socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  Connection *connection;
  int r = 0;

  if (fd < 0) {
    fail(dealer, -errno);
    return;
  }
  if (address->storage.ss_family != AF_UNIX)
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, (const struct sockaddr *)&address->storage, address->size) < 0)
    r = -errno;
  if (r < 0 && r != -EINPROGRESS) {
    close(fd);
    fail(dealer, r);
    return;
  }
  connection = connection_new(dealer, fd, CONNECTION_CONNECTING);
  if (!connection)
    fail(dealer, -ENOSPC);
  else if (r == 0)
    connector_done(connection);
}

static void on_resolved(void *userdata, int error, const struct sockaddr *address, socklen_t size) {
  Socket *socket = userdata;

  resolve_destroy(&socket->connector.resolve);
  if (error) {
    fail(socket, error);
    return;
  }
  address_set_host(&socket->connector.address, address, size);
  connect_now(socket);
}

/* A name is asked for anew by each attempt: the machine behind it may have another address by now. */
static void begin(Socket *socket) {
  Connector *connector = &socket->connector;
  char host[ADDRESS_HOST_BYTES];
  int r = address_read(connector->endpoint, false, &connector->address, host);

  if (r == ADDRESS_E_NAME) {
    r = resolve_new(socket->loop, host, on_resolved, socket, &connector->resolve);
    if (r < 0)
      fail(socket, r);
    return;
  }
  connect_now(socket);
}

int socket_connect(Socket *socket, const char *endpoint) {
  Connector *connector = &socket->connector;
  Address address;
  char host[ADDRESS_HOST_BYTES];
  int r = address_read(endpoint, false, &address, host);

  if (r < 0)
    return r;
  connector_reset(connector);
  connector->endpoint = strdup(endpoint);
  if (!connector->endpoint)
    abort();
  r = loop_timer_new(socket->loop, on_retry, socket, &connector->retry);
  if (r == 0)
    begin(socket);
  return r;
}

void connector_stop(Connector *connector) {
  loop_timer_destroy(&connector->retry);
  resolve_destroy(&connector->resolve);
  free(TAKE(connector->endpoint));
}
