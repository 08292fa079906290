/* Calls from other threads: two arrays that change places, a mutex held for a copy of two words, and an eventfd that is
   written only by whoever finds the queue empty. */
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/loop/crash.h"
#include "bus/loop/loop-internal.h"

#define POST_ROOM_KEPT 1024 /* an array that grew beyond this in a burst is given back */

/* The eventfd is emptied before the batch is taken: a post that comes in between either is in the batch or writes again. */
static void on_posts(Source *source, uint32_t revents _unused_) {
  PostQueue *queue = CONTAINER_OF(source, PostQueue, source);
  uint64_t count;

  if (read(queue->event_fd, &count, sizeof count) < 0 && errno != EAGAIN)
    return;
  pthread_mutex_lock(&queue->mutex);
  PostBatch batch = queue->incoming;
  queue->incoming = queue->running;
  pthread_mutex_unlock(&queue->mutex);
  crash_note("posted calls", batch.size);
  for (size_t i = 0; i < batch.size; i++)
    batch.posts[i].fn(batch.posts[i].userdata);
  batch.size = 0;
  if (batch.room > POST_ROOM_KEPT) {
    free(batch.posts);
    batch = (PostBatch){0};
  }
  queue->running = batch;
}

int posts_init(Loop *loop) {
  PostQueue *queue = &loop->posts;

  pthread_mutex_init(&queue->mutex, NULL);
  queue->source.on_event = on_posts;
  queue->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (queue->event_fd < 0)
    return -errno;
  return loop_add_source(loop, queue->event_fd, EPOLLIN, &queue->source);
}

void posts_done(Loop *loop) {
  PostQueue *queue = &loop->posts;

  if (queue->event_fd >= 0)
    close(queue->event_fd);
  free(queue->incoming.posts);
  free(queue->running.posts);
  pthread_mutex_destroy(&queue->mutex);
}

/* Returns whether there is room for one more. */
static bool batch_grow(PostBatch *batch) {
  if (batch->size < batch->room)
    return true;
  size_t room = batch->room ? batch->room * 2 : 16;
  Post *posts = realloc(batch->posts, room * sizeof *posts);
  if (!posts)
    return false;
  batch->posts = posts;
  batch->room = room;
  return true;
}

int loop_post(Loop *loop, void (*fn)(void *), void *userdata) {
  PostQueue *queue = &loop->posts;
  uint64_t one = 1;

  pthread_mutex_lock(&queue->mutex);
  bool first = queue->incoming.size == 0;
  bool room = batch_grow(&queue->incoming);
  if (room)
    queue->incoming.posts[queue->incoming.size++] = (Post){fn, userdata};
  pthread_mutex_unlock(&queue->mutex);
  if (!room)
    return -ENOMEM;
  /* The only way to fail is a counter at its limit, and then the loop is awake. */
  if (first && write(queue->event_fd, &one, sizeof one) < 0)
    return errno == EAGAIN ? 0 : -errno;
  return 0;
}
