#include "bus/broker/shelf.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/base/list.h"
#include "bus/base/table.h"

typedef struct Book {
  TableLink link;
  List in_shelf;
  RequestId id;
  ShelfPart part;
  Block *block;    /* NULL: it was taken off, and the disk may not know yet */
  uint64_t serial; /* that is to be written first; 0 = it is on disk */
} Book;

typedef struct Want {
  List in_shelf;
  RequestId id;
  ShelfPart part;
  ShelfRead *on_read;
  void *userdata;
} Want;

struct Shelf {
  Store *store;
  Table books;
  List used; /* the one that was not used for longest first */
  size_t bytes;
  List wants; /* the first of them is being read */
  bool reading;
  bool stale; /* what is being read was put or taken off meanwhile */
};

#define TAKEN_OFF "it was taken off the shelf"

static const char *const folders[] = {[SHELF_BODY] = "body/", [SHELF_REPLY] = "reply/"};

Text shelf_key(RequestId id, ShelfPart part, char room[64]) {
  char text[REQUEST_ID_TEXT_SIZE];
  int n = snprintf(room, 64, "%s%s", folders[part], request_id_format(id, text));

  return (Text){room, (size_t)n};
}

bool shelf_is_key(Text key, RequestId *ret_id, ShelfPart *ret_part) {
  for (ShelfPart part = SHELF_BODY; part <= SHELF_REPLY; part++) {
    size_t size = strlen(folders[part]);
    RequestId id;

    if (key.size <= size || memcmp(key.data, folders[part], size) != 0)
      continue;
    if (request_id_parse((Text){key.data + size, key.size - size}, &id) < 0)
      return false;
    if (ret_id) {
      *ret_id = id;
      *ret_part = part;
    }
    return true;
  }
  return false;
}

/* --- in memory --- */

static Book *find(const Shelf *shelf, RequestId id, ShelfPart part) {
  for (TableLink *at = table_bucket(&shelf->books, request_id_hash(id)); at; at = at->next) {
    Book *book = CONTAINER_OF(at, Book, link);

    if (book->part == part && request_id_equal(book->id, id))
      return book;
  }
  return NULL;
}

static void forget(Shelf *shelf, Book *book) {
  table_remove(&shelf->books, &book->link);
  list_remove(&book->in_shelf);
  shelf->bytes -= block_bytes(book->block).size;
  block_unref(&book->block);
  free(book);
}

/* What is not on disk yet stays: it can't be read from there. */
static void make_room(Shelf *shelf) {
  LIST_EACH (&shelf->used, Book, in_shelf, book) {
    if (shelf->bytes <= SHELF_BYTES)
      return;
    if (book->serial == 0)
      forget(shelf, book);
  }
}

/* block is borrowed; NULL: it was taken off. */
static void keep(Shelf *shelf, RequestId id, ShelfPart part, Block *block, uint64_t serial) {
  Book *book = find(shelf, id, part);

  if (book)
    forget(shelf, book);
  book = calloc(1, sizeof *book);
  if (!book)
    abort();
  *book = (Book){.id = id, .part = part, .block = block ? block_ref(block) : NULL, .serial = serial};
  table_add(&shelf->books, &book->link, request_id_hash(id));
  list_push(&shelf->used, &book->in_shelf);
  shelf->bytes += block_bytes(block).size;
  make_room(shelf);
}

Block *shelf_find(Shelf *shelf, RequestId id, ShelfPart part) {
  Book *book = find(shelf, id, part);

  if (!book)
    return NULL;
  list_remove(&book->in_shelf);
  list_push(&shelf->used, &book->in_shelf);
  return book->block;
}

/* --- on disk --- */

/* What is being read may not be what is there now. */
static void note_change(Shelf *shelf, RequestId id, ShelfPart part) {
  const Want *first = LIST_FIRST(&shelf->wants, Want, in_shelf);

  shelf->stale |= shelf->reading && first->part == part && request_id_equal(first->id, id);
}

int shelf_put(Shelf *shelf, RequestId id, ShelfPart part, Block *block, uint64_t *ret_serial) {
  char room[64];
  int r = store_put_block(shelf->store, shelf_key(id, part, room), block, ret_serial);

  if (r == 0)
    keep(shelf, id, part, block, *ret_serial);
  note_change(shelf, id, part);
  return r;
}

int shelf_drop(Shelf *shelf, RequestId id, ShelfPart part, uint64_t *ret_serial) {
  Book *book = find(shelf, id, part);
  char room[64];
  int r = store_drop(shelf->store, shelf_key(id, part, room), ret_serial);

  if (r == 0)
    keep(shelf, id, part, NULL, *ret_serial);
  else if (book)
    forget(shelf, book);
  note_change(shelf, id, part);
  return r;
}

void shelf_written(Shelf *shelf, uint64_t serial) {
  LIST_EACH (&shelf->used, Book, in_shelf, book) {
    if (book->serial > serial)
      continue;
    book->serial = 0;
    if (!book->block)
      forget(shelf, book);
  }
  make_room(shelf);
}

/* --- read --- */

static void read_next(Shelf *shelf);

static bool is_same(const Want *want, const Want *other) {
  return want->part == other->part && request_id_equal(want->id, other->id);
}

/* Tells everybody who wants the same as the first. They may want something else in here, which stands behind. */
static void tell(Shelf *shelf, Block *block, const char *why) {
  Want first = *LIST_FIRST(&shelf->wants, Want, in_shelf);
  Block *held = block ? block_ref(block) : NULL; /* while it is told, the shelf may need its room */
  List told;

  list_init(&told);
  LIST_EACH (&shelf->wants, Want, in_shelf, want) {
    if (!is_same(want, &first))
      continue;
    list_remove(&want->in_shelf);
    list_push(&told, &want->in_shelf);
  }
  LIST_EACH (&told, Want, in_shelf, want) {
    list_remove(&want->in_shelf);
    want->on_read(want->userdata, held, why);
    free(want);
  }
  block_unref(&held);
}

/* What was put or taken off since counts more than what was read. If that is on disk by now, and not in memory, it is read anew. */
static void on_read(void *userdata, int r, Block *value, const char *text) {
  Shelf *shelf = userdata;
  Want first = *LIST_FIRST(&shelf->wants, Want, in_shelf);
  const Book *newer = find(shelf, first.id, first.part);
  bool stale = shelf->stale;

  shelf->reading = shelf->stale = false;
  if (newer)
    tell(shelf, newer->block, newer->block ? "" : TAKEN_OFF);
  else if (!stale) {
    if (r == 0)
      keep(shelf, first.id, first.part, value, 0);
    tell(shelf, r == 0 ? value : NULL, text);
  }
  read_next(shelf);
}

static void read_next(Shelf *shelf) {
  Want *first = LIST_FIRST(&shelf->wants, Want, in_shelf);
  char room[64];

  if (!first || shelf->reading)
    return;
  shelf->reading = true;
  store_read(shelf->store, shelf_key(first->id, first->part, room), on_read, shelf);
}

void shelf_get(Shelf *shelf, RequestId id, ShelfPart part, ShelfRead *read, void *userdata) {
  const Book *book = find(shelf, id, part);
  Want *want;

  if (book) {
    _cleanup_(block_unref) Block *held = shelf_find(shelf, id, part);

    held = held ? block_ref(held) : NULL;
    read(userdata, held, held ? "" : TAKEN_OFF);
    return;
  }
  want = calloc(1, sizeof *want);
  if (!want)
    abort();
  *want = (Want){.id = id, .part = part, .on_read = read, .userdata = userdata};
  list_push(&shelf->wants, &want->in_shelf);
  read_next(shelf);
}

/* --- made and ended --- */

void shelf_new(Shelf **ret, Store *store) {
  Shelf *shelf = calloc(1, sizeof *shelf);

  if (!shelf)
    abort();
  shelf->store = store;
  list_init(&shelf->used);
  list_init(&shelf->wants);
  *ret = shelf;
}

void shelf_destroy(Shelf **shelf) {
  Shelf *gone = TAKE(*shelf);

  if (!gone)
    return;
  while (!list_is_empty(&gone->wants))
    tell(gone, NULL, "this broker is stopping");
  LIST_EACH (&gone->used, Book, in_shelf, book)
    forget(gone, book);
  table_done(&gone->books);
  free(gone);
}
