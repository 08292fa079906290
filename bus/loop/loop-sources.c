/* Timers, tasks, descriptors and turn-end hooks of a loop: each may be destroyed inside any callback. Walks over
   lists keep their next element in the loop, where a destroy moves it on; reported events are wiped by a destroy. */
#include <errno.h>
#include <stdlib.h>

#include "bus/loop/crash.h"
#include "bus/loop/loop-internal.h"

struct LoopTimer {
  HeapEntry entry;
  Loop *loop;
  void (*on_timer)(void *userdata, uint64_t now_us);
  void *userdata;
};

struct LoopTask {
  List link;
  Loop *loop;
  bool due;
  void (*run)(void *userdata);
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

int loop_task_new(Loop *loop, void (*run)(void *), void *userdata, LoopTask **ret) {
  LoopTask *task = calloc(1, sizeof *task);

  if (!task)
    return -ENOMEM;
  *task = (LoopTask){.loop = loop, .run = run, .userdata = userdata};
  list_push(&loop->tasks, &task->link);
  *ret = task;
  return 0;
}

static void set_due(LoopTask *task, bool due) {
  if (task->due == due)
    return;
  task->due = due;
  task->loop->due_tasks += due ? 1U : -1U;
}

void loop_task_mark(LoopTask *task) {
  set_due(task, true);
}

void loop_task_destroy(LoopTask **p) {
  LoopTask *task = TAKE(*p);

  if (!task)
    return;
  if (task->loop->next_task == &task->link)
    task->loop->next_task = task->link.next;
  set_due(task, false);
  list_remove(&task->link);
  free(task);
}

void tasks_run(Loop *loop) {
  loop->next_task = loop->tasks.next;
  while (loop->due_tasks > 0 && loop->next_task != &loop->tasks) {
    LoopTask *task = CONTAINER_OF(loop->next_task, LoopTask, link);

    loop->next_task = loop->next_task->next;
    if (task->due) {
      set_due(task, false);
      crash_note("task", 0);
      task->run(task->userdata);
    }
  }
  loop->next_task = NULL;
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
