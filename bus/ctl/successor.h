/* What:      another program in the place of this one, in the same process: it is tried out on the state that it is to go on
 *            from, and then executed.
 * Owns:      the trial's process, and the file in memory that has the state.
 * May use:   base, loop, jansson.
 * Threading: the loop thread, which must be the main thread.
 * Spec:      docs/adr/0037-rolling-upgrade.md, "The supervisor itself" */
#ifndef PONS_CTL_SUCCESSOR_H
#define PONS_CTL_SUCCESSOR_H

#include <jansson.h>

#include "bus/loop/loop.h"

typedef struct Successor Successor;

#define SUCCESSOR_YES                                                                                                  \
  "it goes on from here" /* what a program that can take the place says at a trial, on standard output */

typedef struct SuccessorHandler {
  /* The state as it is now, the caller's reference; NULL = there can be none now. */
  json_t *(*on_save)(void *userdata);
  /* Has the descriptors that the state names outlive execve, or not. */
  void (*on_pass)(void *userdata, const json_t *state, bool on);
  /* It has not come about, and why; all is as before. The successor may be destroyed. */
  void (*on_failed)(void *userdata, const char *why);
  void *userdata;
} SuccessorHandler;

/* Starts the trial: program (a path, copied) with arguments (argv, borrowed) takes the state with successor_take, and says
   SUCCESSOR_YES and ends with 0, or says what is wrong. Then program is executed with the same arguments, and this does not come
   back. A trial that has not ended after patience_us is killed. Returns 0 and gives the caller *ret; negative errno when the trial could not be started. */
int successor_new(Successor **ret, Loop *loop, const char *program, const char *const *arguments, uint64_t patience_us,
                  const SuccessorHandler *handler);
/* Ends the trial; takes NULL, nulls the pointer. */
void successor_destroy(Successor **successor);

/* In the program itself: the state that it was handed, or NULL in *ret when there is none. True in *ret_trial: it is to be looked
   at, no more. Returns 0 and gives the caller the reference; -EINVAL when what was handed is no state. */
int successor_take(json_t **ret, bool *ret_trial);

#endif
