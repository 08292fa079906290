/* What:      what the next version of the protocol says that this one does not know: a header position, a kind, a field of a body.
 * Owns:      nothing.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      docs/protocol.md, "Versioning" */
#ifndef PONS_WIRE_NEXT_H
#define PONS_WIRE_NEXT_H

#include "bus/wire/header.h"
#include "bus/wire/msgpack.h"

/* Only the programs of tests/process/test_next.py are compiled with PONS_PROTOCOL_NEXT; what they add, receivers of this version must
   pass over. In every other program all of this is nothing. */
#ifdef PONS_PROTOCOL_NEXT
enum { NEXT = true, KIND_NEXT = 120, HEADER_NEXT = 2 /* positions after the last that is known */ };
#else
enum { NEXT = false, KIND_NEXT = 0, HEADER_NEXT = 0 };
#endif

/* Adds a pair to the map (of at most 15 pairs) that is all of body. Does nothing in a program of this version. */
static inline void next_add_field(Buffer *body) {
  static const uint8_t map_of_16[] = {0xde, 0, 16}; /* 15 is the most that has room in one byte */

  if (!NEXT || body->size == 0)
    return;
  if (body->data[0]++ == 0x8f) {
    buffer_reserve(body, sizeof map_of_16 - 1);
    memmove(body->data + sizeof map_of_16, body->data + 1, body->size - 1);
    memcpy(body->data, map_of_16, sizeof map_of_16);
    body->size += sizeof map_of_16 - 1;
  }
  msgpack_put_text(body, TEXT("next"));
  msgpack_put_uint(body, PROTOCOL_VERSION);
}

#endif
