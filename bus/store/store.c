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

/* One change that waits; the key stands behind it, then the value if it is not a block's. */
typedef struct Waiting {
  struct Waiting *next;
  uint64_t serial;
  size_t key_bytes;
  size_t value_bytes;
  Block *block;
  bool is_drop;
  char bytes[];
} Waiting;

/* One row that is wanted, and then what was read. */
typedef struct Reading {
  struct Reading *next;
  StoreRead *on_read;
  void *userdata;
  int r;
  Block *value;
  size_t key_bytes;
  char key[STORE_KEY_BYTES];
  char text[STORE_TEXT_BYTES];
} Reading;

typedef struct Readings {
  Reading *first;
  Reading **last;
} Readings;

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
  Readings wanted;
  Readings read;
  bool ending;
  uint64_t written;
  bool broken;
  bool is_full;
  char text[STORE_TEXT_BYTES];
};

static void push_reading(Readings *list, Reading *reading) {
  reading->next = NULL;
  *list->last = reading;
  list->last = &reading->next;
}

static Reading *take_readings(Readings *list) {
  Reading *first = list->first;

  *list = (Readings){NULL, &list->first};
  return first;
}

static void free_readings(Reading *list) {
  while (list) {
    Reading *gone = list;

    list = gone->next;
    block_unref(&gone->value);
    free(gone);
  }
}

/* --- on the loop --- */

static void tell_read(Store *store) {
  Reading *list;

  pthread_mutex_lock(&store->mutex);
  list = take_readings(&store->read);
  pthread_mutex_unlock(&store->mutex);
  for (Reading *at = list; at; at = at->next)
    at->on_read(at->userdata, at->r, at->value, at->text);
  free_readings(list);
}

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
  tell_read(store);
}

/* --- the writer --- */

static void free_waiting(Waiting *list) {
  while (list) {
    Waiting *gone = list;

    list = gone->next;
    block_unref(&gone->block);
    free(gone);
  }
}

/* Waits for something to do; what is to be written is *ret. Returns false at the end, when all is written. */
static bool take_all(Store *store, Waiting **ret) {
  bool any;

  pthread_mutex_lock(&store->mutex);
  while (!store->first && !store->wanted.first && !store->ending)
    pthread_cond_wait(&store->wake, &store->mutex);
  *ret = store->first;
  any = store->first || !store->ending;
  store->first = NULL;
  store->last = &store->first;
  pthread_mutex_unlock(&store->mutex);
  return any;
}

static Bytes value_of(const Waiting *waiting) {
  if (waiting->is_drop)
    return (Bytes){NULL, 0};
  return waiting->block ? block_bytes(waiting->block)
                        : (Bytes){(const uint8_t *)waiting->bytes + waiting->key_bytes, waiting->value_bytes};
}

static int write_all(Store *store, const Waiting *list, char *ret_text) {
  int r = store_file_begin(store->file, ret_text);

  for (const Waiting *at = list; at && r == 0; at = at->next) {
    StoreChange change = {.key = {at->bytes, at->key_bytes}, .value = value_of(at)};

    r = store_file_change(store->file, &change, ret_text);
  }
  return r == 0 ? store_file_commit(store->file, ret_text) : r;
}

static void wake_loop(const Store *store) {
  const uint64_t one = 1;

  if (write(store->event_fd, &one, sizeof one) < 0 && errno != EAGAIN)
    abort();
}

static void read_rows(Store *store) {
  Reading *list;

  pthread_mutex_lock(&store->mutex);
  list = take_readings(&store->wanted);
  pthread_mutex_unlock(&store->mutex);
  while (list) {
    Reading *reading = list;

    list = reading->next;
    reading->r = store_file_read(store->file, (Text){reading->key, reading->key_bytes}, &reading->value, reading->text);
    pthread_mutex_lock(&store->mutex);
    push_reading(&store->read, reading);
    pthread_mutex_unlock(&store->mutex);
    wake_loop(store);
  }
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
  while (!store->ending && pthread_cond_timedwait(&store->wake, &store->mutex, &until) == 0) {
    pthread_mutex_unlock(&store->mutex);
    read_rows(store);
    pthread_mutex_lock(&store->mutex);
  }
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

  while (take_all(store, &list)) {
    char text[STORE_TEXT_BYTES] = "";

    if (r == 0 && list)
      r = write_all(store, list, text);
    while (r == -ENOSPC && store->handler.on_full && list && wait_for_room(store, list, text))
      r = write_all(store, list, text);
    if (list)
      tell(store, list, r, text);
    free_waiting(list);
    read_rows(store);
  }
  return NULL;
}

/* --- asked for --- */

static bool take_room(Store *store, size_t bytes) {
  bool fits;

  pthread_mutex_lock(&store->mutex);
  fits = store->waiting_bytes + bytes <= STORE_QUEUE_BYTES;
  store->waiting_bytes += fits ? bytes : 0;
  pthread_mutex_unlock(&store->mutex);
  return fits;
}

/* waiting has its value, and room behind it for the key. */
static void push(Store *store, Waiting *waiting) {
  waiting->serial = ++store->serial;
  pthread_mutex_lock(&store->mutex);
  *store->last = waiting;
  store->last = &waiting->next;
  pthread_cond_signal(&store->wake);
  pthread_mutex_unlock(&store->mutex);
}

/* The value is block's, if there is one. */
static int add(Store *store, Text key, Bytes value, Block *block, bool is_drop, uint64_t *ret_serial) {
  size_t inline_bytes = block ? 0 : value.size;
  Waiting *waiting;

  if (store->failed)
    return -EIO;
  if (!take_room(store, sizeof *waiting + key.size + value.size))
    return -ENOBUFS;
  waiting = malloc(sizeof *waiting + key.size + inline_bytes);
  if (!waiting)
    abort();
  *waiting = (Waiting){
      .key_bytes = key.size, .value_bytes = value.size, .block = block ? block_ref(block) : NULL, .is_drop = is_drop};
  memcpy(waiting->bytes, key.data, key.size);
  if (inline_bytes > 0)
    memcpy(waiting->bytes + key.size, value.data, value.size);
  push(store, waiting);
  if (ret_serial)
    *ret_serial = store->serial;
  return 0;
}

static void check_row(Text key, size_t value_bytes) {
  if (key.size == 0 || key.size > STORE_KEY_BYTES || value_bytes > STORE_VALUE_BYTES)
    abort();
}

int store_put(Store *store, Text key, Bytes value, uint64_t *ret_serial) {
  check_row(key, value.size);
  return add(store, key, value, NULL, false, ret_serial);
}

int store_put_block(Store *store, Text key, Block *value, uint64_t *ret_serial) {
  check_row(key, value->size);
  return add(store, key, block_bytes(value), value, false, ret_serial);
}

int store_drop(Store *store, Text key, uint64_t *ret_serial) {
  return add(store, key, BYTES_NONE, NULL, true, ret_serial);
}

void store_read(Store *store, Text key, StoreRead *on_read, void *userdata) {
  Reading *reading = calloc(1, sizeof *reading);

  if (!reading)
    abort();
  check_row(key, 0);
  reading->on_read = on_read;
  reading->userdata = userdata;
  reading->key_bytes = key.size;
  memcpy(reading->key, key.data, key.size);
  pthread_mutex_lock(&store->mutex);
  push_reading(&store->wanted, reading);
  pthread_cond_signal(&store->wake);
  pthread_mutex_unlock(&store->mutex);
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
  if (!store->handler.keeps || store->handler.keeps(store->handler.userdata, key))
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
  store->wanted.last = &store->wanted.first;
  store->read.last = &store->read.first;
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
  free_readings(gone->wanted.first);
  free_readings(gone->read.first);
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
