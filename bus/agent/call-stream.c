/* Pieces of an answer: taken under the pool's mutex from whatever thread, merged, sent at the end of the loop's turn, and held
   back when the reader is behind. */
#include <errno.h>

#include "bus/agent/agent-internal.h"
#include "bus/base/log.h"

/* Waits on a pool thread, with the mutex held, until there is room, nobody waits any more, or until_us. */
static void wait_for_change(Call *call, uint64_t until_us) {
  struct timespec until = {(time_t)(until_us / US_PER_S), (long)(until_us % US_PER_S) * 1000};

  pthread_cond_timedwait(&call->runtime->pool.window, &call->runtime->pool.mutex, &until);
}

/* Whether a piece may come now; waits for it where that is allowed. With the mutex held. */
static int wait_for_room(Call *call, bool here) {
  while (call->accepted_bytes >= call->window_bytes) {
    if (call_cancelled(call))
      return -ECANCELED;
    if (here) {
      call->starved = true;
      return -EAGAIN;
    }
    wait_for_change(call, call->due_us);
  }
  return call_cancelled(call) ? -ECANCELED : 0;
}

static int take(Call *call, Bytes bytes) {
  Runtime *runtime = call->runtime;
  bool here = runtime_is_here(runtime);
  int r;

  if (!call_wants_stream(call))
    return call_cancelled(call) ? -ECANCELED : 0;
  pthread_mutex_lock(&runtime->pool.mutex);
  r = wait_for_room(call, here);
  if (r == 0 && atomic_load(&call->answered))
    r = -ECANCELED; /* by the runtime, meanwhile */
  if (r == 0) {
    buffer_append(&call->chunk, bytes.data, bytes.size);
    call->accepted_bytes += bytes.size;
    if (!list_has(&call->in_chunky))
      list_push(&runtime->pool.chunky, &call->in_chunky);
    if (!here)
      pool_post(runtime);
  }
  pthread_mutex_unlock(&runtime->pool.mutex);
  return r;
}

int call_chunk_raw(Call *call, Bytes bytes) {
  if (atomic_load(&call->answered))
    return -ECANCELED;
  return bytes.size > LIMIT_BODY_BYTES ? -EMSGSIZE : take(call, bytes);
}

int call_chunk(Call *call, const void *chunk) {
  const MethodContract *contract = call->method->contract;
  _cleanup_(buffer_done) Buffer own = {0};
  Buffer *buffer =
      runtime_is_here(call->runtime) ? &call->runtime->scratch : &own; /* it is copied before this returns */
  ContractFault fault;
  int r;

  if (!contract || !contract->chunk)
    return -EINVAL;
  buffer_clear(buffer);
  r = contract_encode(contract->chunk, chunk, buffer, &fault);
  if (r == 0)
    return call_chunk_raw(call, buffer_bytes(buffer));
  log_error("PONS-CALL-CONTRACT", "%.*s.%.*s: a piece does not fit the contract: %s: %s", TEXT_ARG(call->service),
            TEXT_ARG(call->method_name), fault.path, fault.message);
  call_error_full(call, STATUS_INTERNAL, fault.path, 0, "a piece of the agent's answer does not fit its contract: %s",
                  fault.message);
  return r;
}

void call_on_writable(Call *call, void (*on_writable)(void *userdata, Call *call), void *userdata) {
  call->on_writable = on_writable;
  call->writable_userdata = userdata;
}

/* --- on the loop --- */

void call_flush_chunks(Call *call) {
  Runtime *runtime = call->runtime;
  _cleanup_(buffer_done) Buffer ready = {0};
  size_t at = 0;

  if (!call_wants_stream(call))
    return;
  pthread_mutex_lock(&runtime->pool.mutex);
  ready = call->chunk;
  call->chunk = (Buffer){0};
  list_remove(&call->in_chunky);
  pthread_mutex_unlock(&runtime->pool.mutex);
  while (at < ready.size) {
    size_t size = (size_t)min_u64(ready.size - at, LIMIT_BODY_BYTES);

    pieces_send(call, 0, (Bytes){ready.data + at, size}, NULL);
    at += size;
  }
}

void call_open_window(Call *call, uint64_t window_bytes) {
  Pool *pool = &call->runtime->pool;
  bool starved;

  pthread_mutex_lock(&pool->mutex);
  call->window_bytes = max_u64(call->window_bytes, window_bytes);
  starved = call->starved;
  call->starved = false;
  pthread_cond_broadcast(&pool->window);
  pthread_mutex_unlock(&pool->mutex);
  if (call->sending)
    parts_go_on(call);
  else if (starved && call->on_writable)
    call->on_writable(call->writable_userdata, call);
}

/* --- waiting --- */

bool call_wait(Call *call, uint64_t wait_us) {
  Pool *pool = &call->runtime->pool;
  uint64_t until_us = min_u64(clock_monotonic_us() + wait_us, call->due_us);

  pthread_mutex_lock(&pool->mutex);
  while (!call_cancelled(call) && clock_monotonic_us() < until_us)
    wait_for_change(call, until_us);
  pthread_mutex_unlock(&pool->mutex);
  return !call_cancelled(call);
}
