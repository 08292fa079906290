/* What:      any body from the bus as JSON: msgpack decoded, JSON as it is, text as a string, other bytes as base64.
 * Owns:      nothing.
 * May use:   base, wire, jansson.
 * Threading: any; pure.
 * Spec:      docs/pons.1.md, "Bodies" */
#ifndef PONS_CTL_BODYJSON_H
#define PONS_CTL_BODYJSON_H

#include "bus/ctl/jsontext.h"

/* The body as one JSON value; the caller owns the reference. Several msgpack values, as a stream has them, become an
   array. An empty body is null. What is neither msgpack, JSON nor UTF-8 becomes {"base64": "..."}.
   Inside msgpack, bytes are base64 text, extension types and NaN null, whole numbers above 2^63 - 1 decimal text. */
json_t *bodyjson_new(Bytes body, Text content_type);

/* Takes the first whole msgpack value off *bytes. Returns true and *ret, borrowed; false when there is none. */
bool bodyjson_next_value(Bytes *bytes, Bytes *ret);

#endif
