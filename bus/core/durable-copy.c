/* The copy at the other broker. Both say what they have when their link comes up, then each sends what the other has not, or not so
   far, and sends it again until the other has it on disk. Copies merge by id: the further one counts, so the order in which
   they come does not matter, nor whether they come twice. */
#include "bus/core/durable-internal.h"

#include <stdlib.h>

enum {
  SENT_AT_ONCE = 64, /* entries that are not acknowledged */
  ASKS = 8, /* for a digest, in the time that a copy is waited for: it was lost if the link was up there first */
};

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

void durable_uncopy(Durable *d, Row *row) {
  d->n_sent -= row->sent;
  row->sent = false;
  list_remove(&row->in_copies);
}

static void say_kept(const Durable *d, RequestId id, uint64_t version) {
  durable_act(d, &(DurableAction){.kind = DURABLE_DO_SEND_KEPT, .have = {id, version}});
}

void durable_copy(Durable *d, Row *row) {
  bool waits = row->acceptance == ACCEPT_COPY;

  if (!d->options.has_peer || !d->linked) {
    if (waits)
      durable_tell_kept(d, row, 1);
    return;
  }
  if (row->peer >= row->written) { /* it came from there */
    durable_uncopy(d, row);
    say_kept(d, row->entry.id, row->written);
    return;
  }
  durable_uncopy(d, row);
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

static void send(Durable *d, Row *row) {
  durable_uncopy(d, row);
  row->sent = row->shared = true;
  row->sent_us = d->now_us;
  d->n_sent++;
  list_push(&d->sent, &row->in_copies);
  durable_act(d, &(DurableAction){.kind = DURABLE_DO_SEND, .entry = &row->entry});
}

/* What has changed since, or has not got there, is sent when it is on disk. */
static void send_some(Durable *d) {
  Row *row;

  while (d->n_sent < SENT_AT_ONCE && (row = LIST_FIRST(&d->to_send, Row, in_copies))) {
    if (row->written == durable_version(&row->entry))
      send(d, row);
    else
      durable_uncopy(d, row); /* comes back when it is */
  }
}

static void send_again(Durable *d) {
  Row *row;

  while ((row = LIST_FIRST(&d->sent, Row, in_copies)) && d->now_us >= row->sent_us + d->options.copy_us) {
    durable_uncopy(d, row);
    list_push(&d->to_send, &row->in_copies);
  }
}

static void give_up_copies(Durable *d) {
  Row *row;

  while ((row = LIST_FIRST(&d->accepts, Row, in_accepts)) && d->now_us >= row->copy_by_us)
    durable_tell_kept(d, row, 1);
}

static void ask_again(Durable *d) {
  if (d->peer_known || d->now_us < d->asked_us + d->options.copy_us / ASKS)
    return;
  d->asked_us = d->now_us;
  durable_act(d, &(DurableAction){.kind = DURABLE_DO_SEND_WANTED});
}

void durable_copy_tick(Durable *d) {
  if (!d->linked)
    return;
  give_up_copies(d);
  ask_again(d);
  if (!d->peer_known)
    return;
  send_again(d);
  send_some(d);
}

uint64_t durable_copy_next_us(const Durable *d) {
  const Row *accept = LIST_FIRST(&d->accepts, Row, in_accepts);
  const Row *sent = LIST_FIRST(&d->sent, Row, in_copies);
  uint64_t next = accept ? accept->copy_by_us : TIME_NEVER;

  if (!d->linked)
    return TIME_NEVER;
  if (!d->peer_known)
    return min_u64(next, d->asked_us + d->options.copy_us / ASKS);
  return sent ? min_u64(next, sent->sent_us + d->options.copy_us) : next;
}

/* --- the link --- */

typedef struct Telling {
  DurableHave haves[DURABLE_HAVES];
  DurableDigest digest;
} Telling;

static void tell_part(const Durable *d, Telling *telling) {
  telling->digest.haves = telling->haves;
  durable_act(d, &(DurableAction){.kind = DURABLE_DO_SEND_DIGEST, .digest = &telling->digest});
  telling->digest.index++;
  telling->digest.n = 0;
}

/* All that is on disk. */
static void tell_all(const Durable *d) {
  Telling telling = {.digest = {0}};

  TABLE_EACH (&d->rows, Row, by_id, row) {
    if (row->written == 0)
      continue;
    telling.haves[telling.digest.n++] = (DurableHave){row->entry.id, row->written};
    if (telling.digest.n == DURABLE_HAVES)
      tell_part(d, &telling);
  }
  telling.digest.complete = true;
  tell_part(d, &telling);
}

static void on_up(Durable *d) {
  d->linked_us = d->asked_us = d->now_us;
  d->peer_known = false;
  d->digest_index = 0;
  d->n_taken = 0;
  durable_forget_wanted(d);
  TABLE_EACH (&d->rows, Row, by_id, row) {
    durable_uncopy(d, row);
    row->peer = 0;
    if (row->written > 0)
      durable_copy(d, row);
  }
  tell_all(d);
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
    durable_uncopy(d, row);
  if (row->acceptance == ACCEPT_COPY)
    durable_tell_kept(d, row, 2);
  durable_plan(d, row);
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

void durable_take_digest(Durable *d, const DurableDigest *digest, uint64_t now_us) {
  d->now_us = now_us;
  if (digest->index == 0) {
    d->digest_index = 0;
    durable_forget_wanted(d);
  }
  if (!d->linked || digest->index != d->digest_index)
    return;
  d->digest_index++;
  for (size_t i = 0; i < digest->n; i++)
    take_have(d, digest->haves[i]);
  if (digest->complete) {
    d->peer_known = true;
    if (d->n_taken + d->wanted.size > 0)
      durable_act(d, &(DurableAction){.kind = DURABLE_DO_BEHIND, .count = d->n_taken + d->wanted.size});
    d->n_taken = 0;
  }
  durable_tick(d, now_us);
}

void durable_take_wanted(Durable *d, uint64_t now_us) {
  d->now_us = now_us;
  if (d->linked)
    tell_all(d);
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

static void take_new(Durable *d, DurableEntry *entry) {
  Row *row = durable_add(d, entry);

  row->retry_us = d->now_us;
  row->shared = true;
  row->peer = durable_version(entry);
  durable_changed(d, row);
}

void durable_take(Durable *d, DurableEntry *entry, uint64_t now_us) {
  Row *row = durable_row(d, entry->id);
  Wanted *wanted = find_wanted(d, entry->id);
  uint64_t version = durable_version(entry);
  RequestId id = entry->id;

  d->now_us = now_us;
  if (wanted && version >= wanted->have.version)
    drop_wanted(d, wanted);
  if (!row && is_forgotten(d, entry)) {
    durable_entry_done(entry);
    say_kept(d, id, version);
  } else if (!row && !has_room(d, entry)) {
    durable_entry_done(entry);
  } else if (!row) {
    d->n_taken += !d->peer_known;
    take_new(d, entry);
  } else if (version <= durable_version(&row->entry)) {
    durable_entry_done(entry);
    note_peer(d, row, version);
    if (row->written >= version)
      say_kept(d, id, version);
  } else {
    d->n_taken += !d->peer_known;
    merge(d, row, entry);
    note_peer(d, row, version);
    durable_changed(d, row);
  }
  *entry = (DurableEntry){0};
  durable_tick(d, now_us);
}

void durable_take_kept(Durable *d, DurableHave have, uint64_t now_us) {
  Row *row = durable_row(d, have.id);

  d->now_us = now_us;
  if (row)
    note_peer(d, row, have.version);
  durable_tick(d, now_us);
}
