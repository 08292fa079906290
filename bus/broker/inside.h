/* What:      what the broker's own process offers and asks on its bus: peers without a connection. They say HELLO to the core as every
 *            peer does, are asked and answer as every instance, and ask as every client.
 * Owns:      its session, and what the core has told it and it has not looked at yet.
 * May use:   base, wire, core, contracts.
 * Threading: the loop thread.
 * Spec:      docs/protocol.md, "Services of the broker"; docs/adr/0028-authority-wired-in.md */
#ifndef PONS_BROKER_INSIDE_H
#define PONS_BROKER_INSIDE_H

#include "agents/contracts/contracts.h"
#include "bus/core/core.h"

typedef struct Inside Inside;

/* A request. Texts and body are borrowed for the call. */
typedef struct InsideAsk {
  RequestId id;
  Text service;
  Text method;
  Bytes body;
} InsideAsk;

/* How something has ended that was asked by inside_send. Borrowed for the call. */
typedef struct InsideAnswer {
  RequestId id;
  Status status; /* STATUS_OK: body is the reply; else that of the ERROR */
  Text content_type;
  Bytes body;
} InsideAnswer;

/* What a peer does not do it needs no function for. */
typedef struct InsideHandler {
  /* To be answered once with inside_reply or inside_fail, now or later. */
  void (*on_ask)(void *userdata, const InsideAsk *ask);
  /* Nobody waits any longer for the answer to this; it is to be answered all the same. */
  void (*on_cancel)(void *userdata, RequestId id);
  void (*on_answer)(void *userdata, const InsideAnswer *answer);
  /* Whether this attempt is still waited for here. */
  bool (*waits)(void *userdata, RequestId id, uint32_t attempt);
  void *userdata;
} InsideHandler;

typedef struct InsideOptions {
  const char *agent;
  const char *const *services; /* it offers every method of these; NULL at the end. NULL: none */
  ClientId client;             /* none: a new one */
  uint32_t credit;
} InsideOptions;

enum { INSIDES = 24 };

/* All of a process. Empty is all zero. */
typedef struct InsideSet {
  Inside *rows[INSIDES];
  uint32_t n;
} InsideSet;

/* The peer that the core calls so, or NULL when it is none of these. */
static inline Inside *inside_find(const InsideSet *set, const void *peer) {
  for (uint32_t i = 0; set && i < set->n; i++)
    if (set->rows[i] == peer)
      return set->rows[i];
  return NULL;
}

/* Makes a peer; what options points to is borrowed for its life. */
int inside_new(Inside **ret, const InsideOptions *options, const InsideHandler *handler);
/* Takes NULL, nulls the pointer. The core must be gone, or its session have ended. */
void inside_destroy(Inside **inside);
/* Joins the set, from which the core's sink knows it, and says HELLO. incarnation is that of the broker. The set must have room. */
void inside_enter(Inside *inside, InsideSet *set, Core *core, uint64_t incarnation, uint64_t now_us);

/* What the core sends to the session, or that it has closed it: from the sink, which calls nothing. With a block, of which a reference is
   taken, body points into it. */
void inside_hear(Inside *inside, const Header *header, Bytes body, Block *block);
void inside_close(Inside *inside);
/* Looks at what was heard. Returns whether there was something. Not from the sink. */
bool inside_turn(Inside *inside, uint64_t now_us);

/* Sends a REQUEST, as a client does. The id's client is inside_client's. body may be NULL; references of it are taken. */
void inside_send(Inside *inside, const Header *header, Block *body, uint64_t now_us);
/* As which client it asks. */
ClientId inside_client(const Inside *inside);

enum {
  INSIDE_E_NO_WINDOW = 1, /* over LIMIT_BODY_BYTES, and who asks takes no parts */
  INSIDE_E_FULL, /* LIMIT_REPLIES_BYTES wait to be read, or half of it and some of this client: ask again in a moment */
};

/* Answers a request with the body of its reply, which is copied. Returns 0; INSIDE_E_ for a large one that can't be sent: it is not answered. */
int inside_reply(Inside *inside, RequestId id, Bytes body, uint64_t now_us);
/* Answers it with the body of an ERROR. */
void inside_fail(Inside *inside, RequestId id, Status status, Bytes body, uint64_t now_us);

#endif
