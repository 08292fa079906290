/* libmicrohttpd in our loop. It has no thread of its own: each daemon's epoll descriptor is watched like any other, and
   MHD_run does what is ready. What MHD_run leaves undone it says by a timeout of 0, so it runs until that is gone. */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

#include "agents/gateway/gateway-internal.h"
#include "bus/base/log.h"

enum { ROUNDS_MAX = 32, BACKLOG = 4096 };

static void run(Listener *listener) {
  MHD_UNSIGNED_LONG_LONG wait_ms = 0;
  bool waits = false;

  for (int round = 0; round < ROUNDS_MAX; round++) {
    listener->is_woken = false;
    MHD_run(listener->daemon);
    waits = MHD_get_timeout(listener->daemon, &wait_ms) == MHD_YES;
    if (!listener->is_woken && (!waits || wait_ms > 0))
      break;
  }
  if (listener->is_woken)
    loop_timer_set(listener->timer, 0);
  else
    loop_timer_set(listener->timer, waits ? clock_monotonic_us() + wait_ms * US_PER_MS : TIME_NEVER);
}

static void on_ready(void *userdata, int fd, uint32_t events) {
  (void)fd;
  (void)events;
  run(userdata);
}

static void on_timer(void *userdata, uint64_t now_us) {
  (void)now_us;
  run(userdata);
}

/* Without a thread libmicrohttpd has no descriptor that would wake it after a resume, nor does its timeout tell of one. */
void server_wake(Listener *listener) {
  listener->is_woken = true;
  loop_timer_set(listener->timer, 0);
}

static void on_log(void *userdata, const char *format, va_list arguments) {
  char text[512];

  (void)userdata;
  vsnprintf(text, sizeof text, format, arguments);
  text[strcspn(text, "\r\n")] = '\0';
  log_debug("PONS-GATEWAY-HTTP", "%s", text);
}

/* --- listening --- */

/* Takes tcp://HOST:PORT apart; the configuration has looked at its form. */
static int resolve(const char *endpoint, struct addrinfo **ret) {
  const struct addrinfo hints = {.ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM};
  const char *host = strstr(endpoint, "://") + 3;
  const char *colon = strrchr(host, ':');
  const char *port = strcmp(colon + 1, "*") == 0 ? "0" : colon + 1;
  char name[256];
  bool bracketed = *host == '[';
  int size = (int)(colon - host) - (bracketed ? 2 : 0);

  snprintf(name, sizeof name, "%.*s", size, host + (bracketed ? 1 : 0));
  return getaddrinfo(strcmp(name, "*") == 0 ? NULL : name, port, &hints, ret) == 0 ? 0 : -EADDRNOTAVAIL;
}

static void format_address(int fd, char *ret, size_t size) {
  struct sockaddr_storage address;
  socklen_t length = sizeof address;
  char host[INET6_ADDRSTRLEN] = "";
  char port[8] = "";

  if (getsockname(fd, (struct sockaddr *)&address, &length) == 0)
    getnameinfo((struct sockaddr *)&address, length, host, sizeof host, port, sizeof port,
                NI_NUMERICHOST | NI_NUMERICSERV);
  snprintf(ret, size, strchr(host, ':') ? "http://[%s]:%s" : "http://%s:%s", host, port);
}

/* Returns a listening descriptor or negative errno. */
static int open_socket(const struct addrinfo *at) {
  const int on = 1;
  int fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  int r;

  if (fd < 0)
    return -errno;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  r = -errno;
  close(fd);
  return r;
}

static int listen_at(Listener *listener, const char *endpoint) {
  struct addrinfo *at = NULL;
  int fd = resolve(endpoint, &at);

  if (fd == 0)
    fd = open_socket(at);
  if (at)
    freeaddrinfo(at);
  if (fd < 0)
    log_error("PONS-GATEWAY-LISTEN", "%s can't be listened at: %s; correct gateway.listen, or end what has that port",
              endpoint, strerror(-fd));
  else
    format_address(fd, listener->address, sizeof listener->address);
  return fd;
}

/* Gives fd to a daemon, which closes it at its end. */
static int start_daemon(Listener *listener, int fd) {
  Gateway *gateway = listener->gateway;
  const ConfigGateway *config = &gateway->config->gateway;
  const unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;

  listener->daemon =
      MHD_start_daemon(flags, 0, NULL, NULL, request_on_turn, gateway, MHD_OPTION_EXTERNAL_LOGGER, on_log, NULL,
                       MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, config->connections,
                       MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_POOL_BYTES, MHD_OPTION_CONNECTION_TIMEOUT,
                       (config->idle_ms + 999) / 1000, MHD_OPTION_URI_LOG_CALLBACK, request_on_line, gateway,
                       MHD_OPTION_NOTIFY_COMPLETED, request_on_done, gateway, MHD_OPTION_NOTIFY_CONNECTION,
                       connection_on_change, listener, MHD_OPTION_END);
  if (listener->daemon)
    return 0;
  close(fd);
  log_error("PONS-GATEWAY-START", "libmicrohttpd does not start at %s", listener->address);
  return -ENOMEM;
}

static int watch(Listener *listener) {
  const union MHD_DaemonInfo *info = MHD_get_daemon_info(listener->daemon, MHD_DAEMON_INFO_EPOLL_FD);
  Loop *loop = listener->gateway->loop;
  int r = loop_timer_new(loop, on_timer, listener, &listener->timer);

  if (r == 0)
    r = loop_watch_fd(loop, info->epoll_fd, EPOLLIN, on_ready, listener, &listener->watch);
  if (r == 0)
    run(listener);
  return r;
}

static int start(Listener *listener, const char *endpoint) {
  int fd = listen_at(listener, endpoint);
  int r = fd < 0 ? fd : start_daemon(listener, fd);

  if (r == 0)
    r = watch(listener);
  if (r == 0)
    log_info("PONS-GATEWAY-LISTENS", "listens at %s", listener->address);
  return r;
}

int server_start(Gateway *gateway) {
  const ConfigGateway *config = &gateway->config->gateway;
  int r = 0;

  for (uint32_t i = 0; r == 0 && i < config->listen_count && i < LISTENERS_MAX; i++) {
    Listener *listener = &gateway->listeners[gateway->listeners_count++];

    listener->gateway = gateway;
    r = start(listener, config->listen[i]);
  }
  return r;
}

/* --- the end --- */

void server_drain(Gateway *gateway) {
  for (uint32_t i = 0; i < gateway->listeners_count; i++) {
    MHD_socket fd = gateway->listeners[i].daemon ? MHD_quiesce_daemon(gateway->listeners[i].daemon) : -1;

    if (fd >= 0)
      close(fd);
  }
  LIST_EACH (&gateway->connections, HttpConnection, in_gateway, connection) {
    if (!connection->request)
      connection_shut(connection);
  }
}

void server_stop(Gateway *gateway) {
  LIST_EACH (&gateway->connections, HttpConnection, in_gateway, connection) {
    if (connection->request)
      request_drop(connection->request);
  }
  for (uint32_t i = 0; i < gateway->listeners_count; i++) {
    Listener *listener = &gateway->listeners[i];

    loop_fd_destroy(&listener->watch);
    loop_timer_destroy(&listener->timer);
    if (listener->daemon) {
      MHD_run(listener->daemon);
      MHD_stop_daemon(listener->daemon);
    }
  }
  gateway->listeners_count = 0;
}
