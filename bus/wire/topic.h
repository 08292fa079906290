/* What:      topics and patterns: which are valid, which fit.
 * Owns:      nothing.
 * May use:   base; header for names and limits.
 * Threading: any; pure.
 * Spec:      docs/protocol.md, "Names and ids" */
#ifndef PONS_WIRE_TOPIC_H
#define PONS_WIRE_TOPIC_H

#include "bus/wire/header.h"

/* True for tokens of name characters joined by '.', LIMIT_TARGET_BYTES at most. */
bool topic_is_valid(Text topic);
/* The same, with `*` for one token and a last `>` for one or more. */
bool topic_pattern_is_valid(Text pattern);
/* True when a valid pattern has a wildcard. */
bool topic_pattern_is_wild(Text pattern);
/* True when topic fits pattern; both are valid. */
bool topic_matches(Text pattern, Text topic);
/* True when pattern fits whatever other, a topic or a pattern, fits; both are valid. */
bool topic_covers(Text pattern, Text other);

#endif
