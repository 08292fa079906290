/* A name has its place in one of the buckets; in a bucket it may have any place. Instead of tokens the time is kept at which all are
   back, so nothing has to be counted up and a place that was never used is a name with all of them. */
#include "bus/base/limiter.h"

#include <stdlib.h>

enum { WAYS = 4 };

typedef struct Row {
  uint64_t name;
  uint64_t full_us; /* when it has all its tokens again */
} Row;

struct Limiter {
  uint64_t refill_us;
  uint64_t most_us; /* what a name without a token lacks */
  Row rows[LIMITER_NAMES / WAYS][WAYS];
};

Limiter *limiter_new(uint32_t burst, uint64_t refill_us) {
  Limiter *limiter = calloc(1, sizeof *limiter);

  if (!limiter)
    abort();
  limiter->refill_us = refill_us;
  limiter->most_us = refill_us * burst;
  return limiter;
}

void limiter_destroy(Limiter **limiter) {
  free(TAKE(*limiter));
}

static size_t bucket(uint64_t name) {
  return (size_t)((name * UINT64_C(0x9e3779b97f4a7c15)) >> 32) % (LIMITER_NAMES / WAYS);
}

static bool has_token(const Limiter *limiter, const Row *row, uint64_t now_us) {
  return row->full_us + limiter->refill_us <= now_us + limiter->most_us;
}

bool limiter_may(const Limiter *limiter, uint64_t name, uint64_t now_us) {
  const Row *rows = limiter->rows[bucket(name)];

  for (int i = 0; i < WAYS; i++)
    if (rows[i].name == name)
      return has_token(limiter, &rows[i], now_us);
  return true;
}

/* The name's row, or that of the bucket which lacks the fewest tokens, made the name's. */
static Row *find(Limiter *limiter, uint64_t name) {
  Row *rows = limiter->rows[bucket(name)];
  Row *least = rows;

  for (int i = 0; i < WAYS; i++) {
    if (rows[i].name == name)
      return &rows[i];
    if (rows[i].full_us < least->full_us)
      least = &rows[i];
  }
  *least = (Row){name, 0};
  return least;
}

bool limiter_take(Limiter *limiter, uint64_t name, uint64_t now_us) {
  Row *row = find(limiter, name);

  if (!has_token(limiter, row, now_us))
    return false;
  row->full_us = max_u64(row->full_us, now_us) + limiter->refill_us;
  return true;
}
