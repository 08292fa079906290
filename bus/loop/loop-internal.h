/* What:      what the files of this room share about a Loop.
 * Owns:      see loop.h.
 * May use:   bus/base, libsystemd.
 * Threading: the loop thread; `posts` under its mutex.
 * Spec:      loop.c */
#ifndef PONS_LOOP_LOOP_INTERNAL_H
#define PONS_LOOP_LOOP_INTERNAL_H

#include <pthread.h>
#include <systemd/sd-event.h>

#include "bus/base/heap.h"
#include "bus/base/list.h"
#include "bus/loop/loop.h"

#define LOOP_EVENTS_PER_TURN 64 /* descriptors served per turn; more wait for the next, epoll rotates them */

/* Whatever epoll reports: the head of LoopFd and of the loop's own descriptors. */
typedef struct Source {
  void (*on_event)(struct Source *source, uint32_t revents);
} Source;

/* A call from another thread. */
typedef struct Post {
  void (*fn)(void *userdata);
  void *userdata;
} Post;

typedef struct PostBatch {
  Post *posts;
  size_t size;
  size_t room;
} PostBatch;

typedef struct PostQueue {
  Source source;
  int event_fd;
  pthread_mutex_t mutex;
  PostBatch incoming; /* under mutex */
  PostBatch running;  /* loop thread; swapped with incoming */
} PostQueue;

struct Loop {
  int epoll_fd;
  uint32_t forks; /* of the process whose loop this is */
  bool in_turn;
  bool no_pwait2; /* kernel older than 5.11: milliseconds */
  bool stopped;
  int code;
  uint64_t now_us;
  Heap timers;
  List tasks;
  List *next_task; /* where the walk over tasks goes on, so that any of them may be destroyed inside it */
  uint32_t due_tasks;
  List hooks;
  List *next_hook;
  PostQueue posts;
  struct epoll_event events[LOOP_EVENTS_PER_TURN];
  int event_count;
  Source system_source;
  sd_event *system; /* signals and children; made on first use */
  List system_watches;
  LoopTimer *watchdog; /* NULL = none is asked for */
  uint64_t watchdog_us;
};

/* Adds source to the epoll set. Returns 0 or negative errno. */
int loop_add_source(Loop *loop, int fd, uint32_t events, Source *source);
/* Takes source out, also out of what was reported in this turn and not yet served. */
void loop_remove_source(Loop *loop, int fd, Source *source);

/* Runs each task that is marked. */
void tasks_run(Loop *loop);
/* Calls the timers that are due at loop->now_us. */
void timers_serve(Loop *loop);
/* When the earliest timer is due, or TIME_NEVER. */
uint64_t timers_next(const Loop *loop);
/* Calls the turn-end hooks. */
void hooks_run(Loop *loop);
void hooks_done(Loop *loop);

/* The queue of posted calls: made with the loop, 0 or negative errno; ended with it. */
int posts_init(Loop *loop);
void posts_done(Loop *loop);
/* Ends what sd-event watches. */
void system_done(Loop *loop);

#endif
