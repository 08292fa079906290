#include "bus/ctl/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static pid_t read_holder(int fd) {
  char text[32] = "";
  ssize_t size = pread(fd, text, sizeof text - 1, 0);

  return size > 0 ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* True when path still names the file of fd: a holder that ends removes it, and a lock on a removed file is worthless. */
static int is_current(const char *path, int fd) {
  struct stat named, opened;

  return stat(path, &named) == 0 && fstat(fd, &opened) == 0 && named.st_ino == opened.st_ino &&
         named.st_dev == opened.st_dev;
}

int pidfile_take(const char *path, int *ret_fd, pid_t *ret_holder) {
  for (;;) {
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    int error;

    if (fd < 0)
      return -errno;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
      if (is_current(path, fd)) {
        *ret_fd = fd;
        return 0;
      }
      close(fd);
      continue;
    }
    error = errno;
    if (error == EWOULDBLOCK)
      *ret_holder = read_holder(fd);
    close(fd);
    return error == EWOULDBLOCK ? PIDFILE_E_HELD : -error;
  }
}

int pidfile_write(int fd) {
  char text[32];
  int size = snprintf(text, sizeof text, "%d\n", (int)getpid());
  ssize_t written;

  if (ftruncate(fd, 0) < 0)
    return -errno;
  written = pwrite(fd, text, (size_t)size, 0);
  if (written < 0)
    return -errno;
  return written == size ? 0 : -ENOSPC;
}

void pidfile_drop(const char *path, int *fd) {
  if (*fd < 0)
    return;
  unlink(path);
  close(*fd);
  *fd = -1;
}
