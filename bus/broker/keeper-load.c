/* What was on disk when the broker started: entries, bodies and replies, damage. Bodies are held against their checksums and left there. */
#include <stdio.h>
#include <stdlib.h>

#include "bus/base/log.h"
#include "bus/broker/durable-words.h"
#include "bus/broker/keeper-internal.h"

#define COURIER "courier" /* the row with the client id of its couriers */
#define DAMAGE "damage/"

/* A body or reply that is there. */
typedef struct Found {
  TableLink link;
  RequestId id;
  ShelfPart part;
  bool wanted;
} Found;

typedef struct Loading {
  Keeper *keeper;
  Table found;
} Loading;

void keeper_on_damaged(void *userdata, Text key, Bytes value, const char *text) {
  Keeper *k = userdata;

  log_error("PONS-DURABLE-DAMAGED", "%s; `pons deadletter list` shows it", text);
  keeper_note_damage(k, key, value, text, clock_realtime_us());
}

bool keeper_keeps(void *userdata _unused_, Text key) {
  return !shelf_is_key(key, NULL, NULL);
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

/* The ids of tries go on with those of earlier lives of this store, whichever broker delivers. */
RequestId keeper_first_delivery(Keeper *k) {
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

static void note_found(void *userdata, Text key, Bytes value _unused_) {
  Loading *loading = userdata;
  Found found = {.wanted = false};
  Found *kept;

  if (!shelf_is_key(key, &found.id, &found.part))
    return;
  kept = malloc(sizeof *kept);
  if (!kept)
    abort();
  *kept = found;
  table_add(&loading->found, &kept->link, request_id_hash(kept->id));
}

/* Whether what an entry speaks of is there. */
static bool has(const Loading *loading, RequestId id, ShelfPart part) {
  for (TableLink *at = table_bucket(&loading->found, request_id_hash(id)); at; at = at->next) {
    Found *found = CONTAINER_OF(at, Found, link);

    if (found->part == part && request_id_equal(found->id, id))
      return found->wanted = true;
  }
  return false;
}

/* What was done stays done, also without its reply. */
static void lose_reply(DurableEntry *entry) {
  entry->status = STATUS_GONE;
  entry->reply_bytes = 0;
  snprintf(entry->message, sizeof entry->message, "done; the reply that was kept is damaged on disk");
}

static void load_entry(const Loading *loading, Text key, Bytes value) {
  Keeper *k = loading->keeper;
  DurableEntry entry;

  if (!durable_words_decode(value, &entry)) {
    keeper_on_damaged(k, key, value,
                      "a row can't be read, though its checksum fits: a later version may have written it");
    return;
  }
  if (entry.reply_bytes > 0 && !entry.reply && !has(loading, entry.id, SHELF_REPLY))
    lose_reply(&entry);
  if (entry.body_bytes > 0 && !entry.body && !has(loading, entry.id, SHELF_BODY)) {
    char text[STORE_TEXT_BYTES];

    snprintf(text, sizeof text, "the body that row %.*s speaks of is missing or damaged", TEXT_ARG(key));
    keeper_on_damaged(k, key, value, text);
    durable_entry_done(&entry);
    return;
  }
  durable_load(k->durable, &entry, k->epoch_us + loop_now_us(k->loop));
}

static void load_row(void *userdata, Text key, Bytes value) {
  const Loading *loading = userdata;

  if (begins(key, DAMAGE))
    keeper_load_damage(loading->keeper, key, value);
  else if (begins(key, KEEPER_ENTRY))
    load_entry(loading, key, value);
}

void keeper_load(Keeper *k) {
  Loading loading = {.keeper = k};

  store_each(k->store, note_found, &loading);
  store_each(k->store, load_row, &loading);
  store_forget(k->store);
  keeper_keep_damage(k);
  TABLE_EACH (&loading.found, Found, link, found) {
    if (!found->wanted) /* a power cut was faster than the row that would have spoken of it */
      shelf_drop(k->shelf, found->id, found->part, &k->last_serial);
    table_remove(&loading.found, &found->link);
    free(found);
  }
  table_done(&loading.found);
}
