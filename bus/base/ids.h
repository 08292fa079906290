/* What:      the ids of the bus as one-field structs, so that one can't be passed for another; how they print.
 * Owns:      nothing.
 * May use:   base/types.
 * Threading: any.
 * Spec:      docs/protocol.md, "Names and ids" */
#ifndef PONS_BASE_IDS_H
#define PONS_BASE_IDS_H

#include "bus/base/types.h"

/* 64 random bits per process, chosen at its start; 0 is nobody. */
typedef struct ClientId {
  uint64_t value;
} ClientId;

/* Client and a number that it counts up from 1; unique for as long as the client lives. */
typedef struct RequestId {
  ClientId client;
  uint64_t sequence;
} RequestId;

/* One connection of a peer with one broker, given by the broker in WELCOME; never used twice by one broker process. */
typedef struct SessionId {
  uint64_t value;
} SessionId;

#define REQUEST_ID_TEXT_SIZE 34 /* 16 hex digits, '-', up to 16 hex digits, NUL */
#define REQUEST_ID_WIRE_SIZE 16 /* two big-endian 64-bit numbers */

static inline bool request_id_equal(RequestId a, RequestId b) {
  return a.sequence == b.sequence && a.client.value == b.client.value;
}

static inline bool request_id_is_none(RequestId id) {
  return id.client.value == 0;
}

/* A well-mixed hash of id (the finaliser of MurmurHash3, public domain, over both halves). */
static inline uint64_t request_id_hash(RequestId id) {
  uint64_t h = id.client.value ^ (id.sequence * UINT64_C(0x9e3779b97f4a7c15));
  h ^= h >> 33;
  h *= UINT64_C(0xff51afd7ed558ccd);
  h ^= h >> 33;
  return h;
}

/* Writes id as "CLIENT-SEQUENCE" in hex, which request_id_parse and `pons trace` read. Returns ret. */
const char *request_id_format(RequestId id, char ret[REQUEST_ID_TEXT_SIZE]);

/* Reads what request_id_format wrote. Returns 0, or -EINVAL and leaves *ret alone. */
int request_id_parse(Text text, RequestId *ret);

#define INSTANCE_TEXT_SIZE 82 /* a name of 64 bytes, ':', 16 hex digits, NUL */

/* Writes an instance's name, "AGENT:CLIENT" with the id in hex; of an agent's name over 64 bytes, the beginning. Returns ret. */
const char *instance_format(Text agent, ClientId client, char ret[INSTANCE_TEXT_SIZE]);

/* 64 bits from the kernel's generator, never 0. Aborts when the kernel has none, which Linux does not do after boot. */
uint64_t random_u64(void);

#endif
