/* What:      bodies of durable requests and replies to them: each is a row of the store, and those that were used last are in memory too.
 * Owns:      what is in memory; who waits for a row.
 * May use:   base, wire, store.
 * Threading: the loop thread.
 * Spec:      docs/durable.md, "The disk" */
#ifndef PONS_BROKER_SHELF_H
#define PONS_BROKER_SHELF_H

#include "bus/store/store.h"
#include "bus/wire/header.h"

typedef struct Shelf Shelf;

typedef enum ShelfPart { SHELF_BODY, SHELF_REPLY } ShelfPart;

enum { SHELF_BYTES = 32 << 20 /* in memory; what waits to be written, the store counts */ };

/* block is borrowed; NULL: it is not there, or is not what was written, and why says so. Nothing is taken off the shelf in here. */
typedef void ShelfRead(void *userdata, Block *block, const char *why);

/* Makes one over a store, which outlives it. */
void shelf_new(Shelf **ret, Store *store);
/* Tells who waits that it is the end. The store is closed, or reads no more. Takes NULL, nulls the pointer. */
void shelf_destroy(Shelf **shelf);

/* The key of its row. room: for it. */
Text shelf_key(RequestId id, ShelfPart part, char room[64]);
/* Whether a key is one of these; then *ret_id (may be NULL) and *ret_part say of what. */
bool shelf_is_key(Text key, RequestId *ret_id, ShelfPart *ret_part);

/* Writes it, and keeps it in memory at least until shelf_written. Returns as store_put_block. */
int shelf_put(Shelf *shelf, RequestId id, ShelfPart part, Block *block, uint64_t *ret_serial);
/* Takes it off, on disk too: it is not told any more, whoever has asked for it. Returns as store_drop. */
int shelf_drop(Shelf *shelf, RequestId id, ShelfPart part, uint64_t *ret_serial);
/* All up to serial is on disk. */
void shelf_written(Shelf *shelf, uint64_t serial);
/* What is in memory, borrowed until the next call; or NULL. */
Block *shelf_find(Shelf *shelf, RequestId id, ShelfPart part);
/* Tells it, in here when it is in memory, else later: rows are read one at a time, in the order of asking. */
void shelf_get(Shelf *shelf, RequestId id, ShelfPart part, ShelfRead *on_read, void *userdata);

#endif
