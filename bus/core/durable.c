/* The machine: what is accepted, delivered, tried again, given up and forgotten. An entry changes in memory first and is written
   then; whatever is told to others waits until it is on disk. durable-deliver.c says what is next for each, durable-copy.c what the
   other broker is told. */
#include "bus/core/durable-internal.h"

#include <stdio.h>
#include <stdlib.h>

enum { AGAIN_US = 1000000 /* until the store is asked again that could not take a row */ };

DurableOptions durable_options_default(void) {
  return (DurableOptions){.rows = 10000,
                          .bytes = 64 << 20,
                          .attempts = 8,
                          .backoff_us = 1 * US_PER_S,
                          .backoff_longest_us = 60 * US_PER_S,
                          .attempt_us = 30 * US_PER_S,
                          .keep_us = 600 * US_PER_S,
                          .copy_us = US_PER_S / 2,
                          .level_us = 2 * US_PER_S};
}

uint64_t durable_act(const Durable *d, const DurableAction *action) {
  return d->sink.act(d->sink.userdata, action);
}

/* --- rows --- */

Row *durable_row(const Durable *d, RequestId id) {
  for (TableLink *at = table_bucket(&d->rows, request_id_hash(id)); at; at = at->next) {
    Row *row = CONTAINER_OF(at, Row, by_id);

    if (request_id_equal(row->entry.id, id))
      return row;
  }
  return NULL;
}

static RequestId delivery_base(RequestId delivery) {
  return (RequestId){delivery.client, delivery.sequence / DURABLE_TRIES_KEPT * DURABLE_TRIES_KEPT};
}

Row *durable_find_delivery(const Durable *d, RequestId delivery) {
  RequestId base = delivery_base(delivery);

  for (TableLink *at = table_bucket(&d->deliveries, request_id_hash(base)); at; at = at->next) {
    Row *row = CONTAINER_OF(at, Row, by_delivery);

    if (request_id_equal(row->entry.delivery, base))
      return row;
  }
  return NULL;
}

Row *durable_add(Durable *d, const DurableEntry *entry) {
  Row *row = calloc(1, sizeof *row);

  if (!row)
    abort();
  row->entry = *entry;
  d->bytes += durable_size(entry);
  table_add(&d->rows, &row->by_id, request_id_hash(entry->id));
  table_add(&d->deliveries, &row->by_delivery, request_id_hash(entry->delivery));
  return row;
}

void durable_land(Durable *d, Row *row) {
  list_remove(&row->in_ready);
  d->n_in_flight -= row->in_flight;
  d->flight_bytes -= row->flight_bytes;
  row->flight_bytes = 0;
  row->in_flight = false;
}

void durable_remove(Durable *d, Row *row) {
  durable_land(d, row);
  durable_uncopy(row);
  list_remove(&row->in_unwritten);
  list_remove(&row->in_writes);
  list_remove(&row->in_accepts);
  if (list_has(&row->in_taken)) /* it never got to the disk */
    d->refused = d->refused ? min_u64(d->refused, row->taken) : row->taken;
  list_remove(&row->in_taken);
  heap_remove(&d->due, &row->due);
  table_remove(&d->rows, &row->by_id);
  table_remove(&d->deliveries, &row->by_delivery);
  d->bytes -= durable_size(&row->entry);
  durable_entry_done(&row->entry);
  free(row);
}

/* What nobody needs any more of an entry in this state. */
static void free_blocks(Durable *d, Row *row) {
  d->bytes -= durable_size(&row->entry);
  if (durable_is_over(&row->entry)) {
    block_unref(&row->entry.body);
    block_unref(&row->entry.annotations);
    row->entry.body_bytes = 0;
  }
  d->bytes += durable_size(&row->entry);
}

/* --- to disk --- */

static bool write(Durable *d, Row *row) {
  uint64_t serial = durable_act(d, &(DurableAction){.kind = DURABLE_DO_WRITE, .entry = &row->entry});

  if (serial == 0 && !list_has(&row->in_unwritten))
    list_push(&d->unwritten, &row->in_unwritten);
  if (serial == 0)
    return false;
  block_unref(&row->entry.body);
  block_unref(&row->entry.reply);
  list_remove(&row->in_unwritten);
  list_remove(&row->in_writes);
  row->serial = serial;
  row->writing = durable_version(&row->entry);
  list_push(&d->writes, &row->in_writes);
  return true;
}

void durable_changed(Durable *d, Row *row) {
  free_blocks(d, row);
  row->told_end = false;
  write(d, row);
  durable_plan(d, row);
}

static void tell_end(Durable *d, Row *row) {
  DurableState state = row->entry.state;

  if (row->told_end || row->written != durable_version(&row->entry) || (state != DURABLE_DONE && state != DURABLE_DEAD))
    return;
  row->told_end = true;
  durable_act(d, &(DurableAction){.kind = DURABLE_DO_ENDED, .entry = &row->entry});
}

static void on_disk(Durable *d, Row *row) {
  list_remove(&row->in_writes);
  row->written = row->writing;
  if (row->acceptance == ACCEPT_DISK)
    row->acceptance = ACCEPT_COPY;
  durable_copy(d, row);
  tell_end(d, row);
  durable_plan(d, row);
}

void durable_written(Durable *d, uint64_t serial, uint64_t now_us) {
  Row *row;

  d->now_us = now_us;
  while ((row = LIST_FIRST(&d->writes, Row, in_writes)) && row->serial <= serial)
    on_disk(d, row);
  durable_tick(d, now_us);
}

/* Nobody has been told of it: it is not there. */
static void refuse(Durable *d, Row *row) {
  DurableAction action = {.kind = DURABLE_DO_UNKEPT, .entry = &row->entry};

  durable_act(d, &action);
  action.kind = DURABLE_DO_FORGET;
  durable_act(d, &action);
  durable_remove(d, row);
}

void durable_disk(Durable *d, bool is_well, uint64_t now_us) {
  d->now_us = now_us;
  d->disk_fails = !is_well;
  if (!is_well)
    TABLE_EACH (&d->rows, Row, by_id, row)
      if (row->acceptance == ACCEPT_DISK)
        refuse(d, row);
  durable_tick(d, now_us);
}

/* --- time --- */

static void write_again(Durable *d) {
  Row *row;

  while ((row = LIST_FIRST(&d->unwritten, Row, in_unwritten)) && write(d, row))
    continue;
}

void durable_tick(Durable *d, uint64_t now_us) {
  HeapEntry *first;

  d->now_us = now_us;
  write_again(d);
  while ((first = heap_first(&d->due)) && first->at_us <= now_us)
    durable_on_due(d, CONTAINER_OF(first, Row, due));
  durable_copy_tick(d);
  durable_pump(d);
}

uint64_t durable_next_us(const Durable *d) {
  HeapEntry *first = heap_first(&d->due);
  uint64_t next = min_u64(first ? first->at_us : TIME_NEVER, durable_copy_next_us(d));

  return list_is_empty(&d->unwritten) ? next : min_u64(next, d->now_us + AGAIN_US);
}

/* --- asked for --- */

int durable_accept(Durable *d, DurableEntry *wish, uint64_t now_us) {
  size_t size;
  Row *row;
  int r = 0;

  wish->body_bytes = (uint32_t)block_bytes(wish->body).size;
  size = durable_size(wish);
  d->now_us = now_us;
  if (durable_row(d, wish->id))
    r = DURABLE_E_KNOWN;
  else if (d->disk_fails)
    r = DURABLE_E_NO_DISK;
  else if (d->rows.size >= d->options.rows || d->bytes + size > d->options.bytes)
    r = DURABLE_E_FULL;
  if (r != 0) {
    durable_entry_done(wish);
    return r;
  }
  wish->delivery = (RequestId){d->options.first.client, d->sequence};
  d->sequence += DURABLE_TRIES_KEPT;
  wish->accepted_us = wish->since_us = now_us;
  wish->expires_us = now_us + wish->patience_us;
  row = durable_add(d, wish);
  *wish = (DurableEntry){0};
  row->acceptance = ACCEPT_DISK;
  row->certain = d->epoch > 0;
  row->retry_us = now_us;
  durable_changed(d, row);
  if (list_has(&row->in_unwritten)) { /* the store's queue is full */
    durable_remove(d, row);
    return DURABLE_E_NO_DISK;
  }
  return 0;
}

const DurableEntry *durable_find(const Durable *d, RequestId id) {
  const Row *row = durable_row(d, id);

  return row ? &row->entry : NULL;
}

bool durable_has_ended(const Durable *d, RequestId id) {
  const Row *row = durable_row(d, id);

  return row && row->told_end && (row->entry.state == DURABLE_DONE || row->entry.state == DURABLE_DEAD);
}

uint32_t durable_copies(const Durable *d, RequestId id) {
  const Row *row = durable_row(d, id);

  return !row || row->acceptance != ACCEPTED_BEFORE ? 0 : row->peer > 0 ? 2 : 1;
}

void durable_each(const Durable *d, void (*each)(void *userdata, const DurableEntry *entry), void *userdata) {
  TABLE_EACH (&d->rows, Row, by_id, row)
    each(userdata, &row->entry);
}

DurableStats durable_stats(const Durable *d) {
  DurableStats stats = {.rows = d->rows.size,
                        .bytes = d->bytes,
                        .delivering = d->n_in_flight,
                        .level = !d->options.has_peer || (d->linked && d->peer_known && d->wanted.size == 0)};

  TABLE_EACH (&d->rows, Row, by_id, row) {
    stats.states[row->entry.state]++;
    stats.uncopied += row->peer < durable_version(&row->entry);
  }
  return stats;
}

/* --- made and ended --- */

int durable_new(Durable **ret, const DurableOptions *options, const DurableSink *sink) {
  Durable *d = calloc(1, sizeof *d);

  if (!d)
    abort();
  d->options = *options;
  d->sink = *sink;
  d->sequence = delivery_base(options->first).sequence + DURABLE_TRIES_KEPT;
  list_init(&d->unwritten);
  list_init(&d->writes);
  list_init(&d->ready);
  list_init(&d->accepts);
  list_init(&d->to_send);
  list_init(&d->sent);
  list_init(&d->taken);
  *ret = d;
  return 0;
}

void durable_destroy(Durable **durable) {
  Durable *gone = TAKE(*durable);

  if (!gone)
    return;
  TABLE_EACH (&gone->rows, Row, by_id, row)
    durable_remove(gone, row);
  durable_forget_wanted(gone);
  table_done(&gone->wanted);
  table_done(&gone->rows);
  table_done(&gone->deliveries);
  heap_done(&gone->due);
  free(gone);
}

void durable_load(Durable *d, DurableEntry *entry, uint64_t now_us) {
  Row *row = durable_add(d, entry);

  d->now_us = now_us;
  *entry = (DurableEntry){0};
  if (row->entry.delivery.client.value == d->options.first.client.value)
    d->sequence = max_u64(d->sequence, row->entry.delivery.sequence + DURABLE_TRIES_KEPT);
  row->written = row->writing = durable_version(&row->entry);
  row->shared = d->options.has_peer;
  row->told_end = !durable_is_live(&row->entry);
  row->retry_us = now_us;
  if (row->entry.body || row->entry.reply)
    write(d, row);
  durable_copy(d, row);
  durable_plan(d, row);
}
