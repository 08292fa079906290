/* What:      the words of the authority machine as bodies of the peer link, and back.
 * Owns:      nothing.
 * May use:   base, wire, core.
 * Threading: any; pure.
 * Spec:      docs/protocol.md, "Peer link" */
#ifndef PONS_BROKER_WORDS_H
#define PONS_BROKER_WORDS_H

#include "bus/core/pair.h"
#include "bus/wire/peer.h"

/* Appends the body of message to buffer and returns its kind, "vote" or "lease". */
const char *words_encode(const PairMessage *message, Buffer *buffer);
/* Reads the body of a kind. Returns false and leaves *ret alone when it is not one of these two, or does not fit its contract. */
bool words_decode(Text kind, Bytes body, PairMessage *ret);

#endif
