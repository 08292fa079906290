/* What:      the state of the machine of durable requests and what its files offer each other.
 * Owns:      -
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      docs/durable.md */
#ifndef PONS_CORE_DURABLE_INTERNAL_H
#define PONS_CORE_DURABLE_INTERNAL_H

#include "bus/base/heap.h"
#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/core/durable.h"

/* How far an acceptance is. */
typedef enum Acceptance {
  ACCEPTED_BEFORE, /* told, or not to be told */
  ACCEPT_DISK,     /* waits for the own disk */
  ACCEPT_COPY,     /* waits for the other's */
} Acceptance;

typedef struct Row {
  DurableEntry entry;
  TableLink by_id;
  TableLink by_delivery;
  HeapEntry due;     /* what is next: a try, its deadline, its end */
  uint64_t retry_us; /* WAITING: no try before */
  uint32_t failures; /* in a row, as this process knows */
  List in_unwritten; /* has changed, and the store could not take it */
  List in_writes;    /* waits for the disk, in the order of serial */
  uint64_t serial;
  uint64_t writing; /* version that the disk was asked for */
  uint64_t written; /* version that is on disk; 0 = none */
  List in_ready;    /* to be delivered when there is room */
  bool in_flight;
  uint32_t flight_bytes;
  bool certain; /* nobody but this leader can have begun its try */
  bool shared;  /* the other broker may have it */
  uint32_t attempt;
  Acceptance acceptance;
  List in_accepts; /* waits for a copy, the oldest first */
  uint64_t copy_by_us;
  List in_copies;    /* to be sent, or sent and not acknowledged, by position */
  uint64_t position; /* at which it was sent; 0 = it is to be sent */
  uint64_t sending;  /* version that was sent there */
  uint64_t peer;     /* version that the other has on disk */
  List in_taken;     /* came from the other, and is not on disk; by position */
  uint64_t taken;    /* position of the other's log */
  uint64_t taking;   /* version that must be on disk */
  bool told_end;
} Row;

/* Something that the other has and this broker has not, or not so far. */
typedef struct Wanted {
  TableLink link;
  DurableHave have;
} Wanted;

struct Durable {
  DurableOptions options;
  DurableSink sink;
  uint64_t sequence; /* the next delivery id */
  Table rows;
  Table deliveries;
  Heap due;
  List unwritten;
  List writes;
  List ready;
  List accepts;
  List to_send;
  List sent;
  List taken;
  uint64_t refused; /* position of the first that was not taken, for want of room; 0 = none */
  uint32_t n_in_flight;
  uint64_t flight_bytes; /* of their bodies */
  uint64_t bytes;
  bool disk_fails;
  uint64_t epoch; /* 0 = leads not */
  uint64_t led_us;
  bool linked;
  uint64_t linked_us;
  bool peer_known; /* it has told what it has */
  Table wanted;
  uint64_t n_taken; /* from the other since the link came up, before it had told all */
  uint64_t now_us;
};

/* durable.c */

Row *durable_row(const Durable *durable, RequestId id);
uint64_t durable_act(const Durable *durable, const DurableAction *action);
/* Makes a row of an entry, whose blocks it takes over. */
Row *durable_add(Durable *durable, const DurableEntry *entry);
void durable_remove(Durable *durable, Row *row);
/* The entry has changed: writes it, and looks at what is next for it. */
void durable_changed(Durable *durable, Row *row);
/* The row whose tries have such ids, or NULL. */
Row *durable_find_delivery(const Durable *durable, RequestId delivery);
/* Its try is not waited for any longer. */
void durable_land(Durable *durable, Row *row);

/* durable-deliver.c */

/* What is due for a row. */
void durable_on_due(Durable *durable, Row *row);
/* Looks at what is next for a row, and when. */
void durable_plan(Durable *durable, Row *row);
/* Delivers what is ready, as long as there is room. */
void durable_pump(Durable *durable);
/* Whether the other has told all that it knows, or can't be waited for any longer. */
bool durable_is_level(const Durable *durable);

/* durable-copy.c */

/* The row is on disk: the other is to have it too. */
void durable_copy(Durable *durable, Row *row);
void durable_copy_tick(Durable *durable);
uint64_t durable_copy_next_us(const Durable *durable);
/* Takes a row out of all that is to be copied. */
void durable_uncopy(Row *row);
void durable_forget_wanted(Durable *durable);
/* An acceptance is decided. */
void durable_tell_kept(Durable *durable, Row *row, uint32_t copies);

#endif
