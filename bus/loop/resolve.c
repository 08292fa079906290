#include "bus/loop/resolve.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct Resolve {
  _Atomic uint32_t references; /* the loop's side and the thread */
  _Atomic bool is_done;        /* stored after the answer, loaded before it is read */
  int event_fd;                /* written once the answer is there */
  int error;
  struct sockaddr_storage address;
  socklen_t size;
  LoopFd *watch;
  OnResolved *on_done;
  void *userdata;
  char host[];
};

static void unref(Resolve *resolve) {
  if (atomic_fetch_sub(&resolve->references, 1) > 1)
    return;
  close(resolve->event_fd);
  free(resolve);
}

int resolve_now(const char *host, struct sockaddr_storage *ret, socklen_t *ret_size) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
  struct addrinfo *found;
  int r = getaddrinfo(host, NULL, &hints, &found);

  if (r == EAI_AGAIN)
    return -EAGAIN;
  if (r != 0)
    return r == EAI_SYSTEM ? -errno : -ENOENT;
  memcpy(ret, found->ai_addr, found->ai_addrlen);
  *ret_size = found->ai_addrlen;
  freeaddrinfo(found);
  return 0;
}

static void *ask(void *userdata) {
  Resolve *resolve = userdata;

  resolve->error = resolve_now(resolve->host, &resolve->address, &resolve->size);
  atomic_store_explicit(&resolve->is_done, true, memory_order_release);
  eventfd_write(resolve->event_fd, 1);
  unref(resolve);
  return NULL;
}

static void on_answer(void *userdata, int fd _unused_, uint32_t revents _unused_) {
  Resolve *resolve = userdata;

  if (!atomic_load_explicit(&resolve->is_done, memory_order_acquire))
    return;
  loop_fd_destroy(&resolve->watch);
  atomic_fetch_add(&resolve->references, 1); /* on_done may destroy it */
  resolve->on_done(resolve->userdata, resolve->error, (struct sockaddr *)&resolve->address, resolve->size);
  unref(resolve);
}

int resolve_new(Loop *loop, const char *host, OnResolved *on_done, void *userdata, Resolve **ret) {
  size_t size = strlen(host) + 1;
  Resolve *resolve = calloc(1, sizeof *resolve + size);
  pthread_t thread;
  int r;

  if (!resolve)
    return -ENOMEM;
  memcpy(resolve->host, host, size);
  resolve->on_done = on_done;
  resolve->userdata = userdata;
  atomic_init(&resolve->references, 1);
  resolve->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  r = resolve->event_fd < 0 ? -errno
                            : loop_watch_fd(loop, resolve->event_fd, EPOLLIN, on_answer, resolve, &resolve->watch);
  if (r == 0) {
    atomic_fetch_add(&resolve->references, 1);
    r = -pthread_create(&thread, NULL, ask, resolve);
    if (r != 0)
      atomic_fetch_sub(&resolve->references, 1);
  }
  if (r != 0) {
    resolve_destroy(&resolve);
    return r;
  }
  pthread_detach(thread);
  *ret = resolve;
  return 0;
}

void resolve_destroy(Resolve **p) {
  Resolve *resolve = TAKE(*p);

  if (!resolve)
    return;
  loop_fd_destroy(&resolve->watch);
  unref(resolve);
}
