/* Written for every request and read almost never: entries lie in a ring of 32 bytes each that is written in order, found by
   an open hash of places with linear probing and backward-shift deletion (Knuth, TAOCP 3, 6.4, algorithm R). */
#include "bus/agent/memory.h"

#include <stdlib.h>

#include "bus/base/clock.h"

enum { RING_FIRST = 64, ANSWER_MAX_BYTES = LIMIT_MEMORY_BYTES / 8 };

typedef struct MemoryClient {
  TableLink link;
  ClientId id;
  uint64_t bytes;
  struct MemoryAnswer *oldest;
  struct MemoryAnswer *newest;
} MemoryClient;

typedef struct MemoryAnswer {
  MemoryClient *client;
  struct MemoryAnswer *next; /* of the same client */
  uint64_t entry;            /* number */
  uint32_t header_size;
  uint32_t body_size;
  uint32_t pieces_size;
  uint8_t bytes[];
} MemoryAnswer;

static MemoryEntry *entry_at(const Memory *memory, uint64_t number) {
  return &memory->ring[number & (memory->room - 1)];
}

/* --- the index --- */

static uint32_t hash_of(const Memory *memory, RequestId id) {
  return (uint32_t)request_id_hash(id) & (2 * memory->room - 1);
}

static void index_add(Memory *memory, uint64_t number) {
  uint32_t mask = 2 * memory->room - 1;
  uint32_t at = hash_of(memory, entry_at(memory, number)->id);

  while (memory->index[at])
    at = (at + 1) & mask;
  memory->index[at] = (uint32_t)(number & (memory->room - 1)) + 1;
}

/* Closes the hole at `at`: what stands behind it and would not be found any more moves up. */
static void index_close(Memory *memory, uint32_t at) {
  uint32_t mask = 2 * memory->room - 1;
  uint32_t next = at;

  for (;;) {
    memory->index[at] = 0;
    do {
      uint32_t home;

      next = (next + 1) & mask;
      if (!memory->index[next])
        return;
      home = hash_of(memory, memory->ring[memory->index[next] - 1].id);
      if (((next - home) & mask) >= ((next - at) & mask))
        break;
    } while (true);
    memory->index[at] = memory->index[next];
    at = next;
  }
}

static void index_remove(Memory *memory, uint64_t number) {
  uint32_t mask = 2 * memory->room - 1;
  uint32_t place = (uint32_t)(number & (memory->room - 1)) + 1;
  uint32_t at = hash_of(memory, entry_at(memory, number)->id);

  while (memory->index[at] != place)
    at = (at + 1) & mask;
  index_close(memory, at);
}

static uint32_t attempt_of(const MemoryEntry *entry) {
  return (entry->attempt_hop & ~MEMORY_NOTED) >> 8;
}

/* The newest answer to (id, hop), or NULL; and the highest attempt of the id that was heard of. */
static MemoryEntry *find(const Memory *memory, RequestId id, uint8_t hop, uint32_t *ret_highest) {
  uint32_t mask = 2 * memory->room - 1;
  MemoryEntry *found = NULL;

  *ret_highest = 0;
  if (memory->size == 0)
    return NULL;
  for (uint32_t at = hash_of(memory, id); memory->index[at]; at = (at + 1) & mask) {
    MemoryEntry *entry = &memory->ring[memory->index[at] - 1];

    if (!request_id_equal(entry->id, id))
      continue;
    *ret_highest = (uint32_t)max_u64(*ret_highest, attempt_of(entry));
    if (!(entry->attempt_hop & MEMORY_NOTED) && (entry->attempt_hop & 0xff) == hop &&
        (!found || entry->attempt_hop > found->attempt_hop))
      found = entry;
  }
  return found;
}

/* --- answers --- */

static MemoryClient *client_of(Memory *memory, ClientId id) {
  uint64_t hash = request_id_hash((RequestId){id, 0});
  MemoryClient *client;

  for (TableLink *at = table_bucket(&memory->clients, hash); at; at = at->next) {
    client = CONTAINER_OF(at, MemoryClient, link);
    if (client->id.value == id.value)
      return client;
  }
  client = calloc(1, sizeof *client);
  if (!client)
    abort();
  client->id = id;
  table_add(&memory->clients, &client->link, hash);
  return client;
}

/* Drops a client's oldest answer, and the client with its last. */
static void drop_oldest(Memory *memory, MemoryClient *client) {
  MemoryAnswer *answer = client->oldest;
  uint64_t bytes = sizeof *answer + answer->header_size + answer->body_size + answer->pieces_size;

  entry_at(memory, answer->entry)->answer = NULL;
  client->oldest = answer->next;
  client->bytes -= bytes;
  memory->answer_bytes -= bytes;
  free(answer);
  if (client->oldest)
    return;
  if (memory->fattest == client)
    memory->fattest = NULL;
  table_remove(&memory->clients, &client->link);
  free(client);
}

/* Who has more than an equal share. */
static MemoryClient *find_fattest(Memory *memory) {
  uint64_t share = LIMIT_MEMORY_BYTES / memory->clients.size;

  if (memory->fattest && memory->fattest->bytes > share)
    return memory->fattest;
  memory->fattest = NULL;
  TABLE_EACH (&memory->clients, MemoryClient, link, client) {
    if (!memory->fattest || client->bytes > memory->fattest->bytes)
      memory->fattest = client;
  }
  return memory->fattest;
}

static void put(uint8_t **at, Bytes bytes) {
  if (bytes.size)
    memcpy(*at, bytes.data, bytes.size);
  *at += bytes.size;
}

static MemoryAnswer *keep_answer(Memory *memory, RequestId id, uint64_t number, const MemoryReply *reply) {
  uint64_t bytes = sizeof(MemoryAnswer) + reply->header.size + reply->body.size + reply->pieces.size;
  MemoryClient *client;
  MemoryAnswer *answer;
  uint8_t *at;

  if (reply->header.size == 0 || bytes > ANSWER_MAX_BYTES)
    return NULL;
  while (memory->answer_bytes + bytes > LIMIT_MEMORY_BYTES)
    drop_oldest(memory, find_fattest(memory));
  client = client_of(memory, id.client);
  answer = malloc(bytes);
  if (!answer)
    abort();
  *answer = (MemoryAnswer){.client = client,
                           .entry = number,
                           .header_size = (uint32_t)reply->header.size,
                           .body_size = (uint32_t)reply->body.size,
                           .pieces_size = (uint32_t)reply->pieces.size};
  at = answer->bytes;
  put(&at, reply->header);
  put(&at, reply->body);
  put(&at, reply->pieces);
  if (client->oldest)
    client->newest->next = answer;
  else
    client->oldest = answer;
  client->newest = answer;
  client->bytes += bytes;
  memory->answer_bytes += bytes;
  return answer;
}

/* --- the ring --- */

static void drop_first(Memory *memory, uint64_t now_us) {
  MemoryEntry *entry = entry_at(memory, memory->first);
  uint64_t age_us = (uint64_t)((uint32_t)(now_us / US_PER_MS) - entry->at_ms) * US_PER_MS;

  if (entry->answer) /* answers of one client go in the order in which they came, so it is its oldest */
    drop_oldest(memory, entry->answer->client);
  memory->covers_us = max_u64(memory->covers_us, now_us - min_u64(age_us, now_us) + US_PER_MS);
  index_remove(memory, memory->first);
  memory->first++;
  memory->size--;
}

static void grow(Memory *memory) {
  Memory old = *memory;

  memory->room = old.room ? old.room * 2 : RING_FIRST;
  memory->ring = malloc(memory->room * sizeof *memory->ring);
  memory->index = calloc((size_t)memory->room * 2, sizeof *memory->index);
  if (!memory->ring || !memory->index)
    abort();
  for (uint64_t number = old.first; number < old.first + old.size; number++) {
    *entry_at(memory, number) = *entry_at(&old, number);
    index_add(memory, number);
  }
  free(old.ring);
  free(old.index);
}

static bool is_old(const Memory *memory, uint32_t now_ms) {
  return now_ms - entry_at(memory, memory->first)->at_ms > TIME_HORIZON_US / 1000;
}

/* Makes the newest entry. Returns its number. */
static uint64_t add(Memory *memory, RequestId id, uint32_t attempt_hop, uint64_t now_us) {
  uint32_t now_ms = (uint32_t)(now_us / US_PER_MS);
  uint64_t number;

  while (memory->size > 0 && is_old(memory, now_ms))
    drop_first(memory, now_us);
  if (memory->size == memory->room && memory->room < LIMIT_MEMORY_IDS)
    grow(memory);
  else if (memory->size == memory->room)
    drop_first(memory, now_us);
  number = memory->first + memory->size++;
  *entry_at(memory, number) = (MemoryEntry){.id = id, .attempt_hop = attempt_hop, .at_ms = now_ms};
  index_add(memory, number);
  return number;
}

void memory_start(Memory *memory, uint64_t now_us) {
  memory->covers_us = now_us;
}

void memory_put(Memory *memory, RequestId id, uint8_t hop, uint32_t attempt, const MemoryReply *reply,
                uint64_t now_us) {
  uint64_t number = add(memory, id, attempt << 8 | hop, now_us);

  entry_at(memory, number)->answer = keep_answer(memory, id, number, reply);
}

void memory_note(Memory *memory, RequestId id, uint32_t attempt, uint64_t now_us) {
  uint32_t highest;

  find(memory, id, 0, &highest);
  if (attempt > highest)
    add(memory, id, MEMORY_NOTED | attempt << 8, now_us);
}

int memory_find(const Memory *memory, RequestId id, uint8_t hop, uint32_t attempt, MemoryReply *ret) {
  uint32_t highest;
  const MemoryEntry *entry = find(memory, id, hop, &highest);
  const MemoryAnswer *answer;

  if (attempt < highest)
    return MEMORY_E_STALE;
  if (!entry)
    return MEMORY_E_UNKNOWN;
  if (!entry->answer)
    return MEMORY_E_GONE;
  answer = entry->answer;
  *ret = (MemoryReply){
      .header = {answer->bytes, answer->header_size},
      .body = {answer->bytes + answer->header_size, answer->body_size},
      .pieces = {answer->bytes + answer->header_size + answer->body_size, answer->pieces_size},
  };
  return 0;
}

bool memory_covers(const Memory *memory, uint64_t age_us, uint64_t now_us) {
  return now_us >= age_us && now_us - age_us >= memory->covers_us;
}

void memory_done(Memory *memory) {
  while (memory->size > 0)
    drop_first(memory, 0);
  free(memory->ring);
  free(memory->index);
  table_done(&memory->clients);
  *memory = (Memory){0};
}
