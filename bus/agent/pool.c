/* Threads for handlers that may block: made when there is work and all others are busy, bounded by the agent's concurrency and by 1,024. What
   they answer goes to the loop in batches: the first of a batch posts, the rest ride along. */
#include <errno.h>
#include <stdlib.h>

#include "bus/agent/agent-internal.h"
#include "bus/loop/crash.h"

/* Sanitizers make frames several times larger. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define STACK_BYTES (4u << 20)
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define STACK_BYTES (4u << 20)
#endif
#endif
#ifndef STACK_BYTES
#define STACK_BYTES (256u << 10)
#endif

int pool_init(Runtime *runtime, uint32_t threads_max) {
  Pool *pool = &runtime->pool;
  pthread_condattr_t attributes;

  pool->ids = calloc(threads_max, sizeof *pool->ids);
  if (!pool->ids)
    return -ENOMEM;
  pool->threads_max = threads_max;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&pool->mutex, NULL);
  pthread_cond_init(&pool->work, NULL);
  pthread_cond_init(&pool->window, &attributes);
  pthread_condattr_destroy(&attributes);
  list_init(&pool->queue);
  list_init(&pool->outcomes);
  list_init(&pool->chunky);
  return 0;
}

void pool_done(Runtime *runtime) {
  Pool *pool = &runtime->pool;

  if (!pool->ids)
    return;
  pthread_mutex_lock(&pool->mutex);
  pool->stopping = true;
  pthread_cond_broadcast(&pool->work);
  pthread_mutex_unlock(&pool->mutex);
  for (uint32_t i = 0; i < pool->threads; i++)
    pthread_join(pool->ids[i], NULL);
  pthread_mutex_destroy(&pool->mutex);
  pthread_cond_destroy(&pool->work);
  pthread_cond_destroy(&pool->window);
  free(TAKE(pool->ids));
}

/* The next call, or NULL at the end. With the mutex held. */
static Call *next_call(Pool *pool) {
  Call *call;

  while (list_is_empty(&pool->queue) && !pool->stopping) {
    pool->idle++;
    pthread_cond_wait(&pool->work, &pool->mutex);
    pool->idle--;
  }
  call = LIST_FIRST(&pool->queue, Call, in_queue);
  if (call)
    list_remove(&call->in_queue);
  return call;
}

static uint64_t now_ns(void) {
  struct timespec t;

  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *work(void *userdata) {
  Runtime *runtime = userdata;
  Pool *pool = &runtime->pool;
  Call *call;

  crash_thread_enter();
  pthread_mutex_lock(&pool->mutex);
  while ((call = next_call(pool))) {
    uint64_t began_ns;
    uint64_t took_ns;

    pthread_mutex_unlock(&pool->mutex);
    began_ns = now_ns();
    call_run(call);
    took_ns = now_ns() - began_ns;
    pthread_mutex_lock(&pool->mutex);
    pool->took_ns += took_ns;
    pool->took_count++;
  }
  pthread_mutex_unlock(&pool->mutex);
  crash_thread_leave();
  return NULL;
}

static int start_thread(Runtime *runtime) {
  Pool *pool = &runtime->pool;
  pthread_attr_t attributes;
  int r;

  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK_BYTES);
  r = pthread_create(&pool->ids[pool->threads], &attributes, work, runtime);
  pthread_attr_destroy(&attributes);
  if (r == 0)
    pool->threads++;
  return -r;
}

int pool_push(Runtime *runtime, Call *call) {
  Pool *pool = &runtime->pool;
  int r = 0;

  pthread_mutex_lock(&pool->mutex);
  list_push(&pool->queue, &call->in_queue);
  if (pool->idle == 0 && pool->threads < pool->threads_max)
    r = start_thread(runtime);
  if (r < 0 && pool->threads == 0)
    list_remove(&call->in_queue);
  else
    r = 0;
  pthread_cond_signal(&pool->work);
  pthread_mutex_unlock(&pool->mutex);
  return r;
}

/* --- back to the loop --- */

static Call *pop_outcome(Pool *pool, uint64_t *ret_took_ns, uint32_t *ret_count) {
  Call *call;

  pthread_mutex_lock(&pool->mutex);
  call = LIST_FIRST(&pool->outcomes, Call, in_outcome);
  if (call)
    list_remove(&call->in_outcome);
  else
    pool->posted = false;
  *ret_took_ns = pool->took_ns;
  *ret_count = pool->took_count;
  pool->took_ns = 0;
  pool->took_count = 0;
  pthread_mutex_unlock(&pool->mutex);
  return call;
}

static void on_outcomes(void *userdata) {
  Runtime *runtime = userdata;
  uint64_t took_ns;
  uint32_t count;
  bool changed = false;
  Call *call;

  do {
    call = pop_outcome(&runtime->pool, &took_ns, &count);
    if (count > 0)
      changed |= credit_measure(&runtime->credit, took_ns / count);
    if (call)
      call_send(call);
  } while (call);
  if (changed)
    runtime_grant(runtime);
}

void pool_post(Runtime *runtime) {
  if (runtime->pool.posted)
    return;
  /* Without memory for it the next one posts: outcomes stay in the list. */
  runtime->pool.posted = loop_post(runtime->loop, on_outcomes, runtime) == 0;
}

void pool_flush(Runtime *runtime) {
  Pool *pool = &runtime->pool;
  Call *call;

  do {
    pthread_mutex_lock(&pool->mutex);
    call = LIST_FIRST(&pool->chunky, Call, in_chunky);
    pthread_mutex_unlock(&pool->mutex);
    if (call)
      call_flush_chunks(call);
  } while (call);
}
