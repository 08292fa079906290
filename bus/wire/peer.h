/* What:      what brokers and witness say to each other (PeerHeader, PeerBeat, PeerVote and so on) as structs with contracts.
 * Owns:      nothing.
 * May use:   wire/contract, wire/header for the limits.
 * Threading: any.
 * Spec:      docs/protocol.md, "Peer link"; bus/wire/peer.def is the table */
#ifndef PONS_WIRE_PEER_H
#define PONS_WIRE_PEER_H

#include "bus/wire/header.h"

#define CONTRACT_DEF "bus/wire/peer.def"
#include "bus/wire/contract-structs.h"
#undef CONTRACT_DEF

#endif
