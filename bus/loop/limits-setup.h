/* What:      limits of the process that the kernel sets too low for a broker.
 * Owns:      nothing.
 * May use:   bus/base.
 * Threading: once, at the start of main.
 * Spec:      setrlimit(2) */
#ifndef PONS_LOOP_LIMITS_SETUP_H
#define PONS_LOOP_LIMITS_SETUP_H

#include "bus/base/types.h"

/* Raises the soft limit of open files to the hard limit (a connection is one). Returns 0 and what
   holds now in *ret_limit, which may be NULL; or negative errno with *ret_limit left alone. */
int loop_raise_nofile(uint64_t *ret_limit);

#endif
