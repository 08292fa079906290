/* The copy at the other broker. What is on disk here is sent once, in the log of changes, and is there when the other acknowledges its
   position. When the log can't go on where it was, both say what they have, and each sends what the other has not, or not so far. Copies
   merge by id: the further one counts, so the order in which they come does not matter, nor whether they come twice. */
#include "bus/core/durable-internal.h"

#include <stdlib.h>

/* --- what the other has not --- */

static uint64_t key_of(RequestId id) {
  return request_id_hash(id);
}

static Wanted *find_wanted(const Durable *d, RequestId id) {
  for (TableLink *at = table_bucket(&d->wanted, key_of(id)); at; at = at->next) {
    Wanted *wanted = CONTAINER_OF(at, Wanted, link);

    if (request_id_equal(wanted->have.id, id))
      return wanted;
  }
  return NULL;
}

static void drop_wanted(Durable *d, Wanted *wanted) {
  table_remove(&d->wanted, &wanted->link);
  free(wanted);
}

void durable_forget_wanted(Durable *d) {
  TABLE_EACH (&d->wanted, Wanted, link, wanted)
    drop_wanted(d, wanted);
}

void durable_uncopy(Row *row) {
  row->position = 0;
  list_remove(&row->in_copies);
}

void durable_copy(Durable *d, Row *row) {
  bool waits = row->acceptance == ACCEPT_COPY;

  if (row->written >= row->taking)
    list_remove(&row->in_taken);
  if (!d->options.has_peer || !d->linked || row->peer >= row->written) {
    if (waits)
      durable_tell_kept(d, row, row->peer > 0 ? 2 : 1);
    waits = false;
  }
  durable_uncopy(row);
  if (!d->options.has_peer || row->peer >= row->written) /* it came from there */
    return;
  list_push(&d->to_send, &row->in_copies);
  if (waits && !list_has(&row->in_accepts)) {
    row->copy_by_us = d->now_us + d->options.copy_us;
    list_push(&d->accepts, &row->in_accepts);
  }
}

void durable_tell_kept(Durable *d, Row *row, uint32_t copies) {
  list_remove(&row->in_accepts);
  row->acceptance = ACCEPTED_BEFORE;
  durable_act(d, &(DurableAction){.kind = DURABLE_DO_KEPT, .entry = &row->entry, .copies = copies});
}

/* Returns false when there is no room for it now. */
static bool send(Durable *d, Row *row) {
  uint64_t position = durable_act(d, &(DurableAction){.kind = DURABLE_DO_SEND, .entry = &row->entry});

  if (position == 0)
    return false;
  durable_uncopy(row);
  row->position = position;
  row->sending = row->written;
  row->shared = true;
  list_push(&d->sent, &row->in_copies);
  return true;
}

/* What has changed since is sent when that is on disk. */
static void send_some(Durable *d) {
  Row *row;

  while ((row = LIST_FIRST(&d->to_send, Row, in_copies))) {
    if (row->written != durable_version(&row->entry))
      durable_uncopy(row); /* comes back when it is */
    else if (!send(d, row))
      return;
  }
}

static void give_up_copies(Durable *d) {
  Row *row;

  while ((row = LIST_FIRST(&d->accepts, Row, in_accepts)) && d->now_us >= row->copy_by_us)
    durable_tell_kept(d, row, 1);
}

void durable_copy_tick(Durable *d) {
  if (!d->linked)
    return;
  give_up_copies(d);
  if (d->peer_known)
    send_some(d);
}

uint64_t durable_copy_next_us(const Durable *d) {
  const Row *accept = LIST_FIRST(&d->accepts, Row, in_accepts);

  return d->linked && accept ? accept->copy_by_us : TIME_NEVER;
}

/* --- the link --- */

typedef struct Telling {
  DurableHave haves[DURABLE_HAVES];
  size_t n;
} Telling;

static void tell_part(const Durable *d, Telling *telling) {
  DurableVersions versions = {telling->haves, telling->n};

  if (telling->n > 0)
    durable_act(d, &(DurableAction){.kind = DURABLE_DO_SEND_VERSIONS, .versions = &versions});
  telling->n = 0;
}

/* What was sent to a former self of the other, or was dropped from the log, is to be sent anew. */
static void unsend(Durable *d) {
  LIST_EACH (&d->sent, Row, in_copies, row) {
    durable_uncopy(row);
    list_push(&d->to_send, &row->in_copies);
  }
}

void durable_tell(Durable *d, bool all, uint64_t now_us) {
  Telling telling = {.n = 0};

  d->now_us = now_us;
  if (all)
    unsend(d);
  TABLE_EACH (&d->rows, Row, by_id, row) {
    if (row->written == 0 || (!all && row->peer >= row->written))
      continue;
    telling.haves[telling.n++] = (DurableHave){row->entry.id, row->written};
    if (telling.n == DURABLE_HAVES)
      tell_part(d, &telling);
  }
  tell_part(d, &telling);
}

/* Until the other has told all that it has, nothing is sent: it may have it. */
static void on_up(Durable *d) {
  d->linked_us = d->now_us;
  d->peer_known = false;
  d->n_taken = 0;
  durable_forget_wanted(d);
}

/* Nobody waits for a copy any more. */
static void on_down(Durable *d) {
  Row *row;

  while ((row = LIST_FIRST(&d->accepts, Row, in_accepts)))
    durable_tell_kept(d, row, 1);
}

void durable_linked(Durable *d, bool is_up, uint64_t now_us) {
  d->now_us = now_us;
  d->linked = is_up;
  if (is_up)
    on_up(d);
  else
    on_down(d);
  durable_tick(d, now_us);
}

/* --- from the other --- */

/* The other has this version of it on disk. */
static void note_peer(Durable *d, Row *row, uint64_t version) {
  row->shared = true;
  row->peer = max_u64(row->peer, version);
  if (row->peer >= row->written && row->acceptance != ACCEPT_DISK)
    durable_uncopy(row);
  if (row->acceptance == ACCEPT_COPY)
    durable_tell_kept(d, row, 2);
  durable_plan(d, row);
}

void durable_take_done(Durable *d, uint64_t position, uint64_t now_us) {
  Row *row;

  d->now_us = now_us;
  while ((row = LIST_FIRST(&d->sent, Row, in_copies)) && row->position <= position) {
    durable_uncopy(row);
    note_peer(d, row, row->sending);
  }
  durable_tick(d, now_us);
}

static void want(Durable *d, DurableHave have) {
  Wanted *wanted;

  if (d->wanted.size >= 2 * d->options.rows)
    return;
  wanted = calloc(1, sizeof *wanted);
  if (!wanted)
    abort();
  wanted->have = have;
  table_add(&d->wanted, &wanted->link, key_of(have.id));
}

static void take_have(Durable *d, DurableHave have) {
  Row *row = durable_row(d, have.id);

  if (row)
    note_peer(d, row, have.version);
  if ((!row || have.version > durable_version(&row->entry)) && !find_wanted(d, have.id))
    want(d, have);
}

/* What was taken before has no position any more; its disk is asked for anew. */
void durable_take_snapshot(Durable *d, uint64_t now_us) {
  d->now_us = now_us;
  d->peer_known = false;
  d->refused = 0;
  durable_forget_wanted(d);
  TABLE_EACH (&d->rows, Row, by_id, row) {
    row->peer = 0;
    list_remove(&row->in_taken);
  }
}

void durable_take_versions(Durable *d, const DurableVersions *versions, uint64_t now_us) {
  d->now_us = now_us;
  for (size_t i = 0; i < versions->n; i++)
    take_have(d, versions->haves[i]);
}

void durable_take_level(Durable *d, uint64_t now_us) {
  d->now_us = now_us;
  if (!d->linked)
    return;
  d->peer_known = true;
  TABLE_EACH (&d->rows, Row, by_id, row) {
    if (row->written > row->peer && !list_has(&row->in_copies))
      list_push(&d->to_send, &row->in_copies);
  }
  if (d->n_taken + d->wanted.size > 0)
    durable_act(d, &(DurableAction){.kind = DURABLE_DO_BEHIND, .count = d->n_taken + d->wanted.size});
  d->n_taken = 0;
  durable_tick(d, now_us);
}

uint64_t durable_done(const Durable *d, uint64_t position) {
  const Row *row = LIST_FIRST(&d->taken, Row, in_taken);

  if (d->refused)
    position = min_u64(position, d->refused - 1);
  return row ? min_u64(position, row->taken - 1) : position;
}

bool durable_is_short(const Durable *d) {
  return d->refused > 0 && !d->disk_fails;
}

/* It is not acknowledged before this version is on disk. Its body may have come later than what was told after it. */
static void hold(Durable *d, Row *row, uint64_t version, uint64_t position) {
  List *at = d->taken.previous;

  row->taking = version;
  if (list_has(&row->in_taken) || position == 0)
    return;
  while (at != &d->taken && CONTAINER_OF(at, Row, in_taken)->taken > position)
    at = at->previous;
  row->taken = position;
  list_push_front(at, &row->in_taken);
}

/* What both have forgotten is not kept again. */
static bool is_forgotten(const Durable *d, const DurableEntry *entry) {
  return durable_is_over(entry) && d->now_us >= entry->ended_us + d->options.keep_us;
}

static bool has_room(const Durable *d, const DurableEntry *entry) {
  return d->rows.size < 2 * d->options.rows && d->bytes + durable_size(entry) <= 2 * d->options.bytes;
}

/* Takes over what is further than the own copy. A delivery in hand goes on, unless that is the end. */
static void merge(Durable *d, Row *row, DurableEntry *entry) {
  RequestId delivery = row->entry.delivery;
  RequestId flying = durable_delivery(&row->entry);

  d->bytes -= durable_size(&row->entry);
  durable_entry_done(&row->entry);
  row->entry = *entry;
  row->entry.delivery = delivery;
  d->bytes += durable_size(&row->entry);
  row->certain = false;
  row->retry_us = d->now_us;
  row->failures = 0;
  /* The answer to a try that has ended elsewhere says nothing any more, but for a success: nobody waits for it. */
  if (!durable_is_live(&row->entry) || (row->in_flight && !request_id_equal(durable_delivery(&row->entry), flying)))
    durable_land(d, row);
}

static void take_new(Durable *d, DurableEntry *entry, uint64_t position) {
  Row *row = durable_add(d, entry);

  row->retry_us = d->now_us;
  row->shared = true;
  row->peer = durable_version(entry);
  hold(d, row, row->peer, position);
  durable_changed(d, row);
}

static void take_known(Durable *d, Row *row, DurableEntry *entry, uint64_t position) {
  uint64_t version = durable_version(entry);

  if (row->written < version)
    hold(d, row, version, position);
  if (version <= durable_version(&row->entry)) {
    durable_entry_done(entry);
    note_peer(d, row, version);
    return;
  }
  d->n_taken += !d->peer_known;
  merge(d, row, entry);
  note_peer(d, row, version);
  durable_changed(d, row);
}

void durable_take(Durable *d, DurableEntry *entry, uint64_t position, uint64_t now_us) {
  Row *row = durable_row(d, entry->id);
  Wanted *wanted = find_wanted(d, entry->id);

  d->now_us = now_us;
  if (wanted && durable_version(entry) >= wanted->have.version)
    drop_wanted(d, wanted);
  if (row) {
    take_known(d, row, entry, position);
  } else if (is_forgotten(d, entry)) {
    durable_entry_done(entry);
  } else if (has_room(d, entry)) {
    d->n_taken += !d->peer_known;
    take_new(d, entry, position);
  } else {
    durable_entry_done(entry);
    d->refused = d->refused ? min_u64(d->refused, position) : position;
  }
  *entry = (DurableEntry){0};
  durable_tick(d, now_us);
}
