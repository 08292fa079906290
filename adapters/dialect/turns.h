/* What:      a list of turns: what one speaker says in several messages is one turn of several blocks.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      the references of Anthropic, Gemini and Bedrock, which want speakers to alternate */
#ifndef PONS_DIALECT_TURNS_H
#define PONS_DIALECT_TURNS_H

#include "bus/base/buffer.h"

/* A list that is being written. */
typedef struct Turns {
  Buffer *out;
  const char *const *openings; /* by the dialect's kind of turn, from 1 on: {"role":"user","content":[ */
  unsigned kind;               /* of the turn that is open; 0: none is */
} Turns;

/* Goes on with a block of a turn of this kind: in the one that is open, or in a new one. */
void turns_next(Turns *turns, unsigned kind);
/* Closes the turn that is open. Returns whether there was any. */
bool turns_end(Turns *turns);

#endif
