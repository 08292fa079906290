/* What it notes is in memory that both processes map: it is whole whenever the process is killed. */
#include "bus/drill/holder.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/client/lease.h"

enum { LOOK_US = 2000, OPEN_US = 20000000, SECOND_US = 1000000 };

typedef struct Shared {
  _Atomic bool ready;
  _Atomic uint32_t count;
  HolderSpan spans[HOLDER_SPANS_MAX];
} Shared;

struct Holder {
  pid_t pid;
  Shared *shared;
};

/* --- the process --- */

typedef struct Work {
  Shared *shared;
  Loop *loop;
  LoopTimer *timer;
  Client *client;
  ClientLease *lease;
  uint32_t sessions;
} Work;

/* As whoever writes does: it asks the clock first. */
static void note(Work *work, uint64_t now_us) {
  uint32_t count = work->shared->count;
  LeaseToken token;

  if (!client_lease_check(work->lease, &token))
    return;
  if (count > 0 && token_compare(work->shared->spans[count - 1].token, token) == 0) {
    work->shared->spans[count - 1].last_us = now_us;
  } else if (count < HOLDER_SPANS_MAX) {
    work->shared->spans[count] = (HolderSpan){token, now_us, now_us};
    work->shared->count = count + 1;
  }
}

static void on_held(void *userdata, LeaseToken token _unused_) {
  note(userdata, clock_monotonic_us());
}

static void on_look(void *userdata, uint64_t now_us) {
  Work *work = userdata;

  note(work, clock_monotonic_us());
  loop_timer_set(work->timer, now_us + LOOK_US);
}

static bool is_with_all(void *userdata) {
  const Work *work = userdata;

  return client_stats(work->client).sessions >= work->sessions;
}

static bool never(void *userdata _unused_) {
  return false;
}

static int hold(Work *work, const char *endpoints, KeyPair *key, const char *name) {
  ClientOptions client = {.endpoint = endpoints, .agent = TEXT("pons"), .key = key, .attempts = 1};
  ClientLeaseOptions lease = {.name = text_of(name), .may_double = true, .on_held = on_held, .userdata = work};
  int r = loop_new(&work->loop);

  if (r == 0)
    r = loop_timer_new(work->loop, on_look, work, &work->timer);
  if (r == 0)
    r = client_new(work->loop, &client, &work->client);
  if (r == 0)
    r = client_wait_open(work->client, OPEN_US);
  if (r < 0)
    return r;
  loop_run_until(work->loop, is_with_all, work, clock_monotonic_us() + SECOND_US); /* one of them may be dead */
  r = client_lease_new(work->client, &lease, &work->lease);
  if (r < 0)
    return r;
  work->shared->ready = true;
  loop_timer_set(work->timer, 0);
  return loop_run_until(work->loop, never, NULL, TIME_NEVER);
}

/* --- from outside --- */

int holder_start(const char *endpoints, KeyPair *key, const char *name, Holder **ret) {
  Holder *holder = calloc(1, sizeof *holder);
  pid_t parent = getpid();
  void *memory;

  if (!holder)
    abort();
  memory = mmap(NULL, sizeof *holder->shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  holder->shared = memory == MAP_FAILED ? NULL : memory;
  holder->pid = holder->shared ? fork() : -1;
  if (holder->pid == 0) {
    Work work = {.shared = holder->shared, .sessions = strchr(endpoints, ';') ? 2 : 1};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, 0) < 0 || getppid() != parent)
      _exit(EXIT_FAILURE);
    loop_block_signals();
    hold(&work, endpoints, key, name);
    _exit(EXIT_FAILURE);
  }
  if (holder->pid < 0) {
    holder_destroy(&holder);
    return -EAGAIN;
  }
  *ret = holder;
  return 0;
}

void holder_kill(Holder *holder) {
  if (holder->pid <= 0)
    return;
  kill(holder->pid, SIGKILL);
  waitpid(holder->pid, NULL, 0);
  holder->pid = 0;
}

void holder_destroy(Holder **holder) {
  Holder *gone = TAKE(*holder);

  if (!gone)
    return;
  holder_kill(gone);
  if (gone->shared)
    munmap(gone->shared, sizeof *gone->shared);
  free(gone);
}

bool holder_is_ready(const Holder *holder) {
  return holder->pid > 0 && holder->shared->ready;
}

const HolderSpan *holder_spans(const Holder *holder, uint32_t *ret_count) {
  *ret_count = holder->shared->count;
  return holder->shared->spans;
}
