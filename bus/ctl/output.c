#include "bus/ctl/output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a pipe that is ready takes without blocking: pipe(7), PIPE_BUF. */
enum { PIECE_BYTES = PIPE_BUF, PATIENCE_MS = 20 };

void output_to_fd(Output *output, int fd) {
  *output = (Output){.fd = fd};
}

static int open_file(Output *output) {
  struct stat status;
  int fd = open(output->path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);

  if (fd < 0)
    return -errno;
  output->fd = fd;
  output->size_bytes = fstat(fd, &status) == 0 ? (uint64_t)status.st_size : 0;
  return 0;
}

int output_to_file(Output *output, const char *path, uint64_t limit_bytes) {
  *output = (Output){.fd = -1, .path = path, .limit_bytes = limit_bytes};
  return open_file(output);
}

void output_done(Output *output) {
  if (output->path && output->fd >= 0)
    close(output->fd);
  output->fd = -1;
}

/* The standard output and error of a detached supervisor are the same file, so they move with it. */
static void rotate(Output *output) {
  char old[PATH_MAX];
  int before = output->fd;

  if (snprintf(old, sizeof old, "%s.1", output->path) >= (int)sizeof old || rename(output->path, old) < 0)
    return;
  if (open_file(output) < 0) {
    output->fd = before;
    return;
  }
  close(before);
}

static bool write_piece(int fd, Bytes piece, int patience_ms) {
  struct pollfd ready = {.fd = fd, .events = POLLOUT};

  while (piece.size) {
    ssize_t size;

    if (poll(&ready, 1, patience_ms) != 1 || !(ready.revents & POLLOUT))
      return false;
    size = write(fd, piece.data, piece.size);
    if (size < 0 && errno != EINTR)
      return false;
    if (size > 0)
      piece = (Bytes){piece.data + size, piece.size - (size_t)size};
  }
  return true;
}

/* As many whole lines as fit into a piece; a longer line alone. */
static size_t piece_size(Bytes lines) {
  const uint8_t *newline;

  if (lines.size <= PIECE_BYTES)
    return lines.size;
  newline = memrchr(lines.data, '\n', PIECE_BYTES);
  return newline ? (size_t)(newline - lines.data) + 1 : PIECE_BYTES;
}

static bool tell_loss(Output *output) {
  char text[96];
  int size;

  if (output->lost_writes == 0)
    return true;
  size = snprintf(text, sizeof text, "pons | output was not read: %" PRIu64 " pieces of it are lost\n",
                  output->lost_writes);
  if (!write_piece(output->fd, (Bytes){(const uint8_t *)text, (size_t)size}, 0))
    return false;
  output->lost_writes = 0;
  return true;
}

void output_write(Output *output, Bytes lines) {
  while (lines.size && output->fd >= 0) {
    Bytes piece = {lines.data, piece_size(lines)};

    lines = (Bytes){lines.data + piece.size, lines.size - piece.size};
    if (tell_loss(output) && write_piece(output->fd, piece, PATIENCE_MS))
      output->size_bytes += piece.size;
    else
      output->lost_writes++;
  }
  if (output->path && output->size_bytes >= output->limit_bytes)
    rotate(output);
}
