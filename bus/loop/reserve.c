#include "bus/loop/reserve.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static _Atomic int reserve = -1;

int descriptors_reserve(void) {
  int none = -1;
  int fd;

  if (atomic_load(&reserve) >= 0)
    return 0;
  fd = eventfd(0, EFD_CLOEXEC);
  if (fd < 0)
    return -errno;
  if (!atomic_compare_exchange_strong(&reserve, &none, fd))
    close(fd);
  return 0;
}

void descriptors_turn_away(int listener) {
  int fd = atomic_exchange(&reserve, -1);

  if (fd >= 0)
    close(fd);
  fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
  if (fd >= 0)
    close(fd);
  descriptors_reserve();
}
