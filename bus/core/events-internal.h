/* What:      who subscribes to what, the last value of each topic, and what events.c offers.
 * Owns:      -
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      docs/protocol.md, section 11 */
#ifndef PONS_CORE_EVENTS_INTERNAL_H
#define PONS_CORE_EVENTS_INTERNAL_H

#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/core/core.h"

/* A pattern that somebody subscribes to. */
typedef struct Pattern {
  TableLink link;
  List in_wild; /* in core->wild when it has a wildcard */
  List subscriptions;
  uint8_t size;
  char text[];
} Pattern;

typedef struct Subscription {
  List in_pattern;
  List in_session;
  Pattern *pattern;
  Session *session;
} Subscription;

/* The last value of a topic. */
typedef struct Topic {
  TableLink link;
  RequestId id;
  Block *body;
  char content_type[LIMIT_CONTENT_TYPE_BYTES];
  uint8_t content_type_size;
  uint8_t size;
  char name[];
} Topic;

/* PUBLISH, SUBSCRIBE and UNSUBSCRIBE of a session; what is wrong is answered to it. */
void events_publish(Core *core, Session *session, const Header *header, Bytes body, Block *block);
/* As above. */
void events_subscribe(Core *core, Session *session, const Header *header);
/* As above. */
void events_unsubscribe(Core *core, Session *session, const Header *header);
/* The session is gone with what it subscribed to. */
void events_forget_session(Core *core, Session *session);
/* Publishes an event of the broker itself. */
void events_tell(Core *core, const char *topic, Bytes body);
void events_done(Core *core);

#endif
