/* What:      a durable request as bytes and back: the row on disk, and the message to the other broker.
 * Owns:      nothing.
 * May use:   base, wire, core.
 * Threading: any; pure.
 * Spec:      bus/wire/peer.def, PeerDurable */
#ifndef PONS_BROKER_DURABLE_WORDS_H
#define PONS_BROKER_DURABLE_WORDS_H

#include "bus/core/durable.h"

/* Appends the entry, with its body and reply where they are given: at most LIMIT_DURABLE_PIECE_BYTES each. */
void durable_words_encode(const DurableEntry *entry, Bytes body, Bytes reply, Buffer *buffer);
/* Returns whether it could be read; then the caller owns the blocks of *ret (durable_entry_done), which has a body or reply only if the
   bytes do. Else *ret is left alone. */
bool durable_words_decode(Bytes bytes, DurableEntry *ret);

#endif
