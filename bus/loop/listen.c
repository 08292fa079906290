#include "bus/loop/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

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

/* Returns a listening descriptor or negative errno. */
static int open_at(const struct addrinfo *at) {
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

int listen_open(const char *endpoint, int *ret) {
  struct addrinfo *at = NULL;
  int fd = resolve(endpoint, &at);

  if (fd == 0)
    fd = open_at(at);
  if (at)
    freeaddrinfo(at);
  if (fd < 0)
    return fd;
  *ret = fd;
  return 0;
}

static bool is_at(int fd, const struct addrinfo *at) {
  struct sockaddr_storage address = {0};
  socklen_t size = sizeof address;

  return getsockname(fd, (struct sockaddr *)&address, &size) == 0 && size == at->ai_addrlen &&
         memcmp(&address, at->ai_addr, size) == 0;
}

int listen_inherited(const char *endpoint, int *ret) {
  struct addrinfo *at = NULL;
  int count = sd_listen_fds(0);
  int r = count > 0 ? resolve(endpoint, &at) : 0;
  int fd = -1;

  for (int i = SD_LISTEN_FDS_START; at && i < SD_LISTEN_FDS_START + count && fd < 0; i++)
    if (sd_is_socket(i, AF_UNSPEC, SOCK_STREAM, 1) > 0 && is_at(i, at))
      fd = fcntl(i, F_DUPFD_CLOEXEC, SD_LISTEN_FDS_START);
  if (at)
    freeaddrinfo(at);
  if (r < 0)
    return r;
  if (fd < 0)
    return LISTEN_E_NONE;
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
  *ret = fd;
  return 0;
}
