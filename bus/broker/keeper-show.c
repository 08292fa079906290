/* What `pons deadletter list` and `show` print, and the figures. */
#include <stdlib.h>

#include "bus/broker/keeper-internal.h"
#include "bus/wire/arena.h"

enum { ROWS_BYTES = LIMIT_BODY_BYTES - 4096, ROWS_DEFAULT = 100 };

static const char *const states[] = {[DURABLE_WAITING] = "waiting",
                                     [DURABLE_BEGUN] = "begun",
                                     [DURABLE_DONE] = "done",
                                     [DURABLE_DEAD] = "dead",
                                     [DURABLE_DROPPED] = "dropped"};

static DurableRow row_of(const DurableEntry *entry, char id[REQUEST_ID_TEXT_SIZE]) {
  bool tried = entry->tries > 0 || entry->ended_us > 0;

  return (DurableRow){.id = text_of(request_id_format(entry->id, id)),
                      .state = text_of(states[entry->state]),
                      .service = text_of(entry->service),
                      .method = text_of(entry->method),
                      .idempotent = entry->idempotent,
                      .status = tried ? text_of(status_name(entry->status)) : TEXT_NONE,
                      .message = text_of(entry->message),
                      .attempts = entry->attempts,
                      .tries = entry->tries,
                      .size_bytes = durable_size(entry),
                      .accepted_us = entry->accepted_us,
                      .expires_us = entry->expires_us,
                      .ended_us = entry->ended_us};
}

static DurableRow row_of_damage(const Damage *damage, char name[32]) {
  return (DurableRow){.id = text_of(keeper_damage_name(damage, name)),
                      .state = TEXT("damaged"),
                      .message = text_of(damage->text),
                      .size_bytes = damage->value.size,
                      .accepted_us = damage->at_us};
}

static void show_entry(Keeper *k, RequestId asker, const DurableEntry *entry, Bytes body) {
  char text[REQUEST_ID_TEXT_SIZE];
  DurableShown shown = {.row = row_of(entry, text),
                        .body = body,
                        .content_type = text_of(entry->content_type),
                        .annotations = block_bytes(entry->annotations),
                        .copies = durable_copies(k->durable, entry->id)};

  keeper_reply(k, asker, CONTRACT(DurableShown), &shown);
}

static void show_damage(Keeper *k, RequestId asker, const Damage *damage) {
  char text[32];
  DurableShown shown = {.row = row_of_damage(damage, text),
                        .body = buffer_bytes(&damage->value),
                        .content_type = TEXT("application/octet-stream")};

  keeper_reply(k, asker, CONTRACT(DurableShown), &shown);
}

/* Who wants to see one whose body is on its way from the disk. */
typedef struct Viewer {
  Keeper *keeper;
  RequestId id;
  RequestId asker;
} Viewer;

/* One that can't be read is shown without: it is named as damage when it is delivered. */
static void on_shown_read(void *userdata, Block *block, const char *why _unused_) {
  Viewer *viewer = userdata;
  const DurableEntry *entry = durable_find(viewer->keeper->durable, viewer->id);

  if (entry)
    show_entry(viewer->keeper, viewer->asker, entry, block_bytes(block));
  else
    keeper_fail_unknown(viewer->keeper, viewer->asker);
  free(viewer);
}

void keeper_show(Keeper *k, RequestId asker, const void *request) {
  const DurableAsk *ask = request;
  const Damage *damage = keeper_find_damage(k, ask->id);
  RequestId id;
  const DurableEntry *entry = request_id_parse(ask->id, &id) == 0 ? durable_find(k->durable, id) : NULL;
  Viewer *viewer;

  if (damage) {
    show_damage(k, asker, damage);
  } else if (!entry) {
    keeper_fail_unknown(k, asker);
  } else if (entry->body_bytes == 0) {
    show_entry(k, asker, entry, BYTES_NONE);
  } else {
    viewer = malloc(sizeof *viewer);
    if (!viewer)
      abort();
    *viewer = (Viewer){k, id, asker};
    shelf_get(k->shelf, id, SHELF_BODY, on_shown_read, viewer);
  }
}

/* --- list --- */

typedef struct Listing {
  const DurableWhich *which;
  const DurableEntry **entries;
  size_t n;
} Listing;

static bool is_meant(const DurableWhich *which, DurableState state) {
  bool live = state == DURABLE_WAITING || state == DURABLE_BEGUN;

  if (!which->has_state || text_is(which->state, "dead"))
    return state == DURABLE_DEAD;
  return text_is(which->state, "all") || (text_is(which->state, "live") ? live : state == DURABLE_DONE);
}

static void on_each(void *userdata, const DurableEntry *entry) {
  Listing *listing = userdata;

  if (is_meant(listing->which, entry->state))
    listing->entries[listing->n++] = entry;
}

static int compare(const void *a, const void *b) {
  const DurableEntry *const *x = a;
  const DurableEntry *const *y = b;

  return (*x)->accepted_us < (*y)->accepted_us ? -1 : (*x)->accepted_us > (*y)->accepted_us;
}

/* Rows and the texts that stand in them, in one body. */
typedef struct Rows {
  DurableRow *rows;
  char (*names)[REQUEST_ID_TEXT_SIZE];
  size_t n;
  size_t most;
  size_t bytes;
} Rows;

static bool has_room(Rows *rows, const DurableRow *row) {
  rows->bytes += 256 + row->id.size + row->service.size + row->method.size + row->message.size;
  return rows->n < rows->most && rows->bytes <= ROWS_BYTES;
}

static void put_rows(const Keeper *k, const Listing *listing, Rows *rows) {
  bool dead = is_meant(listing->which, DURABLE_DEAD);

  for (const List *at = k->damages.next; dead && at != &k->damages && rows->n < rows->most; at = at->next) {
    rows->rows[rows->n] = row_of_damage(CONTAINER_OF(at, Damage, in_keeper), rows->names[rows->n]);
    if (!has_room(rows, &rows->rows[rows->n]))
      return;
    rows->n++;
  }
  for (size_t i = 0; i < listing->n && rows->n < rows->most; i++) {
    rows->rows[rows->n] = row_of(listing->entries[i], rows->names[rows->n]);
    if (!has_room(rows, &rows->rows[rows->n]))
      return;
    rows->n++;
  }
}

void keeper_list(Keeper *k, RequestId asker, const void *request) {
  const DurableWhich *which = request;
  uint32_t total = durable_stats(k->durable).rows;
  size_t most = which->has_limit ? which->limit : ROWS_DEFAULT;
  _cleanup_(arena_done) Arena arena = {0};
  Listing listing = {.which = which, .entries = calloc(total + 1, sizeof *listing.entries)};
  Rows rows = {.rows = arena_take(&arena, most * sizeof *rows.rows),
               .names = arena_take(&arena, most * sizeof *rows.names),
               .most = most};
  DurableRows answer = {.disk = text_of(k->disk)};

  if (!listing.entries)
    abort();
  durable_each(k->durable, on_each, &listing);
  qsort(listing.entries, listing.n, sizeof *listing.entries, compare);
  put_rows(k, &listing, &rows);
  answer.total = listing.n + (is_meant(which, DURABLE_DEAD) ? k->n_damages : 0);
  answer.rows.items = rows.rows;
  answer.rows.count = rows.n;
  keeper_reply(k, asker, CONTRACT(DurableRows), &answer);
  free(listing.entries);
}

void keeper_status(Keeper *k, RequestId asker, const void *request _unused_) {
  DurableStats stats = durable_stats(k->durable);
  DurableStatus status = {.rows = stats.rows,
                          .rows_max = k->options.durable.rows,
                          .bytes = stats.bytes,
                          .bytes_max = k->options.durable.bytes,
                          .waiting = stats.states[DURABLE_WAITING] + stats.states[DURABLE_BEGUN],
                          .delivering = stats.delivering,
                          .done = stats.states[DURABLE_DONE],
                          .dead = stats.states[DURABLE_DEAD],
                          .damaged = k->n_damages,
                          .uncopied = stats.uncopied,
                          .behind = k->behind,
                          .level = stats.level,
                          .delivers = k->epoch > 0,
                          .disk = text_of(k->disk)};

  keeper_reply(k, asker, CONTRACT(DurableStatus), &status);
}
