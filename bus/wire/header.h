/* What:      the header of every message, its tables, and its codec; one message as a pair of header and body.
 * Owns:      nothing: a decoded header borrows text and annotations from the frame it was decoded from.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      docs/protocol.md, "Header"; https://github.com/msgpack/msgpack/blob/master/spec.md */
#ifndef PONS_WIRE_HEADER_H
#define PONS_WIRE_HEADER_H

#include "bus/base/buffer.h"
#include "bus/base/ids.h"
#include "bus/base/types.h"

#ifdef PONS_PROTOCOL_NEXT /* a version that is not there yet, for tests/process/test_next.py alone: bus/wire/next.h */
#define PROTOCOL_VERSION 2
#else
#define PROTOCOL_VERSION 1 /* what this source speaks */
#endif
#define PROTOCOL_VERSION_MIN 1 /* the oldest that it still speaks */

typedef enum Kind {
#define MSG(number, name, from, fields) KIND_##name = (number),
#include "bus/wire/msgs.def"
#undef MSG
  KIND_END /* one past the highest */
} Kind;

typedef enum Status {
#define STATUS(number, name, retry, http, about) STATUS_##name = (number),
#include "bus/wire/status.def"
#undef STATUS
  STATUS_END
} Status;

/* What a caller may do after a status; see status.def. */
typedef enum Retry { RETRY_NEVER, RETRY_LATER, RETRY_KNOWN, RETRY_UNSURE } Retry;

/* The limits of limits.def and the times of times.def, as constants. */
enum {
#define LIMIT(name, value, unit, about) LIMIT_##name = (value),
#include "bus/wire/limits.def"
#undef LIMIT
#define TIME(name, microseconds, about) TIME_##name##_US = (microseconds),
#include "bus/wire/times.def"
#undef TIME
};

typedef enum Priority { PRIORITY_INTERACTIVE, PRIORITY_NORMAL, PRIORITY_BATCH, PRIORITY_END } Priority;

/* Bits of Header.flags; what each means for which kind: docs/protocol.md, "Flags". */
typedef enum HeaderFlag {
  FLAG_MORE = 1,       /* REQUEST, CHUNK: the request body goes on in a CHUNK */
  FLAG_STREAM = 2,     /* REQUEST: the caller takes CHUNKs before the REPLY */
  FLAG_IDEMPOTENT = 4, /* REQUEST: done twice is as good as done once, so it may be sent again */
  FLAG_RETAIN = 8,     /* PUBLISH: keep as the topic's last value; EVENT: this is a kept one */
  FLAG_CLEAN = 16,     /* BYE: nothing of mine is outstanding */
  FLAG_COLLECT = 32,   /* CHUNK: one instance's whole answer to service@* */
  FLAG_PART = 64,      /* CHUNK: a piece of the reply's body, not of its stream */
} HeaderFlag;

/* W3C trace context in binary: 16 bytes trace, 8 bytes parent, 1 byte flags. All zero = none. */
typedef struct Trace {
  uint8_t bytes[25];
} Trace;

typedef struct Header {
  Kind kind;
  Status status;
  uint8_t hop;
  uint8_t priority;
  uint32_t attempt;
  uint32_t flags;
  uint32_t credit;
  RequestId id;
  uint64_t deadline_us; /* remaining */
  uint64_t number;
  uint64_t window_bytes;
  SessionId session;
  uint64_t age_us;    /* of a REQUEST that is sent again: since it was sent first */
  uint64_t execution; /* that CHUNKs are of: a number that its instance drew */
  Text service;       /* or topic */
  Text method;
  Text content_type;
  Bytes annotations; /* one encoded msgpack map, or empty */
  Trace trace;
  uint32_t fields; /* bit i = position i was there */
} Header;

#define HAS(name) (UINT32_C(1) << HEADER_##name)

/* The positions of header.def. */
enum {
#define FIELD(position, name, member, type, largest) HEADER_##name = (position),
#include "bus/wire/header.def"
#undef FIELD
  HEADER_POSITIONS
};

/* One message as it is passed around inside a process. The body is borrowed, or counted when block is set. */
typedef struct Message {
  Header header;
  Bytes body;
  Block *block; /* whose bytes body points into, or NULL */
} Message;

enum {
  HEADER_E_MALFORMED = 1, /* not a msgpack array, a wrong type, cut short, or a field of the kind is missing */
  HEADER_E_KIND,          /* a kind this source does not know; id is set if it could be read */
  HEADER_E_TOO_LARGE,     /* over a limit of header.def */
};

/* Reads one header. On success *ret is filled, borrowing from bytes; an absent priority reads as PRIORITY_NORMAL. On an
   error *ret holds what could be read before it, so that the sender can be answered by id. Linear in the size of bytes.
   A field that the kind must have is missing when it is absent, 0 or empty. */
int header_decode(Bytes bytes, Header *ret);

/* Appends the header to buffer: every field that differs from its zero, and of a REQUEST the priority that is not
   PRIORITY_NORMAL; positions after the last one are left out. Checks no limit: what is over one, header_decode refuses at
   the other side. A text is at most 65,535 bytes. */
void header_encode(const Header *header, Buffer *buffer);

/* Names of the tables; "?" for a number that has none. */
const char *kind_name(Kind kind);
const char *status_name(Status status);
/* The sentence of status.def. */
const char *status_about(Status status);
Retry status_retry(Status status);
unsigned status_http(Status status);
/* True when this kind may come from a peer (client or instance). */
bool kind_from_peer(Kind kind);
/* True when this kind may come from a broker. */
bool kind_from_broker(Kind kind);

/* True for 1 to LIMIT_NAME_BYTES of A-Z a-z 0-9 _ . - */
bool name_is_valid(Text name);

#endif
