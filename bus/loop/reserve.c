/* libzmq calls accept4 through the dynamic linker, which finds the program's own before the C library's. Only a program
   that calls descriptors_reserve has this file linked in, and with it this accept4. */
#include "bus/loop/reserve.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic int reserve = -1;

int descriptors_reserve(void) {
  int fd = eventfd(0, EFD_CLOEXEC);

  if (fd < 0)
    return -errno;
  fd = atomic_exchange(&reserve, fd);
  if (fd >= 0)
    close(fd);
  return 0;
}

/* Takes the first of the waiting connections and closes it: its peer sees an end, and the listener is quiet again. */
static void turn_away(int listener) {
  int fd = atomic_exchange(&reserve, -1);

  if (fd >= 0)
    close(fd);
  fd = (int)syscall(SYS_accept4, listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0)
    close(fd);
  descriptors_reserve();
}

/* ECONNABORTED and ENFILE are what all of libzmq's listeners live with: every other lasting error becomes the one, a
   connection that was turned away is told as the other. The types are those of glibc's declaration, whose address is a union
   of all kinds of them. */
int accept4(int listener, __SOCKADDR_ARG address, socklen_t *restrict address_bytes, int flags) {
  int fd = (int)syscall(SYS_accept4, listener, address.__sockaddr__, address_bytes, flags);

  if (fd >= 0 || errno == EAGAIN || errno == EINTR)
    return fd;
  if (errno == EMFILE || errno == ENFILE) {
    turn_away(listener);
    errno = RESERVE_TURNED_AWAY;
  } else {
    errno = ECONNABORTED;
  }
  return -1;
}
