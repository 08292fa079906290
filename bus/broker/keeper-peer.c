/* What the other broker is told of durable requests, and what it tells. An entry goes with its body, or its reply, when that is short and
   in memory; else the other fetches it, piece by piece and one at a time, so that neither has more than one in memory for that, however
   many there are and however large. */
#include <stdlib.h>

#include "bus/broker/durable-words.h"
#include "bus/broker/keeper-internal.h"
#include "bus/wire/arena.h"

enum {
  AGAIN_US = 500000, /* until a piece is asked for again */
  ASKS = 8,          /* without an answer, before the next is fetched */
  SERVINGS = 16,     /* pieces that wait for the disk; the other asks again */
};

/* A body or reply that the other has. */
typedef struct Fetch {
  List in_keeper;
  RequestId id;
  ShelfPart part;
  size_t total;
  Buffer bytes;
  uint32_t asks; /* since the last piece */
  ShelfRead *on_end;
  void *userdata;
} Fetch;

static const char *const parts[] = {[SHELF_BODY] = "body", [SHELF_REPLY] = "reply"};

static ShelfPart part_of(Text word) {
  return text_is(word, parts[SHELF_REPLY]) ? SHELF_REPLY : SHELF_BODY;
}

static void say(Keeper *k, const char *kind, const Contract *contract, const void *value) {
  _cleanup_(buffer_done) Buffer body = {0};

  if (contract_encode(contract, value, &body, NULL) != 0)
    abort();
  k->handler.send(k->handler.userdata, kind, buffer_bytes(&body));
}

/* --- told --- */

/* It, if it may stand in the message of its entry. */
static Bytes enclosed(Keeper *k, RequestId id, ShelfPart part, uint32_t size) {
  Bytes bytes =
      size > 0 && size <= LIMIT_DURABLE_PIECE_BYTES ? block_bytes(shelf_find(k->shelf, id, part)) : BYTES_NONE;

  return bytes.size == size ? bytes : BYTES_NONE;
}

uint64_t keeper_send_entry(Keeper *k, const DurableEntry *entry) {
  _cleanup_(buffer_done) Buffer body = {0};
  Bytes enclosed_body = enclosed(k, entry->id, SHELF_BODY, entry->body_bytes);
  Bytes enclosed_reply = enclosed(k, entry->id, SHELF_REPLY, entry->reply_bytes);

  durable_words_encode(entry, enclosed_body, enclosed_reply, &body);
  return k->handler.append(k->handler.userdata, CHANGE_DURABLE, buffer_bytes(&body));
}

void keeper_send_versions(Keeper *k, const DurableVersions *versions) {
  _cleanup_(buffer_done) Buffer body = {0};
  PeerVersion rows[DURABLE_HAVES];
  PeerVersions message = {{rows, versions->n}};

  for (size_t i = 0; i < versions->n; i++)
    rows[i] =
        (PeerVersion){versions->haves[i].id.client.value, versions->haves[i].id.sequence, versions->haves[i].version};
  if (contract_encode(CONTRACT(PeerVersions), &message, &body, NULL) != 0)
    abort();
  k->handler.append(k->handler.userdata, CHANGE_VERSIONS, buffer_bytes(&body));
}

/* --- fetched --- */

static void ask_for_piece(Keeper *k) {
  Fetch *fetch = LIST_FIRST(&k->fetches, Fetch, in_keeper);
  PeerDurableFetch question;

  if (!fetch) {
    loop_timer_set(k->fetch_timer, TIME_NEVER);
    return;
  }
  question = (PeerDurableFetch){.client = fetch->id.client.value,
                                .sequence = fetch->id.sequence,
                                .part = text_of(parts[fetch->part]),
                                .offset = fetch->bytes.size};
  fetch->asks++;
  say(k, "durable_fetch", CONTRACT(PeerDurableFetch), &question);
  loop_timer_set(k->fetch_timer, loop_now_us(k->loop) + AGAIN_US);
}

/* The next is asked for first: whoever is told may want another. */
static void end_fetch(Keeper *k, Fetch *fetch, const char *why) {
  size_t size = fetch->bytes.size;
  Block *block = why ? NULL : block_adopt((Bytes){fetch->bytes.data, size}, fetch->bytes.data, free);

  if (block)
    fetch->bytes = (Buffer){0};
  list_remove(&fetch->in_keeper);
  ask_for_piece(k);
  fetch->on_end(fetch->userdata, block, why ? why : "");
  block_unref(&block);
  buffer_done(&fetch->bytes);
  free(fetch);
}

void keeper_fetch(Keeper *k, RequestId id, ShelfPart part, size_t total, ShelfRead *on_end, void *userdata) {
  Fetch *fetch = calloc(1, sizeof *fetch);
  bool idle = list_is_empty(&k->fetches);

  if (!fetch)
    abort();
  *fetch = (Fetch){.id = id, .part = part, .total = total, .on_end = on_end, .userdata = userdata};
  list_push(&k->fetches, &fetch->in_keeper);
  if (idle)
    ask_for_piece(k);
}

void keeper_mend(Keeper *k, RequestId id, size_t total, ShelfRead *on_end, void *userdata) {
  if (k->linked)
    keeper_fetch(k, id, SHELF_BODY, total, on_end, userdata);
  else
    on_end(userdata, NULL, "the other broker is not there");
}

void keeper_on_fetch_timer(void *userdata, uint64_t now_us _unused_) {
  Keeper *k = userdata;
  Fetch *fetch = LIST_FIRST(&k->fetches, Fetch, in_keeper);

  if (fetch && fetch->asks >= ASKS)
    end_fetch(k, fetch, "the other broker does not tell it");
  else
    ask_for_piece(k);
  keeper_settle(k);
}

static void take_piece(Keeper *k, Bytes body) {
  Fetch *fetch = LIST_FIRST(&k->fetches, Fetch, in_keeper);
  PeerDurablePiece piece;

  if (!fetch || contract_decode(CONTRACT(PeerDurablePiece), body, NULL, &piece, NULL) != 0 ||
      piece.client != fetch->id.client.value || piece.sequence != fetch->id.sequence ||
      part_of(piece.part) != fetch->part)
    return;
  if (piece.total != fetch->total) {
    end_fetch(k, fetch, "the other broker does not have it");
    return;
  }
  if (piece.offset != fetch->bytes.size || piece.bytes.size == 0 || piece.bytes.size > fetch->total - fetch->bytes.size)
    return;
  fetch->asks = 0;
  buffer_append(&fetch->bytes, piece.bytes.data, piece.bytes.size);
  if (fetch->bytes.size == fetch->total)
    end_fetch(k, fetch, NULL);
  else
    ask_for_piece(k);
}

void keeper_end_fetches(Keeper *k, const char *why) {
  Fetch *fetch;
  List list;

  list_init(&list);
  while ((fetch = LIST_FIRST(&k->fetches, Fetch, in_keeper))) {
    list_remove(&fetch->in_keeper);
    list_push(&list, &fetch->in_keeper);
  }
  while ((fetch = LIST_FIRST(&list, Fetch, in_keeper)))
    end_fetch(k, fetch, why);
}

/* --- served --- */

typedef struct Serving {
  Keeper *keeper;
  RequestId id;
  ShelfPart part;
  size_t offset;
} Serving;

void keeper_end_lending(Keeper *k) {
  block_unref(&k->lent);
}

/* The other fetches one from its beginning to its end: it is not read anew for each piece. */
static void lend(Keeper *k, const Serving *serving, Block *block, bool is_last) {
  if (block)
    block_ref(block);
  keeper_end_lending(k);
  k->lent = block;
  k->lent_id = serving->id;
  k->lent_part = serving->part;
  if (is_last)
    keeper_end_lending(k);
}

static void on_serve(void *userdata, Block *block, const char *why _unused_) {
  Serving *serving = userdata;
  Bytes all = block_bytes(block);
  size_t offset = min_u64(serving->offset, all.size);
  PeerDurablePiece piece = {
      .client = serving->id.client.value,
      .sequence = serving->id.sequence,
      .part = text_of(parts[serving->part]),
      .offset = offset,
      .total = all.size,
      .bytes = {all.data + offset, min_u64(all.size - offset, LIMIT_DURABLE_PIECE_BYTES)},
  };

  serving->keeper->n_servings--;
  say(serving->keeper, "durable_piece", CONTRACT(PeerDurablePiece), &piece);
  lend(serving->keeper, serving, block, offset + piece.bytes.size == all.size);
  free(serving);
}

static void take_fetch(Keeper *k, Bytes body) {
  const DurableEntry *entry;
  PeerDurableFetch fetch;
  Serving *serving;
  RequestId id;

  if (k->n_servings >= SERVINGS || contract_decode(CONTRACT(PeerDurableFetch), body, NULL, &fetch, NULL) != 0)
    return;
  id = (RequestId){{fetch.client}, fetch.sequence};
  entry = durable_find(k->durable, id);
  serving = calloc(1, sizeof *serving);
  if (!serving)
    abort();
  *serving = (Serving){k, id, part_of(fetch.part), fetch.offset};
  k->n_servings++;
  if (k->lent && k->lent_part == serving->part && request_id_equal(k->lent_id, id))
    on_serve(serving, k->lent, "");
  else if (entry && (serving->part == SHELF_BODY ? entry->body_bytes : entry->reply_bytes) > 0)
    shelf_get(k->shelf, id, serving->part, on_serve, serving);
  else
    on_serve(serving, NULL, "");
}

/* --- taken --- */

/* An entry whose body, or reply, is on its way. */
typedef struct Arrival {
  Keeper *keeper;
  List in_keeper;
  DurableEntry entry;
  ShelfPart part;
  uint64_t position; /* of the other's log; 0 = of one that counts no more */
  bool failed;       /* it could not be had: it counts as missing until a later version is here, or it is told anew */
} Arrival;

static void drop_arrival(Arrival *arrival) {
  list_remove(&arrival->in_keeper);
  arrival->keeper->n_arrivals--;
  durable_entry_done(&arrival->entry);
  free(arrival);
}

/* What failed and is here by now, in a later version, is missing no more. */
static void settle_failed(Keeper *k, RequestId id) {
  const DurableEntry *own = durable_find(k->durable, id);

  LIST_EACH (&k->arrivals, Arrival, in_keeper, arrival) {
    if (arrival->failed && own && request_id_equal(arrival->entry.id, id) &&
        durable_version(own) >= durable_version(&arrival->entry))
      drop_arrival(arrival);
  }
}

static void on_arrived(void *userdata, Block *block, const char *why _unused_) {
  Arrival *arrival = userdata;
  Keeper *k = arrival->keeper;
  RequestId id = arrival->entry.id;

  if (!block) {
    arrival->failed = true;
    settle_failed(k, id);
    return;
  }
  if (arrival->part == SHELF_BODY)
    arrival->entry.body = block_ref(block);
  else
    arrival->entry.reply = block_ref(block);
  durable_take(k->durable, &arrival->entry, arrival->position, keeper_now_us(k));
  drop_arrival(arrival);
  settle_failed(k, id);
}

/* The same entry is on its way: the further one counts. Returns whether that is so. */
static bool merge_arrival(Keeper *k, DurableEntry *entry, ShelfPart part, uint64_t position) {
  LIST_EACH (&k->arrivals, Arrival, in_keeper, arrival) {
    if (arrival->failed || arrival->part != part || !request_id_equal(arrival->entry.id, entry->id))
      continue;
    if (arrival->position == 0)
      arrival->position = position;
    if (durable_version(entry) > durable_version(&arrival->entry)) {
      durable_entry_done(&arrival->entry);
      arrival->entry = *entry;
    } else {
      durable_entry_done(entry);
    }
    return true;
  }
  return false;
}

static bool is_here(const Keeper *k, const DurableEntry *entry, ShelfPart part) {
  const DurableEntry *own = durable_find(k->durable, entry->id);

  return own && (part == SHELF_BODY ? own->body_bytes == entry->body_bytes : own->reply_bytes == entry->reply_bytes);
}

/* Returns false when it can't be taken. */
static bool take_entry(Keeper *k, uint64_t position, Bytes body) {
  DurableEntry entry;
  Arrival *arrival;
  ShelfPart part;

  if (!durable_words_decode(body, &entry))
    return false;
  part = durable_is_over(&entry) ? SHELF_REPLY : SHELF_BODY;
  if (part == SHELF_REPLY)
    entry.body_bytes = 0;
  if ((part == SHELF_BODY ? entry.body_bytes == 0 || entry.body : entry.reply_bytes == 0 || entry.reply) ||
      is_here(k, &entry, part)) {
    RequestId id = entry.id;

    durable_take(k->durable, &entry, position, keeper_now_us(k));
    settle_failed(k, id);
    return true;
  }
  if (merge_arrival(k, &entry, part, position))
    return true;
  arrival = calloc(1, sizeof *arrival);
  if (!arrival)
    abort();
  *arrival = (Arrival){.keeper = k, .entry = entry, .part = part, .position = position};
  list_push(&k->arrivals, &arrival->in_keeper);
  arrival->failed = ++k->n_arrivals > 2 * k->options.durable.rows;
  if (!arrival->failed)
    keeper_fetch(k, entry.id, part, part == SHELF_BODY ? entry.body_bytes : entry.reply_bytes, on_arrived, arrival);
  return true;
}

static bool take_versions(Keeper *k, Bytes body) {
  _cleanup_(arena_done) Arena arena = {0};
  DurableHave haves[DURABLE_HAVES];
  PeerVersions message;

  if (contract_decode(CONTRACT(PeerVersions), body, &arena, &message, NULL) != 0)
    return false;
  for (size_t i = 0; i < message.rows.count; i++) {
    const PeerVersion *row = &message.rows.items[i];

    haves[i] = (DurableHave){{{row->client}, row->sequence}, row->version};
  }
  durable_take_versions(k->durable, &(DurableVersions){haves, message.rows.count}, keeper_now_us(k));
  return true;
}

/* What is missing is told anew; what is on its way has a position again when it is. */
static void take_snapshot(Keeper *k) {
  LIST_EACH (&k->arrivals, Arrival, in_keeper, arrival) {
    arrival->position = 0;
    if (arrival->failed)
      drop_arrival(arrival);
  }
  durable_take_snapshot(k->durable, keeper_now_us(k));
}

/* A broker without a disk for them keeps nothing. */
bool keeper_take(Keeper *k, ChangeKind kind, uint64_t position, Bytes body) {
  bool taken = true;

  if (!k || !k->store)
    return false;
  if (kind == CHANGE_SNAPSHOT)
    take_snapshot(k);
  else if (kind == CHANGE_LEVEL)
    durable_take_level(k->durable, keeper_now_us(k));
  else
    taken = kind == CHANGE_VERSIONS ? take_versions(k, body) : take_entry(k, position, body);
  keeper_settle(k);
  return taken;
}

void keeper_hear(Keeper *k, Text kind, Bytes body) {
  if (!k || !k->store)
    return;
  if (text_is(kind, "durable_fetch"))
    take_fetch(k, body);
  else if (text_is(kind, "durable_piece"))
    take_piece(k, body);
  keeper_settle(k);
}

void keeper_take_done(Keeper *k, uint64_t position) {
  if (!k || !k->store)
    return;
  durable_take_done(k->durable, position, keeper_now_us(k));
  keeper_settle(k);
}

uint64_t keeper_done(const Keeper *k, uint64_t position) {
  if (!k || !k->store)
    return position;
  LIST_EACH (&k->arrivals, Arrival, in_keeper, arrival) {
    if (arrival->position > 0)
      position = min_u64(position, arrival->position - 1);
  }
  return durable_done(k->durable, position);
}

bool keeper_is_short(const Keeper *k) {
  if (!k || !k->store)
    return false;
  LIST_EACH (&k->arrivals, Arrival, in_keeper, arrival) {
    if (arrival->failed)
      return true;
  }
  return durable_is_short(k->durable);
}

void keeper_tell(Keeper *k, bool all) {
  if (k && k->store)
    durable_tell(k->durable, all, keeper_now_us(k));
}

/* The fetches have ended: nobody waits for these. */
void keeper_done_arrivals(Keeper *k) {
  LIST_EACH (&k->arrivals, Arrival, in_keeper, arrival)
    drop_arrival(arrival);
}
