#include "bus/base/table.h"

#include <assert.h>
#include <stdlib.h>

static uint64_t hash_seed;

static void grow(Table *table) {
  uint32_t n = table->buckets ? (table->mask + 1) * 2 : 16;
  TableLink **buckets = calloc(n, sizeof *buckets);

  if (!buckets)
    abort();
  for (uint32_t i = 0; table->buckets && i <= table->mask; i++) {
    TableLink *link = table->buckets[i];

    while (link) {
      TableLink *next = link->next;

      link->next = buckets[link->hash & (n - 1)];
      buckets[link->hash & (n - 1)] = link;
      link = next;
    }
  }
  free(table->buckets);
  table->buckets = buckets;
  table->mask = n - 1;
}

void table_add(Table *table, TableLink *link, uint64_t hash) {
  TableLink **bucket;

  if (!table->buckets || table->size > table->mask)
    grow(table);
  bucket = &table->buckets[hash & table->mask];
  *link = (TableLink){*bucket, hash};
  *bucket = link;
  table->size++;
}

void table_remove(Table *table, TableLink *link) {
  TableLink **at = &table->buckets[link->hash & table->mask];

  while (*at != link) {
    assert(*at);
    at = &(*at)->next;
  }
  *at = link->next;
  link->next = NULL;
  table->size--;
}

void table_done(Table *table) {
  free(table->buckets);
  *table = (Table){0};
}

uint64_t text_hash(Text text) {
  uint64_t h = UINT64_C(0xcbf29ce484222325) ^ hash_seed;

  for (size_t i = 0; i < text.size; i++)
    h = (h ^ (uint8_t)text.data[i]) * UINT64_C(0x100000001b3);
  return h ^ h >> 32;
}

void table_seed(uint64_t seed) {
  hash_seed = seed;
}
