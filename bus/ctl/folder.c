#include "bus/ctl/folder.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

void folder_name(const Config *config, Folder *ret) {
  snprintf(ret->pid, sizeof ret->pid, "%s/pons.pid", config->runtime_dir);
  snprintf(ret->control, sizeof ret->control, "%s/ctl.sock", config->runtime_dir);
  snprintf(ret->log, sizeof ret->log, "%s/pons.log", config->state_dir);
}

int folder_make(const char *path) {
  char part[FOLDER_PATH_BYTES];
  struct stat status;

  if (strlen(path) >= sizeof part)
    return -ENAMETOOLONG;
  for (size_t i = 1; path[i - 1]; i++) {
    if (path[i] != '/' && path[i] != '\0')
      continue;
    memcpy(part, path, i);
    part[i] = '\0';
    if (mkdir(part, 0700) < 0 && errno != EEXIST)
      return -errno;
  }
  if (stat(path, &status) < 0)
    return -errno;
  if (!S_ISDIR(status.st_mode))
    return -ENOTDIR;
  return status.st_uid == geteuid() || status.st_uid == 0 ? 0 : FOLDER_E_FOREIGN;
}

int folder_write(int fd, Bytes bytes) {
  while (bytes.size > 0) {
    ssize_t n = write(fd, bytes.data, bytes.size);

    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return -errno;
    bytes = (Bytes){bytes.data + n, bytes.size - (size_t)n};
  }
  return 0;
}
