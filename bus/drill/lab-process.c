#include "bus/drill/lab-internal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STOP_MS = 10000 };

extern char **environ;

/* What the machines get of our environment: nothing that is meant for another fleet, and nobody to be told of READY. */
static void clean_environment(void) {
  static const char own[] = "PONS_";

  for (char **at = environ; *at;) {
    char name[128];
    size_t size = strcspn(*at, "=");

    if (size >= sizeof name || (strncmp(*at, own, sizeof own - 1) != 0 && strncmp(*at, "NOTIFY_SOCKET", size) != 0)) {
      at++;
      continue;
    }
    memcpy(name, *at, size);
    name[size] = '\0';
    unsetenv(name);
    at = environ;
  }
}

/* In the child. Returns only when it can't go on. */
static void become(int net, int in, int out, const char *const *arguments, pid_t parent) {
  sigset_t none;

  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);
  signal(SIGPIPE, SIG_DFL);
  if (net >= 0)
    clean_environment();
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || setpgid(0, 0) < 0 || getppid() != parent ||
      (net >= 0 && setns(net, CLONE_NEWNET) < 0) || dup2(in, STDIN_FILENO) < 0 || dup2(out, STDOUT_FILENO) < 0 ||
      dup2(out, STDERR_FILENO) < 0)
    return;
  execvp(arguments[0], (char *const *)(uintptr_t)arguments);
}

static int start(int net, int in, int out, const char *const *arguments, pid_t *ret) {
  pid_t parent = getpid();
  pid_t pid = fork();

  if (pid == 0) {
    become(net, in, out, arguments, parent);
    _exit(LAB_EXIT_NOT_STARTED);
  }
  *ret = pid;
  return pid < 0 ? -errno : 0;
}

int lab_process_spawn(int in, int out, const char *const *arguments, pid_t *ret) {
  return start(-1, in, out, arguments, ret);
}

int lab_process_start(const LabBox *box, const char *const *arguments, pid_t *ret) {
  int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int log = open(box->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  int r = null < 0 || log < 0 ? -errno : start(box->net, null, log, arguments, ret);

  if (null >= 0)
    close(null);
  if (log >= 0)
    close(log);
  return r;
}

int lab_process_await(pid_t *pid, uint32_t timeout_ms, int *ret_status) {
  int fd = pidfd_open(*pid, 0);
  int r = fd < 0 ? -errno : 0;

  if (r == 0 && poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, (int)timeout_ms) != 1)
    r = -ETIMEDOUT;
  if (r == 0 && waitpid(*pid, ret_status, 0) < 0)
    r = -errno;
  if (r == 0)
    *pid = 0;
  if (fd >= 0)
    close(fd);
  return r;
}

void lab_process_stop(pid_t *pid) {
  int status;

  if (*pid <= 0)
    return;
  kill(*pid, SIGTERM);
  if (lab_process_await(pid, STOP_MS, &status) == 0)
    return;
  kill(*pid, SIGKILL);
  waitpid(*pid, NULL, 0);
  *pid = 0;
}

int lab_process_ip(int net, const char *commands) {
  static const char *const arguments[] = {"ip", "-batch", "-", NULL};
  int lines[2];
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  size_t size = strlen(commands);
  int status = 0;
  pid_t pid;
  int r;

  if (null < 0)
    return -errno;
  if (pipe2(lines, O_CLOEXEC) < 0) {
    r = -errno;
    close(null);
    return r;
  }
  r = start(net, lines[0], null, arguments, &pid);
  close(lines[0]);
  close(null);
  if (r == 0 && write(lines[1], commands, size) != (ssize_t)size)
    r = -EIO;
  close(lines[1]);
  if (pid > 0 && (waitpid(pid, &status, 0) < 0 || status != 0) && r == 0)
    r = WIFEXITED(status) && WEXITSTATUS(status) == LAB_EXIT_NOT_STARTED ? -ENOENT : -EIO;
  return r;
}
