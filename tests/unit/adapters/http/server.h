/* What:      a small HTTP server in the loop of the test: it says what it is told to, when it is told to.
 * Owns:      its listener and one connection at a time of each number.
 * May use:   loop, cmocka.
 * Threading: the loop thread.
 * Spec:      - */
#ifndef PONS_TESTS_SERVER_H
#define PONS_TESTS_SERVER_H

#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/base/buffer.h"
#include "bus/loop/loop.h"

enum { SERVER_CONNECTIONS = 64, SERVER_PATIENCE_US = 10000000 };

typedef struct Server Server;

typedef struct ServerConnection {
  Server *server;
  LoopFd *watch;
  int fd;        /* -1: not open */
  Buffer heard;  /* everything that came */
  bool is_ended; /* by the other side */
} ServerConnection;

struct Server {
  Loop *loop;
  int fd;
  uint16_t port;
  LoopFd *watch;
  const char *answer; /* said at once to each request; NULL = server_say does it */
  ServerConnection connections[SERVER_CONNECTIONS];
  size_t accepted;
  size_t requests;
};

/* Says bytes on a connection, all of them or as many as fit. Returns how many. */
static inline size_t server_say(Server *server, size_t index, const char *data, size_t size) {
  ssize_t n = send(server->connections[index].fd, data, size, MSG_NOSIGNAL | MSG_DONTWAIT);

  return n < 0 ? 0 : (size_t)n;
}

static inline void server_say_text(Server *server, size_t index, const char *text) {
  assert_int_equal(server_say(server, index, text, strlen(text)), strlen(text));
}

static inline void server_close(Server *server, size_t index) {
  ServerConnection *connection = &server->connections[index];

  loop_fd_destroy(&connection->watch);
  if (connection->fd >= 0)
    close(connection->fd);
  connection->fd = -1;
}

static inline void on_server_bytes(void *userdata, int fd, uint32_t revents) {
  ServerConnection *connection = userdata;
  char data[65536];
  ssize_t n = recv(fd, data, sizeof data, MSG_DONTWAIT);

  (void)revents;
  if (n <= 0) {
    connection->is_ended = true;
    loop_fd_destroy(&connection->watch);
    return;
  }
  buffer_append(&connection->heard, data, (size_t)n);
  if (n < 4 || memmem(data, (size_t)n, "\r\n\r\n", 4) == NULL)
    return;
  connection->server->requests++;
  if (connection->server->answer)
    server_say_text(connection->server, (size_t)(connection - connection->server->connections),
                    connection->server->answer);
}

static inline void on_server_connection(void *userdata, int fd, uint32_t revents) {
  Server *server = userdata;
  ServerConnection *connection = &server->connections[server->accepted];

  (void)revents;
  assert_true(server->accepted < SERVER_CONNECTIONS);
  *connection = (ServerConnection){.server = server, .fd = accept4(fd, NULL, NULL, SOCK_CLOEXEC)};
  assert_true(connection->fd >= 0);
  assert_int_equal(
      loop_watch_fd(server->loop, connection->fd, EPOLLIN, on_server_bytes, connection, &connection->watch), 0);
  server->accepted++;
}

static inline void server_init(Server *server, Loop *loop) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;

  *server = (Server){.loop = loop, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  assert_int_equal(bind(server->fd, (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(server->fd, SERVER_CONNECTIONS), 0);
  assert_int_equal(getsockname(server->fd, (struct sockaddr *)&address, &size), 0);
  server->port = ntohs(address.sin_port);
  assert_int_equal(loop_watch_fd(loop, server->fd, EPOLLIN, on_server_connection, server, &server->watch), 0);
}

/* Listens no more: who connects is refused. */
static inline void server_stop(Server *server) {
  loop_fd_destroy(&server->watch);
  if (server->fd >= 0)
    close(server->fd);
  server->fd = -1;
}

static inline void server_done(Server *server) {
  for (size_t i = 0; i < server->accepted; i++) {
    server_close(server, i);
    buffer_done(&server->connections[i].heard);
  }
  server_stop(server);
}

#endif
