/* What:      packing: messages for one peer that are ready in one turn travel as one. Also how a message lies in memory
 *            before it is sent, packed or alone.
 * Owns:      a Pack owns its buffer.
 * May use:   base; header.
 * Threading: one thread per Pack.
 * Spec:      docs/protocol.md, "Packing" */
#ifndef PONS_WIRE_PACK_H
#define PONS_WIRE_PACK_H

#include "bus/wire/header.h"

/* Messages that wait for the end of the turn, or until they are many; all zero is an empty pack. The buffer is the body of a PACK: pairs of
   msgpack bin 16. */
typedef struct Pack {
  Buffer buffer;
  uint32_t count;
  uint32_t header_bytes; /* of the first message, so that a lone one can be sent as itself */
  uint32_t sent;         /* packs of this turn that were cleared before it ended */
} Pack;

/* True when a message with such a body still fits: send and clear the pack first when not. */
bool pack_has_room(const Pack *pack, size_t body_bytes);
/* True when it should leave before the turn ends, so that its peer works on it while more is made. Each pack of a turn is twice the
   one before: a peer that has enough to do is not woken for little. */
bool pack_is_due(const Pack *pack);
/* True when a body is small enough to be copied into a pack; larger ones are sent alone, without a copy. */
bool pack_takes(size_t body_bytes);
/* Appends a message, copying it. The caller has asked pack_has_room and pack_takes. */
void pack_add(Pack *pack, const Header *header, Bytes body);
/* The same for a message whose header is encoded already. */
void pack_add_encoded(Pack *pack, Bytes header, Bytes body);
/* What to send for a pack that is not empty: a lone message as itself, several as a PACK. The bytes belong to the pack
   until it is cleared. */
void pack_frames(const Pack *pack, Bytes *ret_header, Bytes *ret_body);
/* Empties the pack and keeps its memory. */
void pack_clear(Pack *pack);
/* The turn is over and the pack was cleared: the next one is the first of a turn. */
void pack_end_turn(Pack *pack);
/* Frees the memory; the pack is empty and can be used again. */
void pack_done(Pack *pack);

enum {
  PACK_E_END = 1,   /* no message is left */
  PACK_E_MALFORMED, /* not a sequence of pairs of bin, or a header or body over its limit */
};

/* Takes the next message off the body of a PACK. Returns 0, PACK_E_END or PACK_E_MALFORMED. The caller counts to
   LIMIT_PACK_MESSAGES. */
int pack_next(Bytes *rest, Bytes *ret_header, Bytes *ret_body);

#endif
