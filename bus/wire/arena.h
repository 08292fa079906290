/* What:      Arena, memory that is taken piece by piece and given back as a whole: the lists of one decoded message.
 * Owns:      its chunks.
 * May use:   base/types.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_WIRE_ARENA_H
#define PONS_WIRE_ARENA_H

#include "bus/base/types.h"

#define ARENA_LIMIT_BYTES (4u << 20) /* the limit of an arena that names none */

/* All zero is an empty arena with the usual limit; it allocates when something is first taken. */
typedef struct Arena {
  struct ArenaChunk *chunks; /* newest first */
  size_t taken_bytes;        /* since the last clear */
  size_t limit_bytes;        /* of taken_bytes; 0 = ARENA_LIMIT_BYTES */
} Arena;

/* size_bytes of zeroed memory, aligned for everything, valid until clear or done. NULL when that would pass the limit;
   aborts when memory is out. */
void *arena_take(Arena *arena, size_t size_bytes);
/* Gives all pieces back and keeps one chunk, so that a loop over messages soon allocates nothing. */
void arena_clear(Arena *arena);
/* Frees everything; the arena is empty and can be used again. Usable as _cleanup_. */
void arena_done(Arena *arena);

#endif
