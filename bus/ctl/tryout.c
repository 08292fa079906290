#include "bus/ctl/tryout.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/base/clock.h"
#include "bus/ctl/spawn.h"

/* Waits until fd is readable. Returns false when the time is over first. */
static bool wait_for(int fd, uint64_t deadline_us) {
  struct pollfd ready = {.fd = fd, .events = POLLIN};

  for (;;) {
    uint64_t now_us = clock_monotonic_us();

    if (now_us >= deadline_us)
      return false;
    if (poll(&ready, 1, (int)((deadline_us - now_us) / US_PER_MS) + 1) > 0)
      return true;
  }
}

/* Reads until the other side has closed; what ret has no room for is passed over. */
static bool read_all(int fd, uint64_t deadline_us, char ret[TRYOUT_BYTES]) {
  char bytes[256];
  size_t size = 0;

  for (;;) {
    ssize_t got;
    size_t kept;

    if (!wait_for(fd, deadline_us))
      return false;
    got = read(fd, bytes, sizeof bytes);
    if (got <= 0)
      return true;
    kept = min_u64((uint64_t)got, TRYOUT_BYTES - 1 - size);
    memcpy(ret + size, bytes, kept);
    size += kept;
    ret[size] = '\0';
  }
}

/* Its status as of waitpid(2), after it has ended, or has been killed at the deadline. */
static int await_end(pid_t pid, uint64_t deadline_us) {
  int pidfd = pidfd_open(pid, 0);
  int status = 0;

  if (pidfd < 0 || !wait_for(pidfd, deadline_us))
    spawn_signal(pid, SIGKILL);
  if (pidfd >= 0)
    close(pidfd);
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
    continue;
  return status;
}

static int judge(int status, bool in_time, char ret[TRYOUT_BYTES]) {
  char said[TRYOUT_BYTES];
  char end[96];

  ret[strcspn(ret, "\n")] = '\0';
  if (in_time && status == 0)
    return 0;
  memcpy(said, ret, sizeof said);
  spawn_describe_end(status, end, sizeof end);
  snprintf(ret, TRYOUT_BYTES, "%s%s%.60s", in_time ? end : "it says nothing in time", *said ? ": " : "", said);
  return TRYOUT_E_BAD;
}

int tryout_version(const char *program, uint64_t timeout_ms, char ret[TRYOUT_BYTES]) {
  char *arguments[] = {(char *)(uintptr_t)program, (char[]){"--version"}, NULL};
  uint64_t deadline_us = clock_monotonic_us() + timeout_ms * US_PER_MS;
  bool in_time;
  pid_t pid;
  int fds[2];
  int r;

  if (pipe2(fds, O_CLOEXEC) < 0)
    return -errno;
  r = spawn_process(&(Spawn){.program = program, .arguments = arguments, .environment = environ, .output_fd = fds[1]},
                    &pid);
  close(fds[1]);
  if (r < 0) {
    close(fds[0]);
    snprintf(ret, TRYOUT_BYTES, "%s", strerror(-r));
    return TRYOUT_E_BAD;
  }
  *ret = '\0';
  in_time = read_all(fds[0], deadline_us, ret);
  close(fds[0]);
  return judge(await_end(pid, deadline_us), in_time, ret);
}
