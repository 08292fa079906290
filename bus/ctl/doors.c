#include "bus/ctl/doors.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "bus/loop/listen.h"

static bool has_any_port(const char *endpoint) {
  size_t size = strlen(endpoint);

  return size > 2 && (strcmp(endpoint + size - 2, ":*") == 0 || strcmp(endpoint + size - 2, ":0") == 0);
}

/* Above the numbers that it is to have in the child. */
static int open_one(const char *endpoint, int *ret) {
  int fd = -1;
  int r = listen_open(endpoint, &fd);

  if (r < 0)
    return r;
  *ret = fcntl(fd, F_DUPFD_CLOEXEC, SPAWN_FD_LEAST);
  r = *ret < 0 ? -errno : 0;
  close(fd);
  return r;
}

int doors_open(Doors *doors, char *const *endpoints, uint32_t count, Buffer *errors) {
  if (doors->count)
    return 0;
  for (uint32_t i = 0; i < count && i < DOORS_MAX; i++) {
    int r = has_any_port(endpoints[i]) ? 0 : open_one(endpoints[i], &doors->fds[doors->count]);

    if (r < 0) {
      buffer_printf(errors, "%s can't be listened at: %s\n", endpoints[i], strerror(-r));
      doors_close(doors);
      return DOORS_E_LISTEN;
    }
    doors->count += !has_any_port(endpoints[i]);
  }
  return 0;
}

void doors_close(Doors *doors) {
  while (doors->count)
    close(doors->fds[--doors->count]);
}

void doors_hand_down(const Doors *doors, Environment *environment, Spawn *spawn) {
  char count[16];

  if (!doors->count)
    return;
  snprintf(count, sizeof count, "%u", doors->count);
  environment_set(environment, "LISTEN_FDS", count);
  environment_set(environment, "LISTEN_PID", "0000000000");
  spawn->environment = environment->variables;
  spawn->listen_fds = doors->fds;
  spawn->listen_count = doors->count;
  spawn->listen_pid = strchr(environment->variables[environment->count - 1], '=') + 1;
}
