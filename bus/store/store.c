/* The writer: one thread that takes all that waits, writes it in one transaction, and tells the loop how far the disk is. After
   a failure it writes nothing any more: what the process believes and what the disk has would drift apart. A full disk, where its
   owner knows what to do about it, is none: nothing was written, and the same is tried again with what has come since. */
#include "bus/store/store.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "bus/store/file.h"

/* One change that waits; the key stands behind it, then the value. */
typedef struct Waiting {
  struct Waiting *next;
  uint64_t serial;
  size_t key_bytes;
  size_t value_bytes;
  bool is_drop;
  char bytes[];
} Waiting;

enum { FULL_WAIT_S = 1 /* until a full disk is tried again */ };

typedef struct Row {
  Buffer key;
  Buffer value;
} Row;

struct Store {
  Loop *loop;
  StoreHandler handler;
  Row *rows; /* what the file had when it was opened */
  size_t n_rows;
  StoreFile *file; /* the writer's, once it runs */
  pthread_t thread;
  bool started;
  int event_fd; /* the writer's word to the loop */
  LoopFd *watch;
  uint64_t serial;
  bool failed; /* as the loop knows it */
  bool full;   /* the same */

  pthread_mutex_t mutex; /* for all below */
  pthread_cond_t wake;
  Waiting *first;
  Waiting **last;
  size_t waiting_bytes;
  bool ending;
  uint64_t written;
  bool broken;
  bool is_full;
  char text[STORE_TEXT_BYTES];
};

/* --- on the loop --- */

static void on_word(void *userdata, int fd, uint32_t revents _unused_) {
  Store *store = userdata;
  char text[STORE_TEXT_BYTES];
  uint64_t written;
  bool broken;
  bool full;

  if (read(fd, &written, sizeof written) < 0)
    return;
  pthread_mutex_lock(&store->mutex);
  written = store->written;
  broken = store->broken && !store->failed;
  full = store->is_full;
  memcpy(text, store->text, sizeof text);
  pthread_mutex_unlock(&store->mutex);
  store->failed |= broken;
  store->handler.on_written(store->handler.userdata, written);
  if (full != store->full)
    store->handler.on_full(store->handler.userdata, full, text);
  store->full = full;
  if (broken)
    store->handler.on_failed(store->handler.userdata, text);
}

/* --- the writer --- */

static void free_waiting(Waiting *list) {
  while (list) {
    Waiting *gone = list;

    list = gone->next;
    free(gone);
  }
}

/* Waits for something to write. Returns NULL at the end. */
static Waiting *take_all(Store *store) {
  Waiting *list;

  pthread_mutex_lock(&store->mutex);
  while (!store->first && !store->ending)
    pthread_cond_wait(&store->wake, &store->mutex);
  list = store->first;
  store->first = NULL;
  store->last = &store->first;
  pthread_mutex_unlock(&store->mutex);
  return list;
}

static int write_all(Store *store, const Waiting *list, char *ret_text) {
  int r = store_file_begin(store->file, ret_text);

  for (const Waiting *at = list; at && r == 0; at = at->next) {
    StoreChange change = {.key = {at->bytes, at->key_bytes},
                          .value = {at->is_drop ? NULL : (const uint8_t *)at->bytes + at->key_bytes, at->value_bytes}};

    r = store_file_change(store->file, &change, ret_text);
  }
  return r == 0 ? store_file_commit(store->file, ret_text) : r;
}

static void wake_loop(const Store *store) {
  const uint64_t one = 1;

  if (write(store->event_fd, &one, sizeof one) < 0 && errno != EAGAIN)
    abort();
}

static void tell(Store *store, const Waiting *list, int r, const char *text) {
  pthread_mutex_lock(&store->mutex);
  for (; list; list = list->next) {
    store->waiting_bytes -= sizeof *list + list->key_bytes + list->value_bytes;
    if (r == 0)
      store->written = list->serial;
  }
  store->is_full = false;
  if (r < 0 && !store->broken) {
    store->broken = true;
    memcpy(store->text, text, sizeof store->text);
  }
  pthread_mutex_unlock(&store->mutex);
  wake_loop(store);
}

/* Says so, waits, and puts what has come meanwhile behind the list, so that it is one transaction. Returns false at the end. */
static bool wait_for_room(Store *store, Waiting *list, const char *text) {
  struct timespec until;
  bool ending;

  clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += FULL_WAIT_S;
  pthread_mutex_lock(&store->mutex);
  store->is_full = true;
  memcpy(store->text, text, sizeof store->text);
  wake_loop(store);
  while (!store->ending && pthread_cond_timedwait(&store->wake, &store->mutex, &until) == 0)
    continue;
  while (list->next)
    list = list->next;
  list->next = store->first;
  store->first = NULL;
  store->last = &store->first;
  ending = store->ending;
  pthread_mutex_unlock(&store->mutex);
  return !ending;
}

static void *write_for_ever(void *userdata) {
  Store *store = userdata;
  Waiting *list;
  int r = 0;

  while ((list = take_all(store))) {
    char text[STORE_TEXT_BYTES] = "";

    if (r == 0)
      r = write_all(store, list, text);
    while (r == -ENOSPC && store->handler.on_full && wait_for_room(store, list, text))
      r = write_all(store, list, text);
    tell(store, list, r, text);
    free_waiting(list);
  }
  return NULL;
}

/* --- asked for --- */

static int add(Store *store, Text key, Bytes value, bool is_drop, uint64_t *ret_serial) {
  size_t bytes = sizeof(Waiting) + key.size + value.size;
  Waiting *waiting;
  bool fits;

  if (store->failed)
    return -EIO;
  pthread_mutex_lock(&store->mutex);
  fits = store->waiting_bytes + bytes <= STORE_QUEUE_BYTES;
  store->waiting_bytes += fits ? bytes : 0;
  pthread_mutex_unlock(&store->mutex);
  if (!fits)
    return -ENOBUFS;
  waiting = malloc(bytes);
  if (!waiting)
    abort();
  *waiting = (Waiting){NULL, ++store->serial, key.size, value.size, is_drop};
  memcpy(waiting->bytes, key.data, key.size);
  if (value.size > 0)
    memcpy(waiting->bytes + key.size, value.data, value.size);
  pthread_mutex_lock(&store->mutex);
  *store->last = waiting;
  store->last = &waiting->next;
  pthread_cond_signal(&store->wake);
  pthread_mutex_unlock(&store->mutex);
  if (ret_serial)
    *ret_serial = store->serial;
  return 0;
}

int store_put(Store *store, Text key, Bytes value, uint64_t *ret_serial) {
  if (key.size == 0 || key.size > STORE_KEY_BYTES || value.size > STORE_VALUE_BYTES)
    abort();
  return add(store, key, value, false, ret_serial);
}

int store_drop(Store *store, Text key, uint64_t *ret_serial) {
  return add(store, key, BYTES_NONE, true, ret_serial);
}

/* --- opened and closed --- */

static void keep_row(void *userdata, Text key, Bytes value) {
  Store *store = userdata;
  Row *row;

  store->rows = realloc(store->rows, (store->n_rows + 1) * sizeof *row);
  if (!store->rows)
    abort();
  row = &store->rows[store->n_rows++];
  *row = (Row){0};
  buffer_append(&row->key, key.data, key.size);
  buffer_append(&row->value, value.data, value.size);
}

/* The writer takes no signal: they are the loop's. */
static int start_writer(Store *store) {
  sigset_t all;
  sigset_t before;
  int r;

  store->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (store->event_fd < 0)
    return -errno;
  r = loop_watch_fd(store->loop, store->event_fd, EPOLLIN, on_word, store, &store->watch);
  if (r < 0)
    return r;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  r = pthread_create(&store->thread, NULL, write_for_ever, store);
  pthread_sigmask(SIG_SETMASK, &before, NULL);
  store->started = r == 0;
  return -r;
}

static void on_damaged(void *userdata, Text key, Bytes value, const char *text) {
  const Store *store = userdata;

  store->handler.on_damaged(store->handler.userdata, key, value, text);
}

static void init_condition(pthread_cond_t *condition) {
  pthread_condattr_t attributes;

  pthread_condattr_init(&attributes);
  pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  pthread_cond_init(condition, &attributes);
  pthread_condattr_destroy(&attributes);
}

int store_open(Store **ret, Loop *loop, const char *path, const StoreHandler *handler, char *ret_text) {
  _cleanup_(store_close) Store *store = calloc(1, sizeof *store);
  StoreReader reader = {keep_row, handler->on_damaged ? on_damaged : NULL, store};
  int r;

  if (!store)
    abort();
  store->loop = loop;
  store->handler = *handler;
  store->last = &store->first;
  store->event_fd = -1;
  pthread_mutex_init(&store->mutex, NULL);
  init_condition(&store->wake);
  r = store_file_open(&store->file, path, &reader, ret_text);
  if (r != 0)
    return r;
  r = start_writer(store);
  if (r < 0) {
    snprintf(ret_text, STORE_TEXT_BYTES, "can't start the writer of %s: %s", path, strerror(-r));
    return r;
  }
  *ret = TAKE(store);
  return 0;
}

void store_forget(Store *store) {
  for (size_t i = 0; i < store->n_rows; i++) {
    buffer_done(&store->rows[i].key);
    buffer_done(&store->rows[i].value);
  }
  free(TAKE(store->rows));
  store->n_rows = 0;
}

void store_close(Store **store) {
  Store *gone = TAKE(*store);

  if (!gone)
    return;
  pthread_mutex_lock(&gone->mutex);
  gone->ending = true;
  pthread_cond_signal(&gone->wake);
  pthread_mutex_unlock(&gone->mutex);
  if (gone->started)
    pthread_join(gone->thread, NULL);
  loop_fd_destroy(&gone->watch);
  if (gone->event_fd >= 0)
    close(gone->event_fd);
  store_file_close(&gone->file);
  store_forget(gone);
  free_waiting(gone->first);
  pthread_mutex_destroy(&gone->mutex);
  pthread_cond_destroy(&gone->wake);
  free(gone);
}

void store_each(const Store *store, void (*row)(void *userdata, Text key, Bytes value), void *userdata) {
  for (size_t i = 0; i < store->n_rows; i++) {
    Text key = {(const char *)store->rows[i].key.data, store->rows[i].key.size};

    row(userdata, key, buffer_bytes(&store->rows[i].value));
  }
}
