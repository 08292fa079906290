/* What:      the state of a peer inside the process, and what its files offer each other.
 * Owns:      -
 * May use:   base, wire, core.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md, sections 7 and 9 */
#ifndef PONS_BROKER_INSIDE_INTERNAL_H
#define PONS_BROKER_INSIDE_INTERNAL_H

#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/broker/inside.h"

/* What the core has said, until the turn ends. */
typedef struct Heard {
  List in_inside;
  Kind kind;
  RequestId id;
  SessionId session;
  uint64_t number;
  uint64_t window_bytes;
  uint32_t attempt;
  uint32_t flags;
  Status status;
  Buffer service;
  Buffer method;
  Buffer content_type;
  Block *block; /* whose bytes body points into, or NULL: then they are in own */
  Bytes body;
  Buffer own;
} Heard;

struct Inside {
  InsideOptions options;
  InsideHandler handler;
  Core *core;
  Session *session;
  List heard;
  Table windows; /* of those who ask and take a reply in parts */
  List coming;   /* bodies in parts, the oldest first */
  List going;    /* replies in parts */
  size_t going_bytes;
};

/* inside.c */

/* block: NULL, or one that is just body. */
void inside_say(Inside *inside, const Header *header, Bytes body, Block *block, uint64_t now_us);
/* With size bytes of whole from at on as its body, of which whoever keeps them has a reference. */
void inside_say_slice(Inside *inside, const Header *header, Block *whole, size_t at, size_t size, uint64_t now_us);
/* A request whose body is whole; and the end of one that was asked. */
void inside_take_ask(Inside *inside, const Heard *heard, Bytes body);
void inside_take_answer(Inside *inside, const Heard *heard, Status status, Bytes body);

/* inside-parts.c */

/* A REQUEST: its window is noted, and the first part of a larger body. Returns whether more of it comes. */
bool inside_parts_ask(Inside *inside, const Heard *heard);
/* A CHUNK, of a request or of an answer. */
void inside_parts_chunk(Inside *inside, const Heard *heard, uint64_t now_us);
/* REPLY or ERROR: puts what came before in front of it. */
void inside_parts_end(Inside *inside, const Heard *heard, uint64_t now_us);
/* WINDOW: goes on with a reply. */
void inside_parts_window(Inside *inside, const Heard *heard, uint64_t now_us);
/* CANCEL: drops what is coming or going. Returns whether it was a reply, which has its end then. */
bool inside_parts_cancel(Inside *inside, RequestId id, uint64_t now_us);
/* It is answered: its window is forgotten. */
void inside_parts_forget(Inside *inside, RequestId id);
/* Sends a reply over LIMIT_BODY_BYTES. Returns 0 or INSIDE_E_. */
int inside_parts_reply(Inside *inside, RequestId id, Bytes body, uint64_t now_us);
void inside_parts_done(Inside *inside);

#endif
