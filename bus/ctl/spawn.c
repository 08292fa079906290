/* vfork and not fork: sixty agents have to be up in a fraction of a second, and fork copies the page tables of the caller
   for each. vfork and not posix_spawn: posix_spawn can't set PR_SET_PDEATHSIG. Between vfork and execve the child runs on
   the caller's memory while the caller waits, so it only makes system calls there, and tells its error in a variable. */
#include "bus/ctl/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_NOT_STARTED = 127 };

static void reset_signals(void) {
  static const int ignored[] = {SIGPIPE, SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGCHLD, SIGABRT};
  struct sigaction action = {.sa_handler = SIG_DFL};
  sigset_t none;

  for (size_t i = 0; i < ELEMENTS(ignored); i++)
    sigaction(ignored[i], &action, NULL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Without leading zeros, which would make it octal for who reads it. */
static void write_pid(char *at, pid_t pid) {
  int digits = 1;

  for (pid_t rest = pid; rest >= 10; rest /= 10)
    digits++;
  at[digits] = '\0';
  while (digits-- > 0) {
    at[digits] = (char)('0' + pid % 10);
    pid /= 10;
  }
}

/* In the child. */
static int hand_down(const Spawn *spawn) {
  for (uint32_t i = 0; i < spawn->listen_count; i++)
    if (dup2(spawn->listen_fds[i], STDERR_FILENO + 1 + (int)i) < 0)
      return errno;
  if (spawn->listen_pid)
    write_pid(spawn->listen_pid, getpid());
  return 0;
}

/* In the child. Returns only when it can't go on. */
static int become(const Spawn *spawn, int null_fd, pid_t parent) {
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, 0) < 0)
    return errno;
  if (getppid() != parent)
    return ESRCH; /* the parent died before it could take us with it */
  if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(spawn->output_fd, STDOUT_FILENO) < 0 ||
      dup2(spawn->output_fd, STDERR_FILENO) < 0)
    return errno;
  if (hand_down(spawn) != 0)
    return errno;
  reset_signals();
  execve(spawn->program, spawn->arguments, spawn->environment);
  return errno;
}

/* The caller's signals are blocked over vfork: a handler of the caller must not run in the child. */
static int vfork_and_become(const Spawn *spawn, int null_fd, pid_t *ret) {
  volatile int error = 0;
  pid_t parent = getpid();
  sigset_t all, before;
  pid_t pid;

  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, &before);
  pid = vfork();
  if (pid == 0) {
    error = become(spawn, null_fd, parent);
    _exit(EXIT_NOT_STARTED);
  }
  if (pid < 0)
    error = errno;
  sigprocmask(SIG_SETMASK, &before, NULL);
  if (pid > 0 && error != 0)
    waitpid(pid, NULL, 0);
  if (error != 0)
    return -error;
  *ret = pid;
  return 0;
}

int spawn_process(const Spawn *spawn, pid_t *ret) {
  int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int r;

  if (null_fd < 0)
    return -errno;
  r = vfork_and_become(spawn, null_fd, ret);
  close(null_fd);
  return r;
}

static bool is_program(const char *path) {
  return access(path, X_OK) == 0;
}

/* Writes FOLDER/NAME into ret when it is a program. */
static int try_folder(Text folder, const char *name, char *ret, size_t size_bytes) {
  char path[4096];
  int size = snprintf(path, sizeof path, "%.*s/%s", TEXT_ARG(folder), name);

  if (size < 0 || (size_t)size >= sizeof path || (size_t)size >= size_bytes)
    return -ENAMETOOLONG;
  if (!is_program(path))
    return -ENOENT;
  memcpy(ret, path, (size_t)size + 1);
  return 0;
}

static int try_own_folder(const char *name, char *ret, size_t size_bytes) {
  char self[4096];
  ssize_t size = readlink("/proc/self/exe", self, sizeof self);
  const char *slash = size > 0 ? memrchr(self, '/', (size_t)size) : NULL;

  return slash ? try_folder((Text){self, (size_t)(slash - self)}, name, ret, size_bytes) : -ENOENT;
}

int spawn_find_program(const char *name, char *ret, size_t size_bytes) {
  const char *path = getenv("PATH");

  if (strchr(name, '/')) {
    if (strlen(name) >= size_bytes)
      return -ENAMETOOLONG;
    if (!is_program(name))
      return -ENOENT;
    memcpy(ret, name, strlen(name) + 1);
    return 0;
  }
  if (try_own_folder(name, ret, size_bytes) == 0)
    return 0;
  for (; path && *path; path += strcspn(path, ":"), path += *path == ':') {
    Text folder = {path, strcspn(path, ":")};

    if (folder.size && try_folder(folder, name, ret, size_bytes) == 0)
      return 0;
  }
  return -ENOENT;
}

void spawn_signal(pid_t pid, int signal_number) {
  /* The group is there since setpgid in the child, which came before execve and so before spawn_process returned. */
  if (pid > 0 && kill(-pid, signal_number) < 0)
    kill(pid, signal_number);
}

const char *spawn_describe_end(int status, char *ret, size_t size_bytes) {
  if (WIFSIGNALED(status))
    snprintf(ret, size_bytes, "killed by signal %d (%s)%s", WTERMSIG(status), strsignal(WTERMSIG(status)),
             WCOREDUMP(status) ? ", core dumped" : "");
  else
    snprintf(ret, size_bytes, "exit status %d", WEXITSTATUS(status));
  return ret;
}
