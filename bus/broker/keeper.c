/* The shell around the machine of durable requests. Its time is microseconds since 1970 that run with the loop's clock, so that no step
   of the wall clock moves them while the process lives. Each entry is a row of the store, keyed by its id. */
#include "bus/broker/keeper-internal.h"

#include <stdio.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/broker/durable-words.h"

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
  int n = snprintf(room, 64, KEEPER_ENTRY "%s", request_id_format(entry->id, id));

  return (Text){room, (size_t)n};
}

/* A body is there before the row that speaks of it, and goes after it: what a power cut leaves between the two is nobody's. */
static uint64_t write_row(Keeper *k, const DurableEntry *entry) {
  _cleanup_(buffer_done) Buffer value = {0};
  uint64_t *serial = &k->last_serial;
  char room[64];

  if (!k->store)
    return 0;
  durable_words_encode(entry, BYTES_NONE, BYTES_NONE, &value);
  if ((entry->body && shelf_put(k->shelf, entry->id, SHELF_BODY, entry->body, serial) < 0) ||
      (entry->reply && shelf_put(k->shelf, entry->id, SHELF_REPLY, entry->reply, serial) < 0) ||
      store_put(k->store, key_of(entry, room), buffer_bytes(&value), serial) < 0)
    return 0;
  if (durable_is_over(entry))
    shelf_drop(k->shelf, entry->id, SHELF_BODY, serial);
  return k->last_serial;
}

static void forget_row(Keeper *k, const DurableEntry *entry) {
  char room[64];

  if (!k->store)
    return;
  store_drop(k->store, key_of(entry, room), &k->last_serial);
  shelf_drop(k->shelf, entry->id, SHELF_BODY, &k->last_serial);
  shelf_drop(k->shelf, entry->id, SHELF_REPLY, &k->last_serial);
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

  switch (action->kind) {
  case DURABLE_DO_WRITE:
    return write_row(k, action->entry);
  case DURABLE_DO_FORGET:
    forget_row(k, action->entry);
    break;
  case DURABLE_DO_SEND:
    return keeper_send_entry(k, action->entry);
  case DURABLE_DO_SEND_VERSIONS:
    keeper_send_versions(k, action->versions);
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
  k->linked = is_up;
  durable_linked(k->durable, is_up, keeper_now_us(k));
  keeper_end_lending(k);
  if (!is_up)
    keeper_end_fetches(k, "the other broker is gone");
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

  shelf_written(k->shelf, serial);
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

static void open_store(Keeper *k) {
  StoreHandler handler = {
      on_written, on_failed, .on_full = on_full, .on_damaged = keeper_on_damaged, .keeps = keeper_keeps, .userdata = k};

  if (store_open(&k->store, k->loop, k->options.path, &handler, k->disk) == 0) {
    k->disk[0] = '\0';
    shelf_new(&k->shelf, k->store);
  } else {
    log_error("PONS-DURABLE-DISK", "%s keeps no durable requests: %s", k->options.broker, k->disk);
  }
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
  list_init(&k->fetches);
  list_init(&k->arrivals);
  if (loop_timer_new(loop, on_timer, k, &k->timer) < 0 ||
      loop_timer_new(loop, keeper_on_fetch_timer, k, &k->fetch_timer) < 0)
    abort();
  open_store(k);
  durable.first = keeper_first_delivery(k);
  durable_new(&k->durable, &durable, &sink);
  if (k->store)
    keeper_load(k);
  else
    durable_disk(k->durable, false, 0);
  *ret = k;
}

void keeper_destroy(Keeper **keeper) {
  Keeper *gone = TAKE(*keeper);

  if (!gone)
    return;
  gone->core = NULL; /* nobody is told anything any more */
  store_close(&gone->store);
  shelf_destroy(&gone->shelf);
  keeper_end_fetches(gone, "this broker has stopped");
  keeper_done_arrivals(gone);
  keeper_end_lending(gone);
  keeper_dismiss(gone, STATUS_UNAVAILABLE, NULL, "this broker has stopped");
  loop_timer_destroy(&gone->timer);
  loop_timer_destroy(&gone->fetch_timer);
  keeper_done_couriers(gone);
  keeper_done_damage(gone);
  inside_destroy(&gone->service);
  table_done(&gone->waiters_by_id);
  durable_destroy(&gone->durable);
  free(gone);
}
