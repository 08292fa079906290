/* What:      a hash table, intrusive and open: a TableLink inside the element, buckets that grow with it.
 * Owns:      its bucket array; never the elements.
 * May use:   base/types.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_BASE_TABLE_H
#define PONS_BASE_TABLE_H

#include "bus/base/types.h"

typedef struct TableLink {
  struct TableLink *next;
  uint64_t hash;
} TableLink;

/* All zero is an empty table. */
typedef struct Table {
  TableLink **buckets;
  uint32_t size;
  uint32_t mask; /* buckets - 1 */
} Table;

/* Puts link in under hash; the caller has looked that no equal element is in. */
void table_add(Table *table, TableLink *link, uint64_t hash);
/* Takes link out; it must be in. */
void table_remove(Table *table, TableLink *link);
/* Frees the buckets; the elements stay as they are. */
void table_done(Table *table);

/* First link of the bucket of hash; the caller walks ->next and compares ->hash and the key. */
static inline TableLink *table_bucket(const Table *table, uint64_t hash) {
  return table->buckets ? table->buckets[hash & table->mask] : NULL;
}

/* Walks all elements; the current one may be removed inside the loop, none may be added. */
#define TABLE_EACH(table, type, member, element)                                                                       \
  for (uint32_t b_ = 0; (table)->buckets && b_ <= (table)->mask; b_++)                                                 \
    for (TableLink *at_ = (table)->buckets[b_], *next_ = at_ ? at_->next : NULL; at_;                                  \
         at_ = next_, next_ = at_ ? at_->next : NULL)                                                                  \
      for (type *element = CONTAINER_OF(at_, type, member); element; element = NULL)

/* FNV-1a with a final mix, seeded per process by table_seed so that a peer can't choose names that collide. */
uint64_t text_hash(Text text);
/* Sets the seed of text_hash: once, at the start of a program, before any table holds text; tests leave it at 0. */
void table_seed(uint64_t seed);

#endif
