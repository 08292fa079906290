#include "bus/broker/knock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PATIENCE_US = 200000 };

typedef union Address {
  struct sockaddr any;
  struct sockaddr_in four;
  struct sockaddr_in6 six;
} Address;

struct Knock {
  Loop *loop;
  KnockHandler handler;
  Address address;
  socklen_t address_size;
  int fd; /* -1: nothing is being tried */
  LoopFd *watch;
  LoopTimer *timer; /* tells of a refusal that connect(2) itself has said */
  uint64_t sent_us;
};

static void give_up(Knock *knock) {
  loop_fd_destroy(&knock->watch);
  if (knock->fd >= 0)
    close(knock->fd);
  knock->fd = -1;
}

static void on_refused(void *userdata, uint64_t now_us _unused_) {
  Knock *knock = userdata;

  knock->handler.on_refused(knock->handler.userdata, knock->sent_us);
}

static void on_ready(void *userdata, int fd, uint32_t revents _unused_) {
  Knock *knock = userdata;
  int error = 0;
  socklen_t size = sizeof error;

  getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
  give_up(knock);
  if (error == ECONNREFUSED)
    on_refused(knock, 0);
}

static bool parse(const char *endpoint, Address *ret, socklen_t *ret_size) {
  char host[INET6_ADDRSTRLEN];
  unsigned port;

  if (sscanf(endpoint, "tcp://[%45[0-9a-fA-F:.]]:%u", host, &port) == 2 && port <= UINT16_MAX) {
    ret->six = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port)};
    *ret_size = sizeof ret->six;
    return inet_pton(AF_INET6, host, &ret->six.sin6_addr) == 1;
  }
  if (sscanf(endpoint, "tcp://%45[0-9.]:%u", host, &port) != 2 || port > UINT16_MAX)
    return false;
  ret->four = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
  *ret_size = sizeof ret->four;
  return inet_pton(AF_INET, host, &ret->four.sin_addr) == 1;
}

int knock_new(Knock **ret, Loop *loop, const char *endpoint, const KnockHandler *handler) {
  _cleanup_(knock_destroy) Knock *knock = calloc(1, sizeof *knock);
  int r;

  if (!knock)
    abort();
  knock->fd = -1;
  knock->loop = loop;
  knock->handler = *handler;
  if (!parse(endpoint, &knock->address, &knock->address_size))
    return -EINVAL;
  r = loop_timer_new(loop, on_refused, knock, &knock->timer);
  if (r < 0)
    return r;
  *ret = TAKE(knock);
  return 0;
}

void knock_destroy(Knock **knock) {
  Knock *gone = TAKE(*knock);

  if (!gone)
    return;
  give_up(gone);
  loop_timer_destroy(&gone->timer);
  free(gone);
}

void knock_try(Knock *knock, uint64_t now_us) {
  if (knock->fd >= 0 && now_us < knock->sent_us + PATIENCE_US)
    return;
  give_up(knock);
  knock->fd = socket(knock->address.any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (knock->fd < 0)
    return;
  knock->sent_us = now_us;
  if (connect(knock->fd, &knock->address.any, knock->address_size) == 0) {
    give_up(knock);
  } else if (errno == ECONNREFUSED) {
    give_up(knock);
    loop_timer_set(knock->timer, now_us);
  } else if (errno != EINPROGRESS ||
             loop_watch_fd(knock->loop, knock->fd, EPOLLOUT, on_ready, knock, &knock->watch) < 0) {
    give_up(knock);
  }
}
