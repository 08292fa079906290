/* What:      what this process has answered within the horizon, so that a request that comes again is not done again, and so
 *            that it can vouch for what it never began.
 * Owns:      the ids, and copies of the answers.
 * May use:   base, wire (limits).
 * Threading: one thread; pure.
 * Spec:      docs/protocol.md, "Requests", "PROBE"; LIMIT_MEMORY_IDS, LIMIT_MEMORY_BYTES, TIME_HORIZON_US */
#ifndef PONS_AGENT_MEMORY_H
#define PONS_AGENT_MEMORY_H

#include "bus/base/table.h"
#include "bus/wire/header.h"

/* One id lies in a ring of these, oldest first; answers lie in a list per client. */
typedef struct MemoryEntry {
  RequestId id;
  uint32_t attempt_hop; /* MEMORY_NOTED | attempt << 8 | hop */
  uint32_t at_ms;
  struct MemoryAnswer *answer; /* NULL when it is not kept (any more) */
} MemoryEntry;

/* All zero is an empty memory; it allocates as it fills. */
typedef struct Memory {
  MemoryEntry *ring;
  uint32_t room; /* a power of two */
  uint32_t size;
  uint64_t first;  /* number of the oldest entry; its place is number & (room - 1) */
  uint32_t *index; /* open hash of places + 1, 2 * room long */
  Table clients;
  struct MemoryClient *fattest; /* the client with the most bytes when it was last looked for */
  uint64_t answer_bytes;
  uint64_t covers_us; /* since when nothing was forgotten */
} Memory;

/* An answer as it was sent. */
typedef struct MemoryReply {
  Bytes header;
  Bytes body;
  Bytes pieces; /* what pack_next takes: CHUNKs before it that its reader may still want */
} MemoryReply;

#define MEMORY_NOTED (UINT32_C(1) << 31) /* of an entry: the attempt was only heard of */

enum {
  MEMORY_E_UNKNOWN = 1, /* never begun here, as far as is remembered */
  MEMORY_E_STALE,       /* a higher attempt has been seen */
  MEMORY_E_GONE,        /* done, and the answer is no longer kept */
};

/* The process begins: what was before, nobody knows. */
void memory_start(Memory *memory, uint64_t now_us);
/* Remembers that (id, hop) is done. The reply is copied; an empty header, or more than an eighth of LIMIT_MEMORY_BYTES, is
   remembered as gone. When room is needed the client that takes most of it loses its oldest answer. */
void memory_put(Memory *memory, RequestId id, uint8_t hop, uint32_t attempt, const MemoryReply *reply, uint64_t now_us);
/* Remembers an attempt that was heard of, so that lower ones are refused. */
void memory_note(Memory *memory, RequestId id, uint32_t attempt, uint64_t now_us);
/* Looks (id, hop) up. Returns 0 and the answer, borrowed until the next memory_put; or MEMORY_E_*, and *ret is left alone. */
int memory_find(const Memory *memory, RequestId id, uint8_t hop, uint32_t attempt, MemoryReply *ret);
/* Whether an id that is unknown was surely never begun here within the last age_us. */
bool memory_covers(const Memory *memory, uint64_t age_us, uint64_t now_us);
/* Frees everything; the memory is empty and can be used again. */
void memory_done(Memory *memory);

#endif
