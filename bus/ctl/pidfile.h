/* What:      the file that says which supervisor holds a runtime folder; locked, so a dead holder's file is no obstacle.
 * Owns:      the file and its lock, for as long as the descriptor is open.
 * May use:   the C library.
 * Threading: any.
 * Spec:      flock(2); docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_PIDFILE_H
#define PONS_CTL_PIDFILE_H

#include <sys/types.h>

enum { PIDFILE_E_HELD = 1 }; /* a living process holds it */

/* Takes path for this process. The lock is of the open file, so it survives a fork as long as one of both has it open.
   Returns 0 and gives the caller *ret_fd; PIDFILE_E_HELD and sets *ret_holder (0 = it has not written its id yet);
   negative errno. What is not named here is left alone. Does not wait. */
int pidfile_take(const char *path, int *ret_fd, pid_t *ret_holder);
/* Writes the caller's process id. Returns 0 or negative errno. */
int pidfile_write(int fd);
/* Removes the file and gives the lock up; sets *fd to -1. Does nothing for -1. */
void pidfile_drop(const char *path, int *fd);

#endif
