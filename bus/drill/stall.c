#include "bus/drill/stall.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "bus/base/clock.h"

enum { CORES_MAX = 256 };

typedef struct Witness {
  pthread_t thread;
  sem_t over;
  _Atomic uint32_t count;
  Stall stalls[STALLS_MAX];
} Witness;

struct StallWatch {
  uint32_t count;
  Witness *witnesses[CORES_MAX];
};

/* --- one core --- */

/* Waits until due_us. Returns false when it is over. */
static bool wait_until(Witness *witness, uint64_t due_us) {
  const struct timespec due = {(time_t)(due_us / US_PER_S), (long)(due_us % US_PER_S) * 1000};

  return sem_clockwait(&witness->over, CLOCK_MONOTONIC, &due) != 0;
}

static void note(Witness *witness, Stall stall) {
  uint32_t count = atomic_load_explicit(&witness->count, memory_order_relaxed);

  if (count == STALLS_MAX)
    return;
  witness->stalls[count] = stall;
  atomic_store_explicit(&witness->count, count + 1, memory_order_release);
}

static void *look(void *userdata) {
  Witness *witness = userdata;

  for (uint64_t due_us = clock_monotonic_us(); wait_until(witness, due_us);) {
    uint64_t now_us = clock_monotonic_us();

    if (now_us >= due_us + STALL_LEAST_US)
      note(witness, (Stall){due_us, now_us});
    due_us = now_us + STALL_NAP_US;
  }
  return NULL;
}

static void witness_free(Witness *witness) {
  sem_destroy(&witness->over);
  free(witness);
}

static int start(StallWatch *watch, size_t core) {
  const struct sched_param param = {.sched_priority = sched_get_priority_max(SCHED_FIFO)};
  Witness *witness = calloc(1, sizeof *witness);
  pthread_attr_t attributes;
  cpu_set_t cores;
  int r;

  if (!witness)
    abort();
  sem_init(&witness->over, 0, 0);
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  pthread_attr_init(&attributes);
  pthread_attr_setinheritsched(&attributes, PTHREAD_EXPLICIT_SCHED);
  pthread_attr_setschedpolicy(&attributes, SCHED_FIFO);
  pthread_attr_setschedparam(&attributes, &param);
  pthread_attr_setaffinity_np(&attributes, sizeof cores, &cores);
  r = pthread_create(&witness->thread, &attributes, look, witness);
  pthread_attr_destroy(&attributes);
  if (r == 0)
    watch->witnesses[watch->count++] = witness;
  else
    witness_free(witness);
  return -r;
}

/* --- all of them --- */

int stall_watch_new(StallWatch **ret) {
  StallWatch *watch = calloc(1, sizeof *watch);
  cpu_set_t cores;
  int r;

  if (!watch)
    abort();
  CPU_ZERO(&cores);
  r = sched_getaffinity(0, sizeof cores, &cores) < 0 ? -errno : 0;
  for (size_t core = 0; r == 0 && core < CPU_SETSIZE && watch->count < CORES_MAX; core++)
    if (CPU_ISSET(core, &cores))
      r = start(watch, core);
  if (r < 0)
    stall_watch_destroy(&watch);
  else
    *ret = watch;
  return r;
}

void stall_watch_destroy(StallWatch **watch) {
  StallWatch *old = *watch;

  if (!old)
    return;
  for (uint32_t i = 0; i < old->count; i++) {
    sem_post(&old->witnesses[i]->over);
    pthread_join(old->witnesses[i]->thread, NULL);
    witness_free(old->witnesses[i]);
  }
  free(old);
  *watch = NULL;
}

uint32_t stall_watch_seen(const StallWatch *watch, Stall *ret) {
  uint32_t count = 0;

  for (uint32_t i = 0; i < watch->count; i++) {
    const Witness *witness = watch->witnesses[i];
    uint32_t seen = atomic_load_explicit(&witness->count, memory_order_acquire);

    if (i > 0)
      count = stall_common(ret, count, witness->stalls, seen, ret);
    else
      memcpy(ret, witness->stalls, (count = seen) * sizeof *ret);
  }
  return count;
}

/* --- lists --- */

uint32_t stall_common(const Stall *a, uint32_t count_a, const Stall *b, uint32_t count_b, Stall *ret) {
  Stall common[STALLS_MAX];
  uint32_t count = 0;

  for (uint32_t i = 0, k = 0; i < count_a && k < count_b && count < STALLS_MAX;) {
    Stall both = {max_u64(a[i].from_us, b[k].from_us), min_u64(a[i].to_us, b[k].to_us)};

    if (both.from_us < both.to_us)
      common[count++] = both;
    if (a[i].to_us < b[k].to_us)
      i++;
    else
      k++;
  }
  memcpy(ret, common, count * sizeof *ret);
  return count;
}

uint64_t stall_within(const Stall *stalls, uint32_t count, uint64_t from_us, uint64_t to_us) {
  uint64_t sum_us = 0;

  for (uint32_t i = 0; i < count; i++) {
    uint64_t begin_us = max_u64(stalls[i].from_us, from_us);

    sum_us += max_u64(min_u64(stalls[i].to_us, to_us), begin_us) - begin_us;
  }
  return sum_us;
}
