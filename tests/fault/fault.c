/* Preloaded into a program, makes the n-th call of one function fail with an errno of choice. FAULT=FUNCTION:N:ERRNO,
   FAULT_PROGRAM=NAME (else every program), FAULT_MARK=FILE (made when the call has failed).
   Left alone: writes of 8 bytes, which are the wake-ups of an eventfd and can't fail in life, and files that are only
   read. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static char function[32];
static int at, number;
static atomic_int calls;

__attribute__((constructor)) static void begin(void) {
  const char *fault = getenv("FAULT");
  const char *program = getenv("FAULT_PROGRAM");

  if (!fault || (program && strcmp(program, program_invocation_short_name) != 0) ||
      sscanf(fault, "%31[a-z0-9_]:%d:%d", function, &at, &number) != 3)
    function[0] = '\0';
}

/* Says that it has happened, by system calls of its own. */
static void leave_mark(void) {
  const char *path = getenv("FAULT_MARK");

  if (path)
    syscall(SYS_close, syscall(SYS_open, path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static int fails(const char *name) {
  if (strcmp(name, function) != 0 || atomic_fetch_add(&calls, 1) + 1 != at)
    return 0;
  leave_mark();
  errno = number;
  return 1;
}

/* The function behind ours. */
#define NEXT(result, name, ...)                                                                                        \
  static result (*next)(__VA_ARGS__);                                                                                  \
  if (!next)                                                                                                           \
    *(void **)&next = dlsym(RTLD_NEXT, name);                                                                          \
  if (fails(name))                                                                                                     \
  return -1

ssize_t send(int fd, const void *data, size_t size, int flags) {
  NEXT(ssize_t, "send", int, const void *, size_t, int);
  return next(fd, data, size, flags);
}

ssize_t sendmsg(int fd, const struct msghdr *message, int flags) {
  NEXT(ssize_t, "sendmsg", int, const struct msghdr *, int);
  return next(fd, message, flags);
}

ssize_t recv(int fd, void *data, size_t size, int flags) {
  NEXT(ssize_t, "recv", int, void *, size_t, int);
  return next(fd, data, size, flags);
}

ssize_t readv(int fd, const struct iovec *parts, int count) {
  NEXT(ssize_t, "readv", int, const struct iovec *, int);
  return next(fd, parts, count);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) {
  NEXT(ssize_t, "pwrite", int, const void *, size_t, off_t);
  return next(fd, data, size, offset);
}

static ssize_t write_checked(int fd, const void *data, size_t size) {
  NEXT(ssize_t, "write", int, const void *, size_t);
  return next(fd, data, size);
}

ssize_t write(int fd, const void *data, size_t size) {
  return size == 8 ? syscall(SYS_write, fd, data, size) : write_checked(fd, data, size);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
  NEXT(ssize_t, "writev", int, const struct iovec *, int);
  return next(fd, parts, count);
}

int socket(int domain, int type, int protocol) {
  NEXT(int, "socket", int, int, int);
  return next(domain, type, protocol);
}

int epoll_create1(int flags) {
  NEXT(int, "epoll_create1", int);
  return next(flags);
}

int epoll_ctl(int fd, int operation, int of, struct epoll_event *event) {
  NEXT(int, "epoll_ctl", int, int, int, struct epoll_event *);
  return next(fd, operation, of, event);
}

int eventfd(unsigned count, int flags) {
  NEXT(int, "eventfd", unsigned, int);
  return next(count, flags);
}

int timerfd_create(int clock, int flags) {
  NEXT(int, "timerfd_create", int, int);
  return next(clock, flags);
}

int timerfd_settime(int fd, int flags, const struct itimerspec *to, struct itimerspec *was) {
  NEXT(int, "timerfd_settime", int, int, const struct itimerspec *, struct itimerspec *);
  return next(fd, flags, to, was);
}

int signalfd(int fd, const sigset_t *mask, int flags) {
  NEXT(int, "signalfd", int, const sigset_t *, int);
  return next(fd, mask, flags);
}

int pipe2(int fds[2], int flags) {
  NEXT(int, "pipe2", int *, int);
  return next(fds, flags);
}

static int open_checked(const char *path, int flags, mode_t mode) {
  NEXT(int, "open", const char *, int, mode_t);
  return next(path, flags, mode);
}

int open(const char *path, int flags, ...) {
  mode_t mode = 0;
  va_list arguments;

  va_start(arguments, flags);
  if (flags & (O_CREAT | O_TMPFILE))
    mode = va_arg(arguments, mode_t);
  va_end(arguments);
  if ((flags & O_ACCMODE) == O_RDONLY && !(flags & O_CREAT))
    return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
  return open_checked(path, flags, mode);
}
