#include "bus/broker/keywatch.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "bus/base/types.h"

struct KeyWatch {
  Loop *loop;
  int fd;
  LoopFd *watch;
  void (*on_change)(void *userdata);
  void *userdata;
};

static void on_signal(void *userdata, int signo _unused_) {
  KeyWatch *watch = userdata;

  watch->on_change(watch->userdata);
}

/* What has happened in the folder; several changes at once are one. */
static void on_event(void *userdata, int fd, uint32_t revents _unused_) {
  KeyWatch *watch = userdata;
  _Alignas(struct inotify_event) char bytes[4096];
  bool changed = false;
  ssize_t n;

  while ((n = read(fd, bytes, sizeof bytes)) > 0)
    for (char *at = bytes; at < bytes + n;) {
      const struct inotify_event *event = (const struct inotify_event *)(const void *)at;

      changed = changed || (event->len > 0 && strcmp(event->name, "keys.yaml") == 0) || event->mask & IN_Q_OVERFLOW;
      at += sizeof *event + event->len;
    }
  if (changed)
    watch->on_change(watch->userdata);
}

int keywatch_new(KeyWatch **ret, Loop *loop, const char *folder, void (*on_change)(void *userdata), void *userdata) {
  _cleanup_(keywatch_destroy) KeyWatch *watch = calloc(1, sizeof *watch);
  int r;

  if (!watch)
    abort();
  *watch = (KeyWatch){.loop = loop, .on_change = on_change, .userdata = userdata};
  watch->fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  if (watch->fd < 0 || inotify_add_watch(watch->fd, folder, IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR) < 0)
    return -errno;
  r = loop_watch_fd(loop, watch->fd, EPOLLIN, on_event, watch, &watch->watch);
  if (r == 0)
    r = loop_on_signal(loop, SIGHUP, on_signal, watch);
  if (r < 0)
    return r;
  *ret = TAKE(watch);
  return 0;
}

void keywatch_destroy(KeyWatch **p) {
  KeyWatch *watch = TAKE(*p);

  if (!watch)
    return;
  loop_on_signal(watch->loop, SIGHUP, NULL, NULL);
  loop_fd_destroy(&watch->watch);
  if (watch->fd >= 0)
    close(watch->fd);
  free(watch);
}
