/* The shell around the machine of durable requests. Its time is microseconds since 1970 that run with the loop's clock, so that no step
   of the wall clock moves them while the process lives. Each entry is a row of the store, keyed by its id. */
#include "bus/broker/keeper-internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/broker/durable-words.h"
#include "bus/wire/arena.h"

#define COURIER "courier" /* the row with the client id of its couriers */
#define ENTRY "durable/"
#define DAMAGE "damage/"

uint64_t keeper_now_us(Keeper *k) {
  k->handler.look(k->handler.userdata);
  return k->epoch_us + loop_now_us(k->loop);
}

void keeper_settle(Keeper *k) {
  uint64_t next_us = durable_next_us(k->durable);

  loop_timer_set(k->timer, next_us == TIME_NEVER ? TIME_NEVER : next_us - min_u64(next_us, k->epoch_us));
}

void keeper_count(const Keeper *k, Counter counter, uint64_t n) {
  if (k->core)
    core_count(k->core, counter, n);
}

static void on_timer(void *userdata, uint64_t now_us _unused_) {
  Keeper *k = userdata;

  durable_tick(k->durable, keeper_now_us(k));
  keeper_settle(k);
}

/* --- what the machine wants done --- */

static Text key_of(const DurableEntry *entry, char room[64]) {
  char id[REQUEST_ID_TEXT_SIZE];
  int n = snprintf(room, 64, ENTRY "%s", request_id_format(entry->id, id));

  return (Text){room, (size_t)n};
}

static uint64_t write_row(Keeper *k, const DurableEntry *entry) {
  _cleanup_(buffer_done) Buffer value = {0};
  char room[64];

  if (!k->store)
    return 0;
  durable_words_encode(entry, &value);
  if (store_put(k->store, key_of(entry, room), buffer_bytes(&value), &k->last_serial) < 0)
    return 0;
  return k->last_serial;
}

static void say(Keeper *k, const char *kind, const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer body = {0};

  if (contract_encode(contract, value, &body, NULL) != 0)
    abort();
  k->handler.send(k->handler.userdata, kind, buffer_bytes(&body));
}

static void send_entry(Keeper *k, const DurableEntry *entry) {
  _cleanup_(buffer_done) Buffer body = {0};

  durable_words_encode(entry, &body);
  k->handler.send(k->handler.userdata, "durable", buffer_bytes(&body));
}

static PeerDurableKept kept_of(DurableHave have) {
  return (PeerDurableKept){have.id.client.value, have.id.sequence, have.version};
}

static void send_kept(Keeper *k, DurableHave have) {
  PeerDurableKept kept = kept_of(have);

  say(k, "durable_kept", CONTRACT(PeerDurableKept), &kept);
}

static void send_digest(Keeper *k, const DurableDigest *digest) {
  PeerDurableKept rows[DURABLE_HAVES];
  PeerDurableDigest body = {.index = digest->index,
                            .has_complete = digest->complete,
                            .complete = digest->complete,
                            .rows = {rows, digest->n}};

  for (size_t i = 0; i < digest->n; i++)
    rows[i] = kept_of(digest->haves[i]);
  say(k, "durable_digest", CONTRACT(PeerDurableDigest), &body);
}

static void tell_end(Keeper *k, const DurableEntry *entry) {
  char id[REQUEST_ID_TEXT_SIZE];

  keeper_count(k, entry->state == DURABLE_DONE ? COUNTER_DURABLE_DONE : COUNTER_DURABLE_DEAD, 1);
  if (entry->state == DURABLE_DEAD)
    log_warning("PONS-DURABLE-DEAD", "durable request %s to %s.%s is a dead letter: %s: %s",
                request_id_format(entry->id, id), entry->service, entry->method, status_name(entry->status),
                entry->message);
  keeper_tell_end(k, entry);
}

static void on_behind(Keeper *k, uint64_t n) {
  k->behind++;
  keeper_count(k, COUNTER_DURABLE_BEHIND, n);
  log_warning("PONS-DURABLE-BEHIND", "%s was behind: it takes over %llu durable requests of the other broker",
              k->options.broker, (unsigned long long)n);
}

static uint64_t on_act(void *userdata, const DurableAction *action) {
  Keeper *k = userdata;
  char room[64];

  switch (action->kind) {
  case DURABLE_DO_WRITE:
    return write_row(k, action->entry);
  case DURABLE_DO_FORGET:
    if (k->store)
      store_drop(k->store, key_of(action->entry, room), &k->last_serial);
    break;
  case DURABLE_DO_SEND:
    send_entry(k, action->entry);
    break;
  case DURABLE_DO_SEND_KEPT:
    send_kept(k, action->have);
    break;
  case DURABLE_DO_SEND_DIGEST:
    send_digest(k, action->digest);
    break;
  case DURABLE_DO_SEND_WANTED:
    say(k, "durable_wanted", CONTRACT(PeerDurableWanted), &(PeerDurableWanted){0});
    break;
  case DURABLE_DO_DELIVER:
    keeper_deliver(k, action);
    break;
  case DURABLE_DO_KEPT:
    keeper_count(k, COUNTER_DURABLE_ACCEPTED, 1);
    keeper_tell_kept(k, action->entry, action->copies);
    break;
  case DURABLE_DO_UNKEPT:
    keeper_tell_kept(k, action->entry, 0);
    break;
  case DURABLE_DO_ENDED:
    tell_end(k, action->entry);
    break;
  case DURABLE_DO_BEHIND:
    on_behind(k, action->count);
    break;
  }
  return 0;
}

/* --- what the other broker says --- */

static void take_entry(Keeper *k, Bytes body) {
  DurableEntry entry;

  if (durable_words_decode(body, &entry))
    durable_take(k->durable, &entry, keeper_now_us(k));
}

static DurableHave have_of(const PeerDurableKept *kept) {
  return (DurableHave){{{kept->client}, kept->sequence}, kept->version};
}

static void take_kept(Keeper *k, Bytes body) {
  PeerDurableKept kept;

  if (contract_decode(CONTRACT(PeerDurableKept), body, NULL, &kept, NULL) == 0)
    durable_take_kept(k->durable, have_of(&kept), keeper_now_us(k));
}

static void take_digest(Keeper *k, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  DurableHave haves[DURABLE_HAVES];
  PeerDurableDigest digest;

  if (contract_decode(CONTRACT(PeerDurableDigest), body, &arena, &digest, NULL) != 0)
    return;
  for (size_t i = 0; i < digest.rows.count; i++)
    haves[i] = have_of(&digest.rows.items[i]);
  durable_take_digest(k->durable, &(DurableDigest){(uint32_t)digest.index, digest.complete, haves, digest.rows.count},
                      keeper_now_us(k));
}

void keeper_take(Keeper *k, Text kind, Bytes body) {
  if (!k || !k->store)
    return;
  if (text_is(kind, "durable"))
    take_entry(k, body);
  else if (text_is(kind, "durable_kept"))
    take_kept(k, body);
  else if (text_is(kind, "durable_digest"))
    take_digest(k, body);
  else if (text_is(kind, "durable_wanted"))
    durable_take_wanted(k->durable, keeper_now_us(k));
  keeper_settle(k);
}

/* --- what becomes of this broker --- */

void keeper_lead(Keeper *k, uint64_t epoch) {
  if (!k)
    return;
  k->epoch = epoch;
  if (k->core)
    durable_lead(k->durable, epoch, k->epoch_us + loop_now_us(k->loop));
  keeper_settle(k);
}

void keeper_step_down(Keeper *k) {
  if (!k)
    return;
  k->epoch = 0;
  durable_step_down(k->durable);
  keeper_settle(k);
}

/* A broker without a disk for them keeps nothing, and says nothing. */
void keeper_linked(Keeper *k, bool is_up) {
  if (!k || !k->store)
    return;
  durable_linked(k->durable, is_up, keeper_now_us(k));
  keeper_settle(k);
}

void keeper_enter(Keeper *k, Core *core, InsideSet *insides) {
  k->core = core;
  k->insides = insides;
  keeper_offer(k);
  if (k->epoch > 0)
    keeper_lead(k, k->epoch);
}

void keeper_stop(Keeper *k) {
  if (k)
    keeper_dismiss(k, STATUS_DRAINING, NULL, "this broker is stopping: ask the other one");
}

bool keeper_turn(Keeper *k) {
  bool any = inside_turn(k->service, loop_now_us(k->loop));

  return keeper_turn_couriers(k) || any;
}

/* --- the store --- */

static void on_written(void *userdata, uint64_t serial) {
  Keeper *k = userdata;

  durable_written(k->durable, serial, keeper_now_us(k));
  keeper_tell_written(k, serial);
  keeper_settle(k);
}

/* The machine refuses what it has told nobody to be kept. */
static void on_failed(void *userdata, const char *text) {
  Keeper *k = userdata;

  snprintf(k->disk, sizeof k->disk, "%s", text);
  log_error("PONS-DURABLE-DISK", "%s keeps no durable requests any more: %s: %s; repair the disk and start it again",
            k->options.broker, k->options.path, text);
  durable_disk(k->durable, false, keeper_now_us(k));
  keeper_settle(k);
}

static void on_full(void *userdata, bool is_full, const char *text) {
  Keeper *k = userdata;

  snprintf(k->disk, sizeof k->disk, "%s", is_full ? text : "");
  if (is_full)
    log_error("PONS-DURABLE-DISK", "%s takes no durable requests: %s: %s; make room, and it goes on by itself",
              k->options.broker, k->options.path, text);
  else
    log_info("PONS-DURABLE-DISK", "%s takes durable requests again", k->options.broker);
  durable_disk(k->durable, !is_full, keeper_now_us(k));
  keeper_settle(k);
}

static void on_damaged(void *userdata, Text key, Bytes value, const char *text) {
  Keeper *k = userdata;

  log_error("PONS-DURABLE-DAMAGED", "%s; `pons deadletter list` shows it", text);
  keeper_note_damage(k, key, value, text, clock_realtime_us());
}

static bool begins(Text text, const char *with) {
  size_t size = strlen(with);

  return text.size > size && memcmp(text.data, with, size) == 0;
}

static void find_courier(void *userdata, Text key, Bytes value) {
  RequestId *first = userdata;
  char text[24];

  snprintf(text, sizeof text, "%.*s", (int)min_u64(value.size, sizeof text - 1), (const char *)value.data);
  if (text_is(key, COURIER))
    first->client.value = strtoull(text, NULL, 16);
}

static void load_row(void *userdata, Text key, Bytes value) {
  Keeper *k = userdata;
  DurableEntry entry;

  if (begins(key, DAMAGE))
    keeper_load_damage(k, key, value);
  else if (!begins(key, ENTRY))
    return;
  else if (durable_words_decode(value, &entry))
    durable_load(k->durable, &entry, k->epoch_us + loop_now_us(k->loop));
  else
    on_damaged(k, key, value, "a row can't be read, though its checksum fits: a later version may have written it");
}

/* The ids of tries go on with those of earlier lives of this store, whichever broker delivers. */
static RequestId first_delivery(Keeper *k) {
  RequestId first = {.sequence = k->options.life * DURABLE_TRIES_KEPT};
  char text[24];
  int n;

  if (k->store)
    store_each(k->store, find_courier, &first);
  if (first.client.value != 0)
    return first;
  first.client.value = random_u64() | 1;
  n = snprintf(text, sizeof text, "%016llx", (unsigned long long)first.client.value);
  if (k->store)
    store_put(k->store, TEXT(COURIER), (Bytes){(const uint8_t *)text, (size_t)n}, &k->last_serial);
  return first;
}

static void open_store(Keeper *k) {
  StoreHandler handler = {
      .on_written = on_written, .on_failed = on_failed, .on_full = on_full, .on_damaged = on_damaged, .userdata = k};

  if (store_open(&k->store, k->loop, k->options.path, &handler, k->disk) == 0)
    k->disk[0] = '\0';
  else
    log_error("PONS-DURABLE-DISK", "%s keeps no durable requests: %s", k->options.broker, k->disk);
}

void keeper_new(Keeper **ret, Loop *loop, const KeeperOptions *options, const KeeperHandler *handler) {
  Keeper *k = calloc(1, sizeof *k);
  DurableSink sink = {on_act, k};
  DurableOptions durable = options->durable;

  if (!k)
    abort();
  k->loop = loop;
  k->options = *options;
  k->handler = *handler;
  k->epoch_us = clock_realtime_us() - clock_monotonic_us();
  list_init(&k->unsent);
  list_init(&k->waiters);
  list_init(&k->damages);
  if (loop_timer_new(loop, on_timer, k, &k->timer) < 0)
    abort();
  open_store(k);
  durable.first = first_delivery(k);
  durable_new(&k->durable, &durable, &sink);
  if (k->store) {
    store_each(k->store, load_row, k);
    store_forget(k->store);
    keeper_keep_damage(k);
  } else {
    durable_disk(k->durable, false, 0);
  }
  *ret = k;
}

void keeper_destroy(Keeper **keeper) {
  Keeper *gone = TAKE(*keeper);

  if (!gone)
    return;
  gone->core = NULL; /* nobody is told anything any more */
  store_close(&gone->store);
  keeper_dismiss(gone, STATUS_UNAVAILABLE, NULL, "this broker has stopped");
  loop_timer_destroy(&gone->timer);
  keeper_done_couriers(gone);
  keeper_done_damage(gone);
  inside_destroy(&gone->service);
  table_done(&gone->waiters_by_id);
  durable_destroy(&gone->durable);
  free(gone);
}
