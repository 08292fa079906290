/* What:      what a load and its process share.
 * Owns:      nothing.
 * May use:   base.
 * Threading: each field has one writer; the other side reads it after the line says so, or has ended.
 * Spec:      - */
#ifndef PONS_DRILL_LOAD_INTERNAL_H
#define PONS_DRILL_LOAD_INTERNAL_H

#include "bus/drill/load.h"

enum { LOAD_ERROR_BYTES = 160 };

/* In memory that both processes map. The process writes all of it but the first. */
typedef struct LoadShared {
  _Atomic uint64_t last_us; /* when the last request may be due; 0 = as long as was said at first */
  char error[LOAD_ERROR_BYTES];
  uint32_t asked;
  uint32_t instance_count;
  LoadInstance instances[LOAD_INSTANCES_MAX];
  LoadSample samples[];
} LoadShared;

/* The process: connects, writes a byte to line, reads from it when to begin, and asks. Returns its exit status. */
int load_work(const LoadOptions *options, LoadShared *shared, uint32_t room, int line);

#endif
