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
#include "bus/loop/listen.h"

enum { ROUNDS_MAX = 32, LAST_MS = 500 /* for a request that is on its way when we end */ };

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

/* Who was started beside another gateway has the same socket: its clients don't see that one takes the other's place. */
static int listen_at(Listener *listener, const char *endpoint) {
  int fd = -1;
  int r = listen_inherited(endpoint, &fd);

  if (r == LISTEN_E_NONE)
    r = listen_open(endpoint, &fd);
  if (r < 0) {
    log_error("PONS-GATEWAY-LISTEN", "%s can't be listened at: %s; correct gateway.listen, or end what has that port",
              endpoint, strerror(-r));
    return r;
  }
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

bool server_inherits(const Gateway *gateway) {
  const ConfigGateway *config = &gateway->config->gateway;

  for (uint32_t i = 0; i < config->listen_count; i++) {
    int fd = -1;

    if (listen_inherited(config->listen[i], &fd) != 0)
      return false;
    close(fd);
  }
  return config->listen_count > 0;
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
      connection_expect(connection, LAST_MS);
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
