#include "tests/mock-provider/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "tests/mock-provider/server-internal.h"

enum { EVENTS_PER_TURN = 256, ACCEPTS_PER_TURN = 64 };

const char *server_date(Server *server) {
  time_t now;
  struct tm tm;

  if (server->now_us >= server->date_until_us) {
    now = time(NULL);
    gmtime_r(&now, &tm);
    strftime(server->date, sizeof server->date, "date: %a, %d %b %Y %H:%M:%S GMT\r\n", &tm);
    server->date_until_us = server->now_us + US_PER_S;
  }
  return server->date;
}

static int watch(const Server *server, int operation, int fd, uint32_t events, void *who) {
  struct epoll_event event = {.events = events, .data = {.ptr = who}};

  return epoll_ctl(server->epoll, operation, fd, &event) ? -errno : 0;
}

void server_watch(Conn *conn, uint32_t events) {
  if (events != conn->events)
    watch(conn->server, conn->events ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, conn->fd, events, conn);
  conn->events = events;
}

void server_hear(Server *server) {
  if (server->deaf)
    watch(server, EPOLL_CTL_MOD, server->listener, EPOLLIN, &server->listener);
  server->deaf = false;
}

static void on_connection(Server *server) {
  static const int YES = 1;

  for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
    int fd = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0) {
      server->deaf = errno == EMFILE || errno == ENFILE;
      if (server->deaf)
        watch(server, EPOLL_CTL_MOD, server->listener, 0, &server->listener);
      return;
    }
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &YES, sizeof YES);
    conn_new(server, fd);
  }
}

static void run_timers(Server *server) {
  HeapEntry *first = heap_first(&server->timers);

  for (; first && first->at_us <= server->now_us; first = heap_first(&server->timers)) {
    Conn *conn = CONTAINER_OF(first, Conn, timer);

    heap_remove(&server->timers, first);
    if (conn->state == STATE_DRAIN) {
      conn_destroy(conn);
    } else {
      tell_on_timer(conn);
      conn_work(conn);
    }
  }
}

/* Those that were ready at the beginning: each comes back at most once per turn. */
static void run_ready(Server *server) {
  List now;

  list_init(&now);
  while (!list_is_empty(&server->ready)) {
    Conn *conn = LIST_FIRST(&server->ready, Conn, ready);

    list_remove(&conn->ready);
    list_push(&now, &conn->ready);
  }
  while (!list_is_empty(&now)) {
    Conn *conn = LIST_FIRST(&now, Conn, ready);

    list_remove(&conn->ready);
    conn_work(conn);
  }
}

static int turn(Server *server) {
  struct epoll_event events[EVENTS_PER_TURN];
  const HeapEntry *first = heap_first(&server->timers);
  struct timespec wait = {0}, *limit = &wait;
  int n;

  if (list_is_empty(&server->ready)) {
    if (!first)
      limit = NULL;
    else if (first->at_us > server->now_us)
      wait = (struct timespec){.tv_sec = (time_t)((first->at_us - server->now_us) / US_PER_S),
                               .tv_nsec = (long)((first->at_us - server->now_us) % US_PER_S * 1000)};
  }
  n = epoll_pwait2(server->epoll, events, EVENTS_PER_TURN, limit, NULL);
  if (n < 0 && errno != EINTR)
    return -errno;
  server->now_us = clock_monotonic_us();
  for (int i = 0; i < n; i++) {
    if (events[i].data.ptr == &server->listener)
      on_connection(server);
    else if (events[i].data.ptr == &server->signals)
      server->stop = true;
    else
      conn_on_events(events[i].data.ptr, events[i].events);
  }
  run_timers(server);
  run_ready(server);
  return 0;
}

static int listen_on(Server *server, uint16_t port) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  static const int YES = 1;

  server->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (server->listener < 0)
    return -errno;
  setsockopt(server->listener, SOL_SOCKET, SO_REUSEADDR, &YES, sizeof YES);
  if (bind(server->listener, (struct sockaddr *)&address, size) || listen(server->listener, 4096) ||
      getsockname(server->listener, (struct sockaddr *)&address, &size))
    return -errno;
  printf("listening on 127.0.0.1:%u\n", ntohs(address.sin_port));
  fflush(stdout);
  return watch(server, EPOLL_CTL_ADD, server->listener, EPOLLIN, &server->listener);
}

static int watch_signals(Server *server) {
  sigset_t mask;

  sigemptyset(&mask);
  sigaddset(&mask, SIGTERM);
  sigaddset(&mask, SIGINT);
  sigprocmask(SIG_BLOCK, &mask, NULL);
  server->signals = signalfd(-1, &mask, SFD_NONBLOCK | SFD_CLOEXEC);
  return server->signals < 0 ? -errno : watch(server, EPOLL_CTL_ADD, server->signals, EPOLLIN, &server->signals);
}

static void done(Server *server) {
  while (!list_is_empty(&server->conns))
    conn_destroy(LIST_FIRST(&server->conns, Conn, link));
  stats_reset(&server->stats);
  heap_done(&server->timers);
  buffer_done(&server->scratch);
  if (server->listener >= 0)
    close(server->listener);
  if (server->signals >= 0)
    close(server->signals);
  close(server->epoll);
}

int server_run(const ServerOptions *options) {
  Server server = {.options = *options, .listener = -1, .signals = -1};
  int r;

  server.epoll = epoll_create1(EPOLL_CLOEXEC);
  if (server.epoll < 0)
    return -errno;
  list_init(&server.conns);
  list_init(&server.ready);
  server.now_us = clock_monotonic_us();
  r = watch_signals(&server);
  if (!r)
    r = listen_on(&server, options->port);
  while (!r && !server.stop)
    r = turn(&server);
  done(&server);
  return r;
}
