/* Asking, from any thread. */
#include <errno.h>
#include <stdlib.h>

#include "bus/client/client-internal.h"

enum { PATIENCE_US = 5000000 /* beyond the deadline, for a loop that does not turn */ };

static void on_ask(void *userdata) {
  Pending *pending = userdata;

  client_did(pending->client);
  pending_take(pending);
}

int client_ask(Client *client, const Ask *ask, const AskHandler *handler, RequestId *ret) {
  Pending *pending = pending_new(client, ask, handler);
  RequestId id;
  int r;

  if (!pending)
    return -ENOMEM;
  id = pending->first_id;
  r = client_do(client, on_ask, pending);
  if (r < 0) {
    pending_free(pending);
    return r;
  }
  if (ret)
    *ret = id;
  return 0;
}

/* --- taking back, consuming --- */

typedef struct Note {
  Client *client;
  RequestId id;
  size_t bytes;
} Note;

/* Does it here, or has the loop thread do it. Without memory it is not done: a cancel is a courtesy, the deadline holds. */
static void pass_on(Client *client, RequestId id, size_t bytes, void (*fn)(void *userdata)) {
  Note *note = malloc(sizeof *note);

  if (!note)
    return;
  *note = (Note){client, id, bytes};
  if (client_do(client, fn, note) < 0)
    free(note);
}

static void on_cancel(void *userdata) {
  Note *note = userdata;
  Pending *pending = pending_find(note->client, note->id, true);

  if (pending)
    pending_cancel(pending, STATUS_CANCELLED, NULL);
  else
    durable_cancel(note->client, note->id);
  client_did(note->client);
  free(note);
}

void client_cancel(Client *client, RequestId id) {
  pass_on(client, id, 0, on_cancel);
}

static void on_consumed(void *userdata) {
  Note *note = userdata;
  Pending *pending = pending_find(note->client, note->id, true);

  if (pending)
    pending_consumed(pending, note->bytes);
  client_did(note->client);
  free(note);
}

void client_stream_consumed(Client *client, RequestId id, size_t bytes) {
  pass_on(client, id, bytes, on_consumed);
}

/* --- waiting --- */

/* One client_call; shared by who waits and by the request, freed by the last of them. */
typedef struct Wait {
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  int references;
  bool done;
  Answer *answer;
} Wait;

static Wait *new_wait(void) {
  Wait *wait = calloc(1, sizeof *wait);
  pthread_condattr_t attributes;

  if (!wait)
    return NULL;
  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_mutex_init(&wait->mutex, NULL);
  pthread_cond_init(&wait->changed, &attributes);
  pthread_condattr_destroy(&attributes);
  wait->references = 2;
  return wait;
}

static void unref_wait(Wait *wait) {
  bool last;

  pthread_mutex_lock(&wait->mutex);
  last = --wait->references == 0;
  pthread_mutex_unlock(&wait->mutex);
  if (!last)
    return;
  answer_destroy(&wait->answer);
  pthread_mutex_destroy(&wait->mutex);
  pthread_cond_destroy(&wait->changed);
  free(wait);
}

static void put(char **at, const void *data, size_t size) {
  if (size)
    memcpy(*at, data, size);
  *at += size;
}

static Text put_text(char **at, Text text) {
  Text kept = {*at, text.size};

  put(at, text.data, text.size);
  return kept;
}

/* An answer that owns what it points to, in one allocation and its block. */
static Answer *copy_answer(const Answer *from) {
  size_t body_size = from->block ? 0 : from->body.size;
  Answer *copy = malloc(sizeof *copy + body_size + from->annotations.size + from->content_type.size +
                        from->message.size + from->path.size + from->origin.size + from->code.size);
  char *at;

  if (!copy)
    abort();
  at = (char *)(copy + 1);
  *copy = *from;
  if (from->block) {
    copy->block = block_ref(from->block);
  } else {
    copy->body.data = (const uint8_t *)at;
    put(&at, from->body.data, body_size);
  }
  copy->annotations.data = (const uint8_t *)at;
  put(&at, from->annotations.data, from->annotations.size);
  copy->content_type = put_text(&at, from->content_type);
  copy->message = put_text(&at, from->message);
  copy->path = put_text(&at, from->path);
  copy->origin = put_text(&at, from->origin);
  copy->code = put_text(&at, from->code);
  return copy;
}

void answer_destroy(Answer **answer) {
  Answer *gone = TAKE(*answer);

  if (!gone)
    return;
  block_unref(&gone->block);
  free(gone);
}

static void on_end(void *userdata, const Answer *answer) {
  Wait *wait = userdata;

  pthread_mutex_lock(&wait->mutex);
  wait->answer = copy_answer(answer);
  wait->done = true;
  pthread_cond_signal(&wait->changed);
  pthread_mutex_unlock(&wait->mutex);
  unref_wait(wait);
}

static bool is_done(void *userdata) {
  const Wait *wait = userdata;

  return wait->done;
}

static bool always(void *userdata) {
  (void)userdata;
  return true;
}

/* Waits on another thread than the loop's. */
static int wait_for(Wait *wait, uint64_t until_us) {
  struct timespec until = {(time_t)(until_us / US_PER_S), (long)(until_us % US_PER_S) * 1000};
  int r = 0;

  pthread_mutex_lock(&wait->mutex);
  while (!wait->done && r == 0)
    r = pthread_cond_timedwait(&wait->changed, &wait->mutex, &until);
  r = wait->done ? 0 : -r;
  pthread_mutex_unlock(&wait->mutex);
  return r;
}

int client_call(Client *client, const Ask *ask, Answer **ret) {
  uint64_t deadline_us = min_u64(ask->deadline_us ? ask->deadline_us : client->deadline_us, LIMIT_DEADLINE_US);
  bool here = client_is_here(client);
  AskHandler handler = {.on_end = on_end};
  RequestId id;
  Wait *wait;
  int r;

  if (ask->stream)
    return -EINVAL;
  if (here && loop_run_until(client->loop, always, NULL, 0) == -EBUSY)
    return -EDEADLK;
  wait = new_wait();
  if (!wait)
    return -ENOMEM;
  handler.userdata = wait;
  r = client_ask(client, ask, &handler, &id);
  if (r < 0) {
    unref_wait(wait);
    unref_wait(wait);
    return r;
  }
  if (here)
    r = loop_run_until(client->loop, is_done, wait, TIME_NEVER);
  else
    r = wait_for(wait, clock_monotonic_us() + deadline_us + PATIENCE_US);
  if (r == 0)
    *ret = TAKE(wait->answer);
  else
    client_cancel(client, id);
  unref_wait(wait);
  return r;
}
