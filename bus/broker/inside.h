/* What:      what the broker's own process offers on its bus: an instance without a connection. It says HELLO to the core as every
 *            instance does, and is asked and answers as every instance is.
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

typedef struct InsideHandler {
  /* To be answered once with inside_reply or inside_fail, now or later. */
  void (*on_ask)(void *userdata, const InsideAsk *ask);
  void *userdata;
} InsideHandler;

/* Makes an instance that offers every method whose service's name begins with prefix. agent is its name. */
int inside_new(Inside **ret, const char *agent, const char *prefix, const InsideHandler *handler);
/* Takes NULL, nulls the pointer. The core must be gone, or its session have ended. */
void inside_destroy(Inside **inside);
/* Says HELLO. incarnation is that of the broker. */
void inside_enter(Inside *inside, Core *core, uint64_t incarnation, uint64_t now_us);

/* What the core sends to the session, or that it has closed it: from the sink, which calls nothing. */
void inside_hear(Inside *inside, const Header *header, Bytes body);
void inside_close(Inside *inside);
/* Looks at what was heard. Returns whether there was something. Not from the sink. */
bool inside_turn(Inside *inside, uint64_t now_us);

/* Answers a request with the body of its reply. */
void inside_reply(Inside *inside, RequestId id, Bytes body, uint64_t now_us);
/* Answers it with the body of an ERROR. */
void inside_fail(Inside *inside, RequestId id, Status status, Bytes body, uint64_t now_us);

#endif
