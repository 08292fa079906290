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
  List in_telling; /* not all last values have been looked at for it: those after told, up to until */
  Pattern *pattern;
  Session *session;
  uint64_t told;
  uint64_t until; /* later ones it hears as they are published */
} Subscription;

/* The last value of a topic. */
typedef struct Topic {
  TableLink link;
  List in_kept; /* in the order of serial */
  uint64_t serial;
  uint64_t since_us; /* when it was published, as far as this broker knows */
  RequestId id;
  Block *body; /* empty: it was forgotten, and the other broker may not know */
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
/* Makes the timer by which further last values are told. */
void events_start(Core *core);
void events_done(Core *core);

/* kept.c: last values. */

/* The row of a topic, or NULL. Its value may be empty: then it has none. */
Topic *kept_find(const Core *core, Text name);
/* Keeps the last value of header's topic; an empty one makes it forget. Returns false when a limit is in the way. */
bool kept_put(Core *core, const Header *header, Bytes body);
/* As published at the other broker: nothing changes when a later one of the same publisher is here. */
void kept_put_later(Core *core, const Header *header, Bytes body);
/* As kept at the other broker, for age_us. Returns whether it was newer than what was here, and is kept now. */
bool kept_put_newer(Core *core, const Header *header, Bytes body, uint64_t age_us);
void kept_done(Core *core);

#endif
