/* What:      where the supervisor's lines go: standard output, or a file that is renamed to FILE.1 when it is full.
 * Owns:      the file it has opened.
 * May use:   base.
 * Threading: one thread.
 * Spec:      docs/adr/0007-supervisor.md, "Output" */
#ifndef PONS_CTL_OUTPUT_H
#define PONS_CTL_OUTPUT_H

#include "bus/base/types.h"

/* Made with output_to_fd or output_to_file. */
typedef struct Output {
  int fd;
  const char *path; /* borrowed; NULL = fd is not ours */
  uint64_t size_bytes;
  uint64_t limit_bytes;
  uint64_t lost_writes; /* since somebody last read */
} Output;

/* Lines go to fd, which stays the caller's. */
void output_to_fd(Output *output, int fd);
/* Lines are appended to the file at path, which is made with mode 0600. At limit_bytes it becomes path.1 and a new one is begun.
   Returns 0 or negative errno. */
int output_to_file(Output *output, const char *path, uint64_t limit_bytes);
/* Writes whole lines. When nobody reads (a stopped terminal, a full pipe) they are lost after 20 ms and counted, and the
   count is written once somebody reads again: the supervisor must not wait for a reader. */
void output_write(Output *output, Bytes lines);
/* Closes the file. Usable as _cleanup_. */
void output_done(Output *output);

#endif
