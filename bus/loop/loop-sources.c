/* Timers, ZeroMQ sockets, descriptors and turn-end hooks of a loop: each may be destroyed inside any callback. Walks over
   lists keep their next element in the loop, where a destroy moves it on; reported events are wiped by a destroy. */
#include <errno.h>
#include <stdlib.h>
#include <zmq.h>

#include "bus/loop/crash.h"
#include "bus/loop/loop-internal.h"

struct LoopTimer {
  HeapEntry entry;
  Loop *loop;
  void (*on_timer)(void *userdata, uint64_t now_us);
  void *userdata;
};

struct LoopSocket {
  Source source;
  List link;
  Loop *loop;
  void *zmq_socket;
  int fd;
  bool ready; /* on_readable is due */
  bool paused;
  bool receive_only;
  bool found_by_look;
  bool looked_at; /* since on_readable was called last; counts for receive_only */
  void (*on_readable)(void *userdata);
  void *userdata;
};

struct LoopFd {
  Source source;
  Loop *loop;
  int fd;
  uint32_t events;
  void (*on_ready)(void *userdata, int fd, uint32_t revents);
  void *userdata;
};

typedef struct Hook {
  List link;
  void (*fn)(void *userdata);
  void *userdata;
} Hook;

int loop_timer_new(Loop *loop, void (*on_timer)(void *, uint64_t), void *userdata, LoopTimer **ret) {
  LoopTimer *timer = calloc(1, sizeof *timer);

  if (!timer)
    return -ENOMEM;
  timer->loop = loop;
  timer->on_timer = on_timer;
  timer->userdata = userdata;
  *ret = timer;
  return 0;
}

void loop_timer_set(LoopTimer *timer, uint64_t at_us) {
  if (at_us == TIME_NEVER)
    heap_remove(&timer->loop->timers, &timer->entry);
  else
    heap_set(&timer->loop->timers, &timer->entry, at_us);
}

void loop_timer_destroy(LoopTimer **p) {
  LoopTimer *timer = TAKE(*p);

  if (!timer)
    return;
  heap_remove(&timer->loop->timers, &timer->entry);
  free(timer);
}

uint64_t timers_next(const Loop *loop) {
  const HeapEntry *first = heap_first(&loop->timers);

  return first ? first->at_us : TIME_NEVER;
}

/* At most as many calls as there were timers: one that sets itself to a time that has passed waits for the next turn. */
void timers_serve(Loop *loop) {
  for (uint32_t left = loop->timers.size; left > 0; left--) {
    HeapEntry *first = heap_first(&loop->timers);

    if (!first || first->at_us > loop->now_us)
      return;
    LoopTimer *timer = CONTAINER_OF(first, LoopTimer, entry);
    heap_remove(&loop->timers, first);
    crash_note("timer, late by us", loop->now_us - first->at_us);
    timer->on_timer(timer->userdata, loop->now_us);
  }
}

static void socket_mark(LoopSocket *socket, bool ready) {
  if (socket->ready == ready)
    return;
  socket->ready = ready;
  socket->loop->ready_sockets += ready ? 1U : -1U;
}

static void on_socket_event(Source *source, uint32_t revents _unused_) {
  socket_mark(CONTAINER_OF(source, LoopSocket, source), true);
}

int loop_watch_socket(Loop *loop, void *zmq_socket, void (*on_readable)(void *), void *userdata, LoopSocket **ret) {
  int fd;
  size_t size = sizeof fd;

  if (zmq_getsockopt(zmq_socket, ZMQ_FD, &fd, &size) < 0)
    return -errno;
  LoopSocket *socket = calloc(1, sizeof *socket);
  if (!socket)
    return -ENOMEM;
  *socket = (LoopSocket){.source.on_event = on_socket_event,
                         .loop = loop,
                         .zmq_socket = zmq_socket,
                         .fd = fd,
                         .on_readable = on_readable,
                         .userdata = userdata};
  int r = loop_add_source(loop, fd, EPOLLIN, &socket->source);
  if (r < 0) {
    free(socket);
    return r;
  }
  list_push(&loop->sockets, &socket->link);
  *ret = socket;
  return 0;
}

void loop_socket_pause(LoopSocket *socket, bool paused) {
  socket->paused = paused;
  socket->looked_at = false;
  if (paused)
    socket_mark(socket, false);
}

void loop_socket_receive_only(LoopSocket *socket) {
  socket->receive_only = true;
}

bool loop_socket_found_by_look(const LoopSocket *socket) {
  return socket->found_by_look;
}

void loop_socket_look_again(LoopSocket *socket) {
  socket->looked_at = false;
}

void loop_socket_destroy(LoopSocket **p) {
  LoopSocket *socket = TAKE(*p);

  if (!socket)
    return;
  if (socket->loop->next_socket == &socket->link)
    socket->loop->next_socket = socket->link.next;
  socket_mark(socket, false);
  list_remove(&socket->link);
  loop_remove_source(socket->loop, socket->fd, &socket->source);
  free(socket);
}

void sockets_serve(Loop *loop) {
  loop->next_socket = loop->sockets.next;
  while (loop->ready_sockets > 0 && loop->next_socket != &loop->sockets) {
    LoopSocket *socket = CONTAINER_OF(loop->next_socket, LoopSocket, link);

    loop->next_socket = loop->next_socket->next;
    if (socket->ready && !socket->paused) {
      socket_mark(socket, false);
      socket->looked_at = false;
      crash_note("socket", (uint64_t)socket->fd);
      socket->on_readable(socket->userdata);
    }
  }
  loop->next_socket = NULL;
}

/* Reading ZMQ_EVENTS also takes libzmq's commands off ZMQ_FD, so a paused socket does not keep the loop awake. */
static bool has_messages(LoopSocket *socket) {
  int events = 0;
  size_t size = sizeof events;

  if (socket->receive_only && socket->looked_at && !socket->paused)
    return false;
  socket->looked_at = true;
  return zmq_getsockopt(socket->zmq_socket, ZMQ_EVENTS, &events, &size) == 0 && (events & ZMQ_POLLIN);
}

bool sockets_look(Loop *loop) {
  LIST_EACH (&loop->sockets, LoopSocket, link, socket) {
    if (socket->ready)
      continue;
    socket->found_by_look = has_messages(socket) && !socket->paused;
    if (socket->found_by_look)
      socket_mark(socket, true);
  }
  return loop->ready_sockets > 0;
}

static void on_fd_event(Source *source, uint32_t revents) {
  LoopFd *watch = CONTAINER_OF(source, LoopFd, source);

  crash_note("descriptor", (uint64_t)watch->fd);
  watch->on_ready(watch->userdata, watch->fd, revents);
}

int loop_watch_fd(Loop *loop, int fd, uint32_t events, void (*on_ready)(void *, int, uint32_t), void *userdata,
                  LoopFd **ret) {
  LoopFd *watch = calloc(1, sizeof *watch);

  if (!watch)
    return -ENOMEM;
  *watch = (LoopFd){.source.on_event = on_fd_event,
                    .loop = loop,
                    .fd = fd,
                    .events = events,
                    .on_ready = on_ready,
                    .userdata = userdata};
  int r = loop_add_source(loop, fd, events, &watch->source);
  if (r < 0) {
    free(watch);
    return r;
  }
  *ret = watch;
  return 0;
}

int loop_fd_set_events(LoopFd *watch, uint32_t events) {
  struct epoll_event event = {.events = events, .data.ptr = &watch->source};

  if (events == watch->events)
    return 0;
  if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) < 0)
    return -errno;
  watch->events = events;
  return 0;
}

void loop_fd_destroy(LoopFd **p) {
  LoopFd *watch = TAKE(*p);

  if (!watch)
    return;
  loop_remove_source(watch->loop, watch->fd, &watch->source);
  free(watch);
}

int loop_on_turn_end(Loop *loop, void (*fn)(void *), void *userdata) {
  Hook *hook = calloc(1, sizeof *hook);

  if (!hook)
    return -ENOMEM;
  hook->fn = fn;
  hook->userdata = userdata;
  list_push(&loop->hooks, &hook->link);
  return 0;
}

static void hook_drop(Loop *loop, Hook *hook) {
  if (loop->next_hook == &hook->link)
    loop->next_hook = hook->link.next;
  list_remove(&hook->link);
  free(hook);
}

void loop_remove_turn_end(Loop *loop, void (*fn)(void *), void *userdata) {
  LIST_EACH (&loop->hooks, Hook, link, hook)
    if (hook->fn == fn && hook->userdata == userdata) {
      hook_drop(loop, hook);
      return;
    }
}

void hooks_run(Loop *loop) {
  loop->next_hook = loop->hooks.next;
  while (loop->next_hook != &loop->hooks) {
    Hook *hook = CONTAINER_OF(loop->next_hook, Hook, link);

    loop->next_hook = loop->next_hook->next;
    hook->fn(hook->userdata);
  }
  loop->next_hook = NULL;
}

void hooks_done(Loop *loop) {
  LIST_EACH (&loop->hooks, Hook, link, hook)
    hook_drop(loop, hook);
}
