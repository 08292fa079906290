/* What:      the state of a keeper and what its files offer each other.
 * Owns:      -
 * May use:   base, wire, core, loop, store, contracts.
 * Threading: the loop thread.
 * Spec:      docs/durable.md */
#ifndef PONS_BROKER_KEEPER_INTERNAL_H
#define PONS_BROKER_KEEPER_INTERNAL_H

#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/broker/keeper.h"
#include "bus/broker/shelf.h"
#include "bus/wire/peer.h"

#define KEEPER_ENTRY "durable/" /* the rows of entries */

enum { COURIERS = 16, DAMAGES = 1000 /* that are listed */, DAMAGE_BYTES = 57344 /* of a row that are shown */ };

/* A row that is not what was written, until a person has seen it. */
typedef struct Damage {
  List in_keeper;
  uint64_t number;
  uint64_t at_us;
  Buffer key; /* of the row */
  Buffer value;
  char text[STORE_TEXT_BYTES];
} Damage;

struct Keeper {
  Loop *loop;
  KeeperOptions options;
  KeeperHandler handler;
  Durable *durable;
  Store *store; /* NULL when it could not be opened, and with it: */
  Shelf *shelf;
  char disk[STORE_TEXT_BYTES];
  uint64_t last_serial; /* of the store */
  LoopTimer *timer;
  uint64_t epoch_us; /* when the loop's clock stood at 0, since 1970 */
  uint64_t epoch;    /* in which this broker leads, or 0 */
  Core *core;
  InsideSet *insides;
  Inside *service;
  Inside *couriers[COURIERS];
  uint32_t n_couriers;
  bool linked;
  List fetches; /* bodies that the other broker has; the first is asked for */
  LoopTimer *fetch_timer;
  List arrivals; /* entries that wait for them */
  uint32_t n_arrivals;
  uint32_t n_servings;
  Block *lent; /* of which the other broker was told a piece last, until it has the last one */
  RequestId lent_id;
  ShelfPart lent_part;
  List unsent; /* tries that found no courier */
  List waiters;
  Table waiters_by_id;
  List damages;
  uint64_t last_damage;
  uint64_t n_damages;
  uint64_t behind;
};

/* keeper.c */

/* The time, since 1970; authority that has run out is given up first. */
uint64_t keeper_now_us(Keeper *keeper);
/* After each step of the machine: sets the timer. */
void keeper_settle(Keeper *keeper);
void keeper_count(const Keeper *keeper, Counter counter, uint64_t n);

/* keeper-load.c */

void keeper_on_damaged(void *userdata, Text key, Bytes value, const char *text);
bool keeper_keeps(void *userdata, Text key);
/* The ids of tries go on with those of earlier lives of this store, whichever broker delivers. */
RequestId keeper_first_delivery(Keeper *keeper);
void keeper_load(Keeper *keeper);

/* keeper-peer.c */

/* Add to the log. Returns the position, or 0 when there is no room. */
uint64_t keeper_send_entry(Keeper *keeper, const DurableEntry *entry);
void keeper_send_versions(Keeper *keeper, const DurableVersions *versions);
/* Has a body, or reply, told by the other broker; on_end as of shelf_get, later. It is not put on the shelf. */
void keeper_fetch(Keeper *keeper, RequestId id, ShelfPart part, size_t total, ShelfRead *on_end, void *userdata);
/* The same for a body that is damaged here; on_end may be called in here. */
void keeper_mend(Keeper *keeper, RequestId id, size_t total, ShelfRead *on_end, void *userdata);
void keeper_on_fetch_timer(void *userdata, uint64_t now_us);
void keeper_end_fetches(Keeper *keeper, const char *why);
void keeper_done_arrivals(Keeper *keeper);
void keeper_end_lending(Keeper *keeper);

/* keeper-service.c */

void keeper_offer(Keeper *keeper);
/* The machine has decided: an entry is kept on so many disks (0: it is not kept), or has ended. */
void keeper_tell_kept(Keeper *keeper, const DurableEntry *entry, uint32_t copies);
void keeper_tell_end(Keeper *keeper, const DurableEntry *entry);
/* The store is so far, or writes no more. */
void keeper_tell_written(Keeper *keeper, uint64_t serial);
/* Ends all that wait, with this status. */
void keeper_dismiss(Keeper *keeper, Status status, const char *code, const char *text);

/* Answers who asked. */
void keeper_reply(Keeper *keeper, RequestId asker, const Contract *contract, const void *value);
void keeper_fail_unknown(Keeper *keeper, RequestId asker);

/* keeper-show.c: methods of the service. */

void keeper_show(Keeper *keeper, RequestId asker, const void *request);
void keeper_list(Keeper *keeper, RequestId asker, const void *request);
void keeper_status(Keeper *keeper, RequestId asker, const void *request);

/* keeper-courier.c */

/* Takes a try to the bus. */
void keeper_deliver(Keeper *keeper, const DurableAction *action);
/* Looks at what the couriers have heard. Returns whether there was something. */
bool keeper_turn_couriers(Keeper *keeper);
void keeper_done_couriers(Keeper *keeper);

/* keeper-damage.c */

/* From the store while it is opened, and a row that says so from before. */
void keeper_note_damage(Keeper *keeper, Text key, Bytes value, const char *text, uint64_t at_us);
void keeper_load_damage(Keeper *keeper, Text key, Bytes value);
/* The store is open: what was noted is put down, and the damaged rows are taken out. */
void keeper_keep_damage(Keeper *keeper);
/* The damage called so, or NULL. name: room for its name. */
Damage *keeper_find_damage(const Keeper *keeper, Text name);
const char *keeper_damage_name(const Damage *damage, char name[32]);
int keeper_drop_damage(Keeper *keeper, Damage *damage);
void keeper_done_damage(Keeper *keeper);

#endif
