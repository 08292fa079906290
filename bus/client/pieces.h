/* What:      the values of a stream out of its chunks, whose boundaries carry no meaning: several values may come in one chunk,
 *            and one in several.
 * Owns:      what came of a value that is not whole yet.
 * May use:   base, wire.
 * Threading: one thread; pure.
 * Spec:      docs/protocol.md, "Streams" */
#ifndef PONS_CLIENT_PIECES_H
#define PONS_CLIENT_PIECES_H

#include "bus/base/buffer.h"

enum { PIECE_MAX_BYTES = 4 << 20 };

enum {
  PIECES_E_MALFORMED = 1, /* not msgpack, or one value of over PIECE_MAX_BYTES; the stream can't be read on */
};

/* All zero is the beginning of a stream. */
typedef struct Pieces {
  Buffer rest;
} Pieces;

/* Takes the next chunk and calls on_piece for each value that is whole now; value is borrowed during the callback. Stops
   early when on_piece returns false: then what is behind that value is dropped. Returns 0 or PIECES_E_MALFORMED. */
int pieces_take(Pieces *pieces, Bytes chunk, bool (*on_piece)(void *userdata, Bytes value), void *userdata);
/* Whether the stream may end here. */
static inline bool pieces_is_whole(const Pieces *pieces) {
  return pieces->rest.size == 0;
}
/* Frees; the next pieces_take begins a new stream. Usable as _cleanup_. */
void pieces_done(Pieces *pieces);

#endif
