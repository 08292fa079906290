/* What is next for each request: delivered, tried again later, given up, forgotten.

   Nothing says on disk who has begun an idempotent request. Its instance sees the same id from whichever broker delivers it, so a new
   leader sends it as a client does that has moved: with an attempt above all before (its epoch, which rises), and its age. The
   instances are asked then, and whoever has it goes on with it; docs/protocol.md, section 17. */
#include "bus/core/durable-internal.h"

#include <stdio.h>

enum {
  IN_FLIGHT = 256, /* deliveries at a time */
  FLIGHT_BYTES =
      24 << 20,        /* of their bodies together; one goes whatever its size. A client may have LIMIT_CLIENT_BYTES */
  CLOCKS_US = 2000000, /* how far the clocks of two brokers may differ, when one says how old something is */
};

/* --- what is next --- */

/* 1, 2, 4, ... times the first, up to the longest, and a part of it that differs from request to request. */
static uint64_t backoff_us(const Durable *d, const DurableEntry *entry, uint32_t failures) {
  uint64_t us = d->options.backoff_us;

  while (failures-- > 1 && us < d->options.backoff_longest_us)
    us *= 2;
  us = min_u64(us, d->options.backoff_longest_us);
  return us - us / 4 * (request_id_hash(durable_delivery(entry)) % 256) / 256;
}

bool durable_is_level(const Durable *d) {
  uint64_t since_us = max_u64(d->led_us, d->linked_us);

  if (!d->options.has_peer || !d->linked || (d->peer_known && d->wanted.size == 0))
    return true;
  return d->now_us >= since_us + d->options.level_us;
}

static bool may_forget(const Durable *d, const Row *row) {
  return durable_is_over(&row->entry) && row->written == durable_version(&row->entry) &&
         (!d->options.has_peer || !row->shared || row->peer >= row->written);
}

/* When its next step is; a row that is over waits for the other's copy without a time. */
static uint64_t next_us(const Durable *d, const Row *row) {
  if (durable_is_over(&row->entry))
    return may_forget(d, row) ? row->entry.ended_us + d->options.keep_us : TIME_NEVER;
  if (!durable_is_live(&row->entry) || d->epoch == 0 || row->acceptance == ACCEPT_DISK || row->in_flight)
    return TIME_NEVER; /* a follower leaves it to the leader; of what is delivered the end will be heard */
  if (list_has(&row->in_ready) || row->written != durable_version(&row->entry))
    return row->entry.expires_us;
  return min_u64(row->entry.expires_us, row->retry_us);
}

void durable_plan(Durable *d, Row *row) {
  uint64_t at_us = next_us(d, row);

  if (at_us == TIME_NEVER)
    heap_remove(&d->due, &row->due);
  else
    heap_set(&d->due, &row->due, at_us);
}

/* --- changes --- */

/* As much of a text as fits, cut between two characters. */
static Text cut(Text text, size_t most) {
  if (text.size <= most)
    return text;
  while (most > 0 && ((unsigned char)text.data[most] & 0xc0) == 0x80)
    most--;
  return (Text){text.data, most};
}

static void set_message(DurableEntry *entry, Status status, Text message) {
  entry->status = status;
  snprintf(entry->message, sizeof entry->message, "%.*s", TEXT_ARG(cut(message, DURABLE_TEXT_BYTES)));
}

/* One event of one entry. */
static void change(Durable *d, Row *row, DurableChange what) {
  DurableEntry *entry = &row->entry;
  DurableState before = entry->state;
  DurableState next = durable_next(before, what);
  bool tries_again = next == DURABLE_WAITING && (what == DURABLE_ON_FAILED || what == DURABLE_ON_UNTOUCHED);

  if (next == before && !tries_again)
    return;
  entry->state = next;
  if (next == DURABLE_WAITING && (entry->idempotent || what == DURABLE_ON_REQUEUED)) { /* an id that nobody has seen */
    entry->since_us = d->now_us;
    row->certain = d->epoch > 0;
  }
  if (next != DURABLE_WAITING && next != DURABLE_BEGUN)
    entry->ended_us = d->now_us;
  durable_changed(d, row);
}

static void expire(Durable *d, Row *row) {
  DurableEntry *entry = &row->entry;
  char text[DURABLE_TEXT_BYTES + 1];

  durable_land(d, row);
  if (entry->state == DURABLE_BEGUN) {
    entry->tries++; /* if it is requeued, it is another try */
    set_message(entry, STATUS_UNKNOWN, TEXT("its deadline has passed, and it may have been begun"));
  } else {
    snprintf(text, sizeof text, "its deadline has passed; the last try ended %s: %.*s",
             entry->status ? status_name(entry->status) : "nowhere", TEXT_ARG(cut(text_of(entry->message), 180)));
    set_message(entry, STATUS_DEADLINE, text_of(text));
  }
  change(d, row, DURABLE_ON_EXPIRED);
}

/* It has come to nothing, once more. */
static void fail(Durable *d, Row *row, DurableChange what) {
  DurableEntry *entry = &row->entry;

  entry->tries++;
  if (what == DURABLE_ON_DOUBTFUL)
    entry->status = STATUS_UNKNOWN;
  if (what == DURABLE_ON_FAILED && ++entry->attempts >= d->options.attempts)
    what = DURABLE_ON_EXHAUSTED;
  row->retry_us = d->now_us + backoff_us(d, entry, ++row->failures);
  change(d, row, what);
}

static void succeed(Durable *d, Row *row, Bytes reply, Text reply_type) {
  DurableEntry *entry = &row->entry;
  bool fits = reply.size <= LIMIT_DURABLE_BYTES;

  if (durable_is_over(entry))
    return;
  set_message(entry, fits ? STATUS_OK : STATUS_GONE,
              fits ? TEXT_NONE : TEXT("done; the reply was too large to be kept"));
  d->bytes -= durable_size(entry);
  block_unref(&entry->reply);
  entry->reply = fits && reply.size > 0 ? block_copy(reply) : NULL;
  entry->reply_bytes = (uint32_t)block_bytes(entry->reply).size;
  d->bytes += durable_size(entry);
  snprintf(entry->reply_type, sizeof entry->reply_type, "%.*s", TEXT_ARG(cut(reply_type, LIMIT_CONTENT_TYPE_BYTES)));
  change(d, row, DURABLE_ON_SUCCEEDED);
}

/* Who does not lead any more knows of a success for sure, of nothing else. */
void durable_answered(Durable *d, RequestId delivery, Status status, Text message, Bytes reply, Text reply_type,
                      uint64_t now_us) {
  Row *row = durable_find_delivery(d, delivery);
  DurableChange what;

  d->now_us = now_us;
  if (!row)
    return;
  what = durable_outcome(status, row->entry.idempotent);
  if (what == DURABLE_ON_SUCCEEDED) {
    durable_land(d, row);
    succeed(d, row, reply, reply_type);
  } else if (row->in_flight && durable_is_live(&row->entry) &&
             request_id_equal(durable_delivery(&row->entry), delivery)) {
    durable_land(d, row);
    set_message(&row->entry, status, message);
    fail(d, row, what);
  }
  durable_tick(d, now_us);
}

void durable_spoilt(Durable *d, RequestId id, Text why, uint64_t now_us) {
  Row *row = durable_row(d, id);

  d->now_us = now_us;
  if (!row || !durable_is_live(&row->entry))
    return;
  durable_land(d, row);
  set_message(&row->entry, STATUS_GONE, why);
  fail(d, row, DURABLE_ON_REFUSED);
  durable_tick(d, now_us);
}

/* --- delivery --- */

static bool is_certain(const Durable *d, const Row *row) {
  bool untouched = !row->entry.idempotent && row->entry.state == DURABLE_WAITING;

  return row->certain || (untouched && (!d->options.has_peer || !row->shared));
}

static void deliver(Durable *d, Row *row) {
  const DurableEntry *entry = &row->entry;
  uint64_t left_us = entry->expires_us - min_u64(d->now_us, entry->expires_us);
  DurableAction action = {
      .kind = DURABLE_DO_DELIVER, .entry = entry, .deadline_us = max_u64(1, min_u64(left_us, d->options.attempt_us))};

  if (!row->certain) {
    action.attempt = (uint32_t)d->epoch;
    action.age_us = d->now_us - min_u64(entry->since_us, d->now_us) + CLOCKS_US;
  }
  row->attempt = action.attempt;
  row->in_flight = true;
  row->flight_bytes = entry->body_bytes;
  d->n_in_flight++;
  d->flight_bytes += row->flight_bytes;
  durable_plan(d, row);
  durable_act(d, &action);
}

/* A once request is on disk as begun before anybody hears of it. */
static void take(Durable *d, Row *row) {
  list_remove(&row->in_ready);
  if (!row->entry.idempotent && row->entry.state == DURABLE_WAITING) {
    row->certain = is_certain(d, row);
    change(d, row, DURABLE_ON_BEGIN);
  }
  if (row->written == durable_version(&row->entry))
    deliver(d, row);
}

void durable_pump(Durable *d) {
  Row *row;

  while (d->epoch > 0 && d->n_in_flight < IN_FLIGHT && (row = LIST_FIRST(&d->ready, Row, in_ready)) &&
         (d->flight_bytes == 0 || d->flight_bytes + row->entry.body_bytes <= FLIGHT_BYTES))
    take(d, row);
}

/* What was there before this broker led waits until it knows what the other does. */
static void make_ready(Durable *d, Row *row) {
  if (d->disk_fails || (!row->certain && !durable_is_level(d))) {
    row->retry_us = d->now_us + d->options.copy_us / 4 + 1;
    durable_plan(d, row);
    return;
  }
  list_push(&d->ready, &row->in_ready);
  row->retry_us = d->now_us;
  durable_plan(d, row);
}

void durable_on_due(Durable *d, Row *row) {
  if (durable_is_over(&row->entry)) {
    durable_act(d, &(DurableAction){.kind = DURABLE_DO_FORGET, .entry = &row->entry});
    durable_remove(d, row);
  } else if (d->now_us >= row->entry.expires_us) {
    expire(d, row);
  } else {
    make_ready(d, row);
  }
}

bool durable_waits(const Durable *d, RequestId delivery, uint32_t attempt) {
  const Row *row = durable_find_delivery(d, delivery);

  return row && row->in_flight && row->attempt == attempt && request_id_equal(durable_delivery(&row->entry), delivery);
}

void durable_lead(Durable *d, uint64_t epoch, uint64_t now_us) {
  d->now_us = now_us;
  d->epoch = epoch;
  d->led_us = now_us;
  TABLE_EACH (&d->rows, Row, by_id, row) {
    row->certain = false;
    durable_plan(d, row);
  }
  durable_tick(d, now_us);
}

void durable_step_down(Durable *d) {
  d->epoch = 0;
  TABLE_EACH (&d->rows, Row, by_id, row) {
    durable_land(d, row);
    durable_plan(d, row);
  }
}

/* --- a person's word --- */

/* What a person does to a dead letter; requeued, it has as long as it had at first. */
static int by_hand(Durable *d, RequestId id, DurableChange what, uint64_t now_us) {
  Row *row = durable_row(d, id);

  d->now_us = now_us;
  if (!row)
    return DURABLE_E_UNKNOWN;
  if (row->entry.state != DURABLE_DEAD)
    return DURABLE_E_NOT_DEAD;
  if (what == DURABLE_ON_REQUEUED) {
    row->entry.round++;
    row->entry.attempts = 0;
    row->entry.expires_us = now_us + row->entry.patience_us;
    row->retry_us = now_us;
    row->failures = 0;
    set_message(&row->entry, STATUS_OK, TEXT_NONE);
  }
  change(d, row, what);
  durable_tick(d, now_us);
  return 0;
}

int durable_requeue(Durable *d, RequestId id, uint64_t now_us) {
  return by_hand(d, id, DURABLE_ON_REQUEUED, now_us);
}

int durable_drop(Durable *d, RequestId id, uint64_t now_us) {
  return by_hand(d, id, DURABLE_ON_DROP, now_us);
}
