/* What:      a durable request as bytes and back: the row on disk and the message to the other broker are the same.
 * Owns:      nothing.
 * May use:   base, wire, core.
 * Threading: any; pure.
 * Spec:      bus/wire/peer.def, PeerDurable */
#ifndef PONS_BROKER_DURABLE_WORDS_H
#define PONS_BROKER_DURABLE_WORDS_H

#include "bus/core/durable.h"

/* Appends the entry. */
void durable_words_encode(const DurableEntry *entry, Buffer *buffer);
/* Returns whether it could be read; then the caller owns the blocks of *ret (durable_entry_done). Else *ret is left alone. */
bool durable_words_decode(Bytes bytes, DurableEntry *ret);

#endif
