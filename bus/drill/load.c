/* The line between the two is a socket pair: one byte from the process when it is ready, eight to it with the time of its
   beginning, and the end of the line is its end. All else is in memory that both see. */
#include "bus/drill/load-internal.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct Load {
  LoadOptions options;
  LoadShared *shared;
  size_t shared_bytes;
  uint32_t room;
  pid_t pid;
  int line;
  LoopFd *watch;
  void (*on_change)(void *userdata);
  void *userdata;
  bool ready;
  bool ended;
};

static void on_line(void *userdata, int fd, uint32_t revents _unused_) {
  Load *load = userdata;
  char byte;

  if (read(fd, &byte, 1) == 1) {
    load->ready = true;
  } else {
    load->ended = true;
    loop_fd_destroy(&load->watch);
  }
  load->on_change(load->userdata);
}

static int share(Load *load) {
  uint64_t count = load->options.rate * load->options.length_us / US_PER_S;
  void *memory;

  if (count > LOAD_SAMPLES_MAX)
    return -EMSGSIZE;
  load->room = (uint32_t)count;
  load->shared_bytes = sizeof *load->shared + load->room * sizeof load->shared->samples[0];
  memory = mmap(NULL, load->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED)
    return -errno;
  load->shared = memory;
  return 0;
}

/* _exit: what the caller would do at its exit is not this process's to do. */
static int start_process(Load *load) {
  int lines[2];
  pid_t parent = getpid();

  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lines) < 0)
    return -errno;
  load->pid = fork();
  if (load->pid == 0) {
    close(lines[0]);
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, 0) < 0 || getppid() != parent)
      _exit(EXIT_FAILURE);
    _exit(load_work(&load->options, load->shared, load->room, lines[1]));
  }
  close(lines[1]);
  load->line = lines[0];
  return load->pid < 0 ? -errno : 0;
}

int load_start(Loop *loop, const LoadOptions *options, void (*on_change)(void *userdata), void *userdata, Load **ret) {
  Load *load = calloc(1, sizeof *load);
  int r;

  if (!load)
    abort();
  *load = (Load){.options = *options, .line = -1, .on_change = on_change, .userdata = userdata};
  r = share(load);
  if (r == 0)
    r = start_process(load);
  if (r == 0)
    r = loop_watch_fd(loop, load->line, EPOLLIN, on_line, load, &load->watch);
  if (r < 0) {
    load_destroy(&load);
    return r;
  }
  *ret = load;
  return 0;
}

void load_destroy(Load **load) {
  Load *old = *load;

  if (!old)
    return;
  if (old->pid > 0) {
    kill(old->pid, SIGKILL);
    waitpid(old->pid, NULL, 0);
  }
  loop_fd_destroy(&old->watch);
  if (old->line >= 0)
    close(old->line);
  if (old->shared)
    munmap(old->shared, old->shared_bytes);
  free(old);
  *load = NULL;
}

bool load_is_ready(const Load *load) {
  return load->ready;
}

bool load_has_ended(const Load *load) {
  return load->ended;
}

const char *load_error(const Load *load) {
  return load->shared->error;
}

void load_begin(Load *load, uint64_t start_us) {
  /* A process that is gone says so by the end of the line. */
  if (send(load->line, &start_us, sizeof start_us, MSG_NOSIGNAL) < 0)
    return;
}

void load_finish(Load *load, uint64_t last_us) {
  atomic_store(&load->shared->last_us, last_us);
}

const LoadSample *load_samples(const Load *load, uint32_t *ret_count) {
  *ret_count = load->shared->asked;
  return load->shared->samples;
}

const LoadInstance *load_instances(const Load *load, uint32_t *ret_count) {
  *ret_count = load->shared->instance_count;
  return load->shared->instances;
}

const LoadOptions *load_options(const Load *load) {
  return &load->options;
}

const char *load_kind_name(LoadKind kind) {
  static const char *const names[] = {[LOAD_ONCE] = "once", [LOAD_IDEMPOTENT] = "idempotent", [LOAD_CHAT] = "chat"};

  return names[kind];
}
