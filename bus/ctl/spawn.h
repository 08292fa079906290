/* What:      starts one child process: its own process group, its output into a pipe, dead when its parent dies.
 * Owns:      nothing that outlives a call.
 * May use:   base.
 * Threading: spawn_process from the main thread: the child is killed when the thread that started it ends.
 * Spec:      vfork(2), prctl(2) PR_SET_PDEATHSIG; docs/adr/0007-supervisor.md */
#ifndef PONS_CTL_SPAWN_H
#define PONS_CTL_SPAWN_H

#include <sys/types.h>

#include "bus/base/types.h"

enum { SPAWN_FD_LEAST = 64, SPAWN_PID_DIGITS = 10 };

typedef struct Spawn {
  const char *program;      /* a path */
  char *const *arguments;   /* argv, the program's name first, NULL at its end */
  char *const *environment; /* all of it, NULL at its end; secrets go here and never into arguments */
  int output_fd;            /* becomes its standard output and standard error */
  const int *
      listen_fds; /* become 3, 4, ...: sockets that it listens at, as sd_listen_fds(3) has them; each SPAWN_FD_LEAST or above */
  uint32_t listen_count;
  char *listen_pid; /* where in environment its own process id is to stand, room for SPAWN_PID_DIGITS; NULL = nowhere */
} Spawn;

/* Starts a process with no signal blocked or ignored and /dev/null as standard input. Takes some hundred microseconds
   whatever the size of the caller: memory is shared with the child until it has called execve. Returns 0 and sets
   *ret; negative errno, also of execve (-ENOENT, -EACCES, -ENOEXEC), and leaves *ret alone. */
int spawn_process(const Spawn *spawn, pid_t *ret);

/* Finds the program: a name with '/' is a path; any other is looked for beside the running program, then in $PATH.
   Returns 0 and writes its path; -ENOENT or -ENAMETOOLONG, and ret is left alone. */
int spawn_find_program(const char *name, char *ret, size_t size_bytes);

/* Sends a signal to the process group of a child. Nothing happens when it has ended. */
void spawn_signal(pid_t pid, int signal_number);

/* Writes how a process ended, from a status as of waitpid(2): "exit status 3", "killed by signal 9 (Killed)". Returns
   ret. */
const char *spawn_describe_end(int status, char *ret, size_t size_bytes);

#endif
