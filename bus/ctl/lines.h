/* What:      what a child process writes, cut into lines with its name before each: "echo | ready".
 * Owns:      the bytes of the line that is not complete yet.
 * May use:   base.
 * Threading: one thread; pure.
 * Spec:      docs/pons.1.md, "up" */
#ifndef PONS_CTL_LINES_H
#define PONS_CTL_LINES_H

#include "bus/base/buffer.h"

enum {
  LINE_MAX_BYTES = 8192,  /* a longer line is cut into several */
  LINES_LAST_BYTES = 200, /* of the last line that are kept */
};

/* Made with {.name = ...}; name is borrowed. */
typedef struct Lines {
  const char *name;
  uint32_t name_width; /* names are padded to this */
  Buffer rest;
  char last[LINES_LAST_BYTES + 1]; /* the beginning of the last line that was not empty */
} Lines;

/* Takes what was read and appends to ret each line that is complete, with prefix and newline. */
void lines_push(Lines *lines, Bytes bytes, Buffer *ret);
/* Appends what is left as a last line, if anything is. */
void lines_flush(Lines *lines, Buffer *ret);
/* Frees what is left. Usable as _cleanup_. */
void lines_done(Lines *lines);

#endif
