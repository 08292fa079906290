#include "bus/loop/limits-setup.h"

#include <errno.h>
#include <sys/resource.h>

int loop_raise_nofile(uint64_t *ret_limit) {
  struct rlimit limit;

  if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
    return -errno;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
      return -errno;
  }
  if (ret_limit)
    *ret_limit = (uint64_t)limit.rlim_cur;
  return 0;
}
