/* Signals and children, by sd-event: its descriptor is one source of the loop, so it costs nothing until one of them
   happens. Children are watched by pidfd where the kernel has it; sd-event wants SIGCHLD blocked all the same. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "bus/loop/crash.h"
#include "bus/loop/loop-internal.h"

static const int handled_signals[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};

/* One signal or one child. */
typedef struct SystemWatch {
  List link;
  Loop *loop;
  sd_event_source *source;
  int signo; /* 0 = a child */
  pid_t pid;
  void (*on_signal)(void *userdata, int signo);
  void (*on_exit)(void *userdata, pid_t pid, int status);
  void *userdata;
} SystemWatch;

void loop_block_signals(void) {
  sigset_t set;

  sigemptyset(&set);
  for (size_t i = 0; i < ELEMENTS(handled_signals); i++)
    sigaddset(&set, handled_signals[i]);
  pthread_sigmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
}

/* Each sd_event_run serves one source; bounded, since its descriptor stays readable while something is left. */
static void on_system_event(Source *source, uint32_t revents _unused_) {
  Loop *loop = CONTAINER_OF(source, Loop, system_source);

  for (int i = 0; i < LOOP_EVENTS_PER_TURN && sd_event_run(loop->system, 0) > 0; i++)
    ;
}

static int system_ensure(Loop *loop) {
  if (loop->system)
    return 0;
  sd_event *system = NULL;
  int r = sd_event_new(&system);
  if (r < 0)
    return r;
  loop->system_source.on_event = on_system_event;
  r = loop_add_source(loop, sd_event_get_fd(system), EPOLLIN, &loop->system_source);
  if (r < 0) {
    sd_event_unref(system);
    return r;
  }
  loop->system = system;
  return 0;
}

static void watch_drop(SystemWatch *watch) {
  sd_event_source_disable_unref(watch->source);
  list_remove(&watch->link);
  free(watch);
}

void system_done(Loop *loop) {
  LIST_EACH (&loop->system_watches, SystemWatch, link, watch)
    watch_drop(watch);
  sd_event_unref(loop->system);
}

static SystemWatch *watch_find(Loop *loop, int signo, pid_t pid) {
  LIST_EACH (&loop->system_watches, SystemWatch, link, watch)
    if (watch->signo == signo && watch->pid == pid)
      return watch;
  return NULL;
}

/* Puts in a watch that has no source yet. Returns 0 or negative errno. */
static int watch_add(Loop *loop, SystemWatch **ret) {
  int r = system_ensure(loop);
  SystemWatch *watch = r < 0 ? NULL : calloc(1, sizeof *watch);

  if (!watch)
    return r < 0 ? r : -ENOMEM;
  watch->loop = loop;
  list_push(&loop->system_watches, &watch->link);
  *ret = watch;
  return 0;
}

static int on_signal_event(sd_event_source *source _unused_, const struct signalfd_siginfo *info, void *userdata) {
  SystemWatch *watch = userdata;

  crash_note("signal", info->ssi_signo);
  watch->on_signal(watch->userdata, (int)info->ssi_signo);
  return 0;
}

int loop_on_signal(Loop *loop, int signo, void (*on_signal)(void *, int), void *userdata) {
  SystemWatch *watch = watch_find(loop, signo, 0);

  if (!on_signal) {
    if (watch)
      watch_drop(watch);
    return 0;
  }
  if (signo <= 0)
    return -EINVAL;
  if (!watch) {
    int r = watch_add(loop, &watch);

    if (r < 0)
      return r;
    r = sd_event_add_signal(loop->system, &watch->source, signo, on_signal_event, watch);
    if (r < 0) {
      watch_drop(watch);
      return r;
    }
  }
  watch->signo = signo;
  watch->on_signal = on_signal;
  watch->userdata = userdata;
  return 0;
}

/* A status as waitpid(2) gives it, from what waitid(2) says. */
static int status_of(const siginfo_t *info) {
  if (info->si_code == CLD_EXITED)
    return (info->si_status & 0xff) << 8;
  return info->si_code == CLD_DUMPED ? info->si_status | WCOREFLAG : info->si_status;
}

static int on_child_event(sd_event_source *source _unused_, const siginfo_t *info, void *userdata) {
  SystemWatch *watch = userdata;
  SystemWatch gone = *watch;

  /* Dropped first, so that on_exit may start and watch a successor; sd-event holds the source until it has reaped. */
  watch_drop(watch);
  crash_note("child ended", (uint64_t)gone.pid);
  gone.on_exit(gone.userdata, gone.pid, status_of(info));
  return 0;
}

int loop_watch_child(Loop *loop, pid_t pid, void (*on_exit)(void *, pid_t, int), void *userdata) {
  SystemWatch *watch = watch_find(loop, 0, pid);

  if (watch)
    return -EBUSY;
  int r = watch_add(loop, &watch);
  if (r < 0)
    return r;
  r = sd_event_add_child(loop->system, &watch->source, pid, WEXITED, on_child_event, watch);
  if (r < 0) {
    watch_drop(watch);
    return r;
  }
  watch->pid = pid;
  watch->on_exit = on_exit;
  watch->userdata = userdata;
  return 0;
}

void loop_unwatch_child(Loop *loop, pid_t pid) {
  SystemWatch *watch = pid > 0 ? watch_find(loop, 0, pid) : NULL;

  if (watch)
    watch_drop(watch);
}
