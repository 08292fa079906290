/* What:      the unix socket by which `pons status`, `down` and `upgrade` talk to the supervisor: one line in, one line of
 *            JSON out.
 * Owns:      the listening socket, its file and its connections.
 * May use:   base, loop, jansson.
 * Threading: the loop thread; control_ask from any, it blocks.
 * Spec:      docs/adr/0007-supervisor.md, "Control socket" */
#ifndef PONS_CTL_CONTROL_H
#define PONS_CTL_CONTROL_H

#include <jansson.h>

#include "bus/base/buffer.h"
#include "bus/loop/loop.h"

typedef struct Control Control;

enum {
  CONTROL_E_NOBODY = 1, /* nobody listens there */
  CONTROL_E_TIMEOUT,    /* no answer in time */
  CONTROL_E_GARBLED,    /* the answer is no JSON */
  CONTROL_E_CUT,        /* somebody listens there, and hung up three times without an answer */
};

enum { CONTROL_WORD_BYTES = 4400 /* the longest line that is asked: a path and some words */ };

/* Answers one line; the caller gives the reference away. NULL = it is not understood; json_null() = control_answer will tell
   later. */
typedef json_t *ControlAnswer(void *userdata, const char *word);

/* Listens at path, in place of what is there, for processes of the same user and of root; with a descriptor fd >= 0, which is
   control's from then on, goes on with that one, which listens at path. Returns 0 and gives the caller
   *ret; -ENAMETOOLONG when path is over 107 bytes, or another negative errno; then *ret is left alone. */
int control_new(Control **ret, Loop *loop, const char *path, int fd, ControlAnswer *answer, void *userdata);
/* The descriptor at which it listens. */
int control_fd(const Control *control);
/* Answers all who wait for later; takes the reference. */
void control_answer(Control *control, json_t *answer);
/* Closes everything and removes the file; takes NULL, nulls the pointer. Who waits in control_ask sees the end. */
void control_destroy(Control **control);

/* Says word to the supervisor that listens at path and reads its answer; then, when until_end, waits until it has
   ended. Blocks up to timeout_ms. Returns 0 and gives the caller a reference in *ret; a CONTROL_E_ or negative errno and
   leaves *ret alone. When the end does not come in time: CONTROL_E_TIMEOUT. */
int control_ask(const char *path, const char *word, bool until_end, uint64_t timeout_ms, json_t **ret);

#endif
