/* What:      the bodies of the protocol's own messages (Hello, Welcome, ErrorBody, ForwardBody, ProbeBody, HaveBody and their
 *            parts) as structs, each with its contract: contract_decode(CONTRACT(Hello), body, &arena, &hello, &fault).
 * Owns:      nothing.
 * May use:   wire/contract, wire/header for the limits.
 * Threading: any.
 * Spec:      docs/protocol.md; bus/wire/session.def is the table */
#ifndef PONS_WIRE_SESSION_H
#define PONS_WIRE_SESSION_H

#include "bus/wire/header.h"

#define CONTRACT_DEF "bus/wire/session.def"
#include "bus/wire/contract-structs.h"
#undef CONTRACT_DEF

/* Bits of Hello.features and Welcome.features. */
enum { FEATURE_PROBE = 1, FEATURE_CONFIRM = 2 };

#endif
