/* A model that can't be loaded stays so until its file is another one (size, time of change or number); what of it failed is
   not tried again for each request, for that may take long. A library that is not there is looked for each time, which costs
   next to nothing. */
#include "agents/tiny_llama_service_enhanced/desk.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "bus/base/log.h"
#include "bus/loop/crash.h"

/* By what a file is told from another; all zero = there is none. */
typedef struct FileMark {
  uint64_t inode;
  uint64_t size_bytes;
  struct timespec changed;
} FileMark;

struct Desk {
  Loop *loop;
  EngineOptions options;
  pthread_t thread;
  _Atomic bool is_open;

  /* the desk's thread alone */
  Engine *engine;
  FileMark mark; /* of the file that was tried last */
  int error;     /* ENGINE_E_*, or 0 before the first try */

  /* under the mutex */
  pthread_mutex_t mutex;
  pthread_cond_t changed;
  List queue;
  List finished;
  bool is_posted; /* the loop will look at finished */
  bool look;      /* somebody wants to know whether the model can be had now */
  DeskState state;
  Buffer why;
};

bool desk_is_open(const Desk *desk) {
  return atomic_load(&desk->is_open);
}

static bool is_wanted(void *userdata) {
  return desk_is_open(userdata);
}

/* --- the engine --- */

static FileMark mark_of(const char *path) {
  struct stat about;

  if (!path || stat(path, &about) != 0)
    return (FileMark){0};
  return (FileMark){about.st_ino, (uint64_t)about.st_size, about.st_mtim};
}

static bool marks_equal(const FileMark *a, const FileMark *b) {
  return a->inode == b->inode && a->size_bytes == b->size_bytes && a->changed.tv_sec == b->changed.tv_sec &&
         a->changed.tv_nsec == b->changed.tv_nsec;
}

static void set_state(Desk *desk, DeskState state, const Buffer *why) {
  pthread_mutex_lock(&desk->mutex);
  desk->state = state;
  buffer_clear(&desk->why);
  buffer_append(&desk->why, why->data, why->size);
  pthread_mutex_unlock(&desk->mutex);
}

static void tell(const Desk *desk, const Buffer *why) {
  if (desk->error == 0)
    log_info("PONS-LOCAL-READY", "the model %s is loaded", desk->options.file);
  if (why->size > 0)
    log_warning(desk->error == 0 ? "PONS-LOCAL-AMISS" : "PONS-LOCAL-UNAVAILABLE", "%.*s", (int)why->size,
                (const char *)why->data);
}

/* Loads the new file while the old one's model is still there, which goes on when that fails. */
static void replace_engine(Desk *desk) {
  _cleanup_(engine_close) Engine *fresh = NULL;
  _cleanup_(buffer_done) Buffer said = {0};
  _cleanup_(buffer_done) Buffer why = {0};
  int r = engine_open(&desk->options, &fresh, &said);

  if (r == ENGINE_E_CANCELLED)
    return;
  if (r == 0) {
    engine_close(&desk->engine);
    desk->engine = TAKE(fresh);
    buffer_append(&why, said.data, said.size);
    tell(desk, &why);
  } else {
    buffer_printf(&why, "the model that was loaded before goes on: its file has changed, and %.*s", (int)said.size,
                  (const char *)said.data);
    log_warning("PONS-LOCAL-KEPT", "%.*s", (int)why.size, (const char *)why.data);
  }
  set_state(desk, DESK_READY, &why);
}

/* Loads the model unless it is there or nothing has changed since that failed; and once more when its file is another one. A
   file that is gone is no other one. */
static void ensure_engine(Desk *desk) {
  FileMark mark = mark_of(desk->options.file);
  _cleanup_(buffer_done) Buffer why = {0};
  int before = desk->error;

  if ((desk->engine && mark.inode == 0) ||
      ((desk->engine || desk->error == ENGINE_E_MODEL) && marks_equal(&mark, &desk->mark)))
    return;
  desk->mark = mark;
  if (desk->engine) {
    replace_engine(desk);
    return;
  }
  desk->error = engine_open(&desk->options, &desk->engine, &why);
  set_state(desk, desk->error == 0 ? DESK_READY : DESK_UNAVAILABLE, &why);
  if (desk->error != before || desk->error == 0)
    tell(desk, &why);
}

/* --- jobs --- */

static DeskJob *pop(Desk *desk, List *list) {
  DeskJob *job;

  pthread_mutex_lock(&desk->mutex);
  job = LIST_FIRST(list, DeskJob, in_desk);
  if (job)
    list_remove(&job->in_desk);
  else if (list == &desk->finished)
    desk->is_posted = false;
  pthread_mutex_unlock(&desk->mutex);
  return job;
}

static void on_finished(void *userdata) {
  Desk *desk = userdata;
  DeskJob *job;

  while ((job = pop(desk, &desk->finished)))
    job->done(job);
}

static void finish(Desk *desk, DeskJob *job) {
  pthread_mutex_lock(&desk->mutex);
  list_push(&desk->finished, &job->in_desk);
  if (!desk->is_posted)
    desk->is_posted = loop_post(desk->loop, on_finished, desk) == 0;
  pthread_mutex_unlock(&desk->mutex);
}

static void work(Desk *desk, DeskJob *job) {
  _cleanup_(buffer_done) Buffer why = {0};

  pthread_mutex_lock(&desk->mutex);
  buffer_append(&why, desk->why.data, desk->why.size);
  pthread_mutex_unlock(&desk->mutex);
  job->work(job, desk->engine, desk->error, (Text){(const char *)why.data, why.size});
  finish(desk, job);
}

/* Waits until there is something to do. Returns false at the end. */
static bool wait_for_work(Desk *desk) {
  pthread_mutex_lock(&desk->mutex);
  while (desk_is_open(desk) && list_is_empty(&desk->queue) && !desk->look)
    pthread_cond_wait(&desk->changed, &desk->mutex);
  desk->look = false;
  pthread_mutex_unlock(&desk->mutex);
  return desk_is_open(desk);
}

static void *run(void *userdata) {
  Desk *desk = userdata;

  crash_thread_enter();
  do {
    DeskJob *job;

    ensure_engine(desk);
    job = pop(desk, &desk->queue);
    if (job)
      work(desk, job);
  } while (wait_for_work(desk));
  engine_close(&desk->engine);
  crash_thread_leave();
  return NULL;
}

void desk_push(Desk *desk, DeskJob *job) {
  pthread_mutex_lock(&desk->mutex);
  list_push(&desk->queue, &job->in_desk);
  pthread_cond_signal(&desk->changed);
  pthread_mutex_unlock(&desk->mutex);
}

bool desk_withdraw(Desk *desk, DeskJob *job) {
  bool waits = false;

  pthread_mutex_lock(&desk->mutex);
  LIST_EACH (&desk->queue, DeskJob, in_desk, other)
    waits = waits || other == job;
  if (waits)
    list_remove(&job->in_desk);
  pthread_mutex_unlock(&desk->mutex);
  return waits;
}

DeskState desk_state(Desk *desk, Buffer *why) {
  DeskState state;

  pthread_mutex_lock(&desk->mutex);
  state = desk->state;
  buffer_append(why, desk->why.data, desk->why.size);
  if (state == DESK_UNAVAILABLE) {
    desk->look = true;
    pthread_cond_signal(&desk->changed);
  }
  pthread_mutex_unlock(&desk->mutex);
  return state;
}

/* --- making --- */

static int start(Desk *desk) {
  pthread_attr_t attributes;
  int r;

  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, ENGINE_STACK_BYTES);
  r = pthread_create(&desk->thread, &attributes, run, desk);
  pthread_attr_destroy(&attributes);
  return -r;
}

int desk_new(Loop *loop, const EngineOptions *options, Desk **ret) {
  Desk *desk = calloc(1, sizeof *desk);
  int r;

  if (!desk)
    return -ENOMEM;
  desk->loop = loop;
  desk->options = *options;
  desk->options.is_wanted = is_wanted;
  desk->options.userdata = desk;
  atomic_store(&desk->is_open, true);
  pthread_mutex_init(&desk->mutex, NULL);
  pthread_cond_init(&desk->changed, NULL);
  list_init(&desk->queue);
  list_init(&desk->finished);
  r = start(desk);
  if (r < 0) {
    pthread_mutex_destroy(&desk->mutex);
    pthread_cond_destroy(&desk->changed);
    free(desk);
    return r;
  }
  *ret = desk;
  return 0;
}

static void drop_all(Desk *desk, List *list) {
  DeskJob *job;

  while ((job = pop(desk, list)))
    job->drop(job);
}

void desk_destroy(Desk **p) {
  Desk *desk = TAKE(*p);

  if (!desk)
    return;
  pthread_mutex_lock(&desk->mutex);
  atomic_store(&desk->is_open, false);
  pthread_cond_signal(&desk->changed);
  pthread_mutex_unlock(&desk->mutex);
  pthread_join(desk->thread, NULL);
  drop_all(desk, &desk->queue);
  drop_all(desk, &desk->finished);
  pthread_mutex_destroy(&desk->mutex);
  pthread_cond_destroy(&desk->changed);
  buffer_done(&desk->why);
  free(desk);
}
