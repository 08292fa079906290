/* The state is a sealed file in memory, whose descriptor's number stands in the environment. A program that can't go on from the
   state must be found out before execve, after which there is no way back: so the program is started once beside, with the state
   as it is then, and says what it thinks of it. */
#include "bus/ctl/successor.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/ctl/folder.h"
#include "bus/ctl/spawn.h"

enum { SAID_BYTES = 512, READ_BYTES = 4096, READS_AT_END = 64, STATE_MAX_BYTES = 64 << 20 };

#define VARIABLE "PONS_SUPERVISOR_STATE"

struct Successor {
  Loop *loop;
  char *program;
  const char *const *arguments;
  SuccessorHandler handler;
  LoopTimer *timer;
  pid_t pid; /* of the trial; 0 = it has ended */
  int said_fd;
  LoopFd *said_watch;    /* NULL when it says no more */
  char said[SAID_BYTES]; /* the last line of what it said: before it there may be warnings */
  size_t said_size;
  bool line_over; /* what comes next is another line */
  bool late;
};

static json_t *state_of(const Successor *successor) {
  return successor->handler.on_save(successor->handler.userdata);
}

/* --- the state's file --- */

/* At a number above those that a child is handed. */
static int write_state(const json_t *state, int *ret) {
  char *text = json_dumps(state, JSON_COMPACT);
  int made = memfd_create("pons-supervisor", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  int fd = made < 0 ? -1 : fcntl(made, F_DUPFD_CLOEXEC, SPAWN_FD_LEAST);
  int r = fd < 0 ? -errno : text ? folder_write(fd, (Bytes){(const uint8_t *)text, strlen(text)}) : -ENOMEM;

  if (r == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK) < 0)
    r = -errno;
  if (made >= 0)
    close(made);
  if (r < 0 && fd >= 0)
    close(fd);
  if (r == 0)
    *ret = fd;
  free(text);
  return r;
}

static int read_state(int fd, json_t **ret) {
  struct stat file;
  char *text = MAP_FAILED;
  int r = -EINVAL;

  if (fstat(fd, &file) == 0 && S_ISREG(file.st_mode) && file.st_size > 0 && file.st_size <= STATE_MAX_BYTES)
    text = mmap(NULL, (size_t)file.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
  if (text == MAP_FAILED)
    return r;
  *ret = json_loadb(text, (size_t)file.st_size, 0, NULL);
  munmap(text, (size_t)file.st_size);
  return *ret ? 0 : r;
}

int successor_take(json_t **ret, bool *ret_trial) {
  const char *variable = getenv(VARIABLE);
  char *end = NULL;
  long fd = variable ? strtol(variable, &end, 10) : 0;
  int r;

  *ret = NULL;
  *ret_trial = false;
  if (!variable)
    return 0;
  if (*variable == '\0' || *end || fd <= STDERR_FILENO || fd > INT32_MAX)
    return -EINVAL;
  unsetenv(VARIABLE); /* it is not for our children */
  r = read_state((int)fd, ret);
  close((int)fd);
  *ret_trial = r == 0 && json_is_true(json_object_get(*ret, "trial"));
  return r;
}

/* --- execve --- */

static void fail(Successor *successor, const char *why) {
  successor->handler.on_failed(successor->handler.userdata, why);
}

/* Returns only when it has not come about. */
static void execute(Successor *successor) {
  json_t *state = state_of(successor);
  char number[16];
  char why[96];
  int fd = -1;
  int r = state ? write_state(state, &fd) : -EBUSY;

  if (r == 0) {
    snprintf(number, sizeof number, "%d", fd);
    setenv(VARIABLE, number, 1);
    fcntl(fd, F_SETFD, 0);
    successor->handler.on_pass(successor->handler.userdata, state, true);
    execve(successor->program, (char *const *)(uintptr_t)successor->arguments, environ);
    r = -errno;
    successor->handler.on_pass(successor->handler.userdata, state, false);
    unsetenv(VARIABLE);
    close(fd);
  }
  json_decref(state);
  snprintf(why, sizeof why, "it can't be executed: %s", strerror(-r));
  fail(successor, why);
}

/* --- the trial --- */

static void on_late(void *userdata, uint64_t now_us _unused_) {
  Successor *successor = userdata;

  successor->late = true;
  spawn_signal(successor->pid, SIGKILL);
}

/* Of a line that is longer than there is room for, its beginning. */
static void take_said(Successor *successor, const char *bytes, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (bytes[i] == '\n') {
      successor->line_over = true;
      continue;
    }
    if (successor->line_over)
      successor->said_size = 0;
    successor->line_over = false;
    if (successor->said_size < SAID_BYTES - 1)
      successor->said[successor->said_size++] = bytes[i];
  }
  successor->said[successor->said_size] = '\0';
}

/* What is there now, or a piece of it. Returns false when there is nothing. */
static bool read_said(Successor *successor) {
  char bytes[READ_BYTES];
  ssize_t size = read(successor->said_fd, bytes, sizeof bytes);

  if (size > 0)
    take_said(successor, bytes, (size_t)size);
  else if (size == 0)
    loop_fd_destroy(&successor->said_watch);
  return size > 0;
}

/* Read while it runs: who says more than a pipe holds would wait for us, and we for it. */
static void on_said(void *userdata, int fd _unused_, uint32_t revents _unused_) {
  read_said(userdata);
}

static void on_trial_end(void *userdata, pid_t pid _unused_, int status) {
  Successor *successor = userdata;
  char why[SAID_BYTES + 128];
  char end[96];

  successor->pid = 0;
  loop_timer_set(successor->timer, TIME_NEVER);
  for (int i = 0; i < READS_AT_END && read_said(successor); i++) /* more than a pipe holds somebody else is saying */
    continue;
  loop_fd_destroy(&successor->said_watch);
  if (status == 0 && strcmp(successor->said, SUCCESSOR_YES) == 0) {
    execute(successor);
    return;
  }
  spawn_describe_end(status, end, sizeof end);
  snprintf(why, sizeof why, "it would not go on from here: %s%s%s", successor->late ? "no word in time" : end,
           *successor->said ? ": " : "", successor->said);
  fail(successor, why);
}

static int spawn_trial(Successor *successor, int state_fd) {
  Spawn spawn = {.program = successor->program,
                 .arguments = (char *const *)(uintptr_t)successor->arguments,
                 .listen_fds = &state_fd,
                 .listen_count = 1};
  int fds[2];
  int r;

  if (pipe2(fds, O_CLOEXEC) < 0)
    return -errno;
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  setenv(VARIABLE, "3", 1);
  spawn.environment = environ;
  spawn.output_fd = fds[1];
  r = spawn_process(&spawn, &successor->pid);
  unsetenv(VARIABLE);
  close(fds[1]);
  successor->said_fd = fds[0];
  return r;
}

static int begin_trial(Successor *successor, uint64_t patience_us) {
  json_t *state = state_of(successor);
  int fd = -1;
  int r = state ? json_object_set_new(state, "trial", json_true()) : -EBUSY;

  if (r == 0)
    r = write_state(state, &fd);
  json_decref(state);
  if (r == 0)
    r = spawn_trial(successor, fd);
  if (fd >= 0)
    close(fd);
  if (r == 0)
    r = loop_watch_child(successor->loop, successor->pid, on_trial_end, successor);
  if (r == 0)
    r = loop_watch_fd(successor->loop, successor->said_fd, EPOLLIN, on_said, successor, &successor->said_watch);
  if (r == 0)
    loop_timer_set(successor->timer, clock_monotonic_us() + patience_us);
  return r;
}

int successor_new(Successor **ret, Loop *loop, const char *program, const char *const *arguments, uint64_t patience_us,
                  const SuccessorHandler *handler) {
  _cleanup_(successor_destroy) Successor *successor = calloc(1, sizeof *successor);
  int r;

  if (!successor)
    return -ENOMEM;
  *successor = (Successor){.loop = loop, .arguments = arguments, .handler = *handler, .said_fd = -1};
  successor->program = strdup(program);
  if (!successor->program)
    return -ENOMEM;
  r = loop_timer_new(loop, on_late, successor, &successor->timer);
  if (r == 0)
    r = begin_trial(successor, patience_us);
  if (r < 0)
    return r;
  *ret = TAKE(successor);
  return 0;
}

void successor_destroy(Successor **successor) {
  Successor *gone = TAKE(*successor);

  if (!gone)
    return;
  if (gone->pid) {
    loop_unwatch_child(gone->loop, gone->pid);
    spawn_signal(gone->pid, SIGKILL);
    waitpid(gone->pid, NULL, 0);
  }
  loop_fd_destroy(&gone->said_watch);
  if (gone->said_fd >= 0)
    close(gone->said_fd);
  loop_timer_destroy(&gone->timer);
  free(gone->program);
  free(gone);
}
