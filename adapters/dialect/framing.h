/* What:      how a stream of an answer is cut into events: one row per way of doing it.
 * Owns:      nothing; a state belongs to who made it.
 * May use:   base, sse.
 * Threading: one thread per state; pure.
 * Spec:      docs/providers.md */
#ifndef PONS_DIALECT_FRAMING_H
#define PONS_DIALECT_FRAMING_H

#include "bus/base/buffer.h"

/* type is empty where the framing has none. Both are borrowed during the callback. */
typedef void OnFrame(void *userdata, Text type, Text data);

typedef struct Framing {
  const char *content_type; /* by which an answer says that it is such a stream */
  size_t state_bytes;       /* all zero is the beginning of a stream */
  /* Takes the next bytes, in any pieces, and calls on_frame for each event that is whole. Returns NULL, or says what is
     wrong with the stream, which can't be read on then. */
  const char *(*feed)(void *state, Bytes bytes, OnFrame *on_frame, void *userdata);
  void (*done)(void *state); /* frees what a state holds, not the state */
} Framing;

extern const Framing framing_sse;   /* server-sent events */
extern const Framing framing_raw;   /* bytes as they come */
extern const Framing framing_lines; /* an object of JSON in each line */

#endif
