/* One durable request, by itself: the table of its states, what an answer means, which of two copies is further. */
#include "bus/core/durable.h"

const char *durable_state_name(DurableState state) {
  static const char *const names[] = {
#define STATE(name, about) #name,
#include "bus/core/durable.def"
#undef STATE
  };

  return (size_t)state < ELEMENTS(names) ? names[state] : "?";
}

const char *durable_change_name(DurableChange change) {
  static const char *const names[] = {
#define EVENT(name, about) #name,
#include "bus/core/durable.def"
#undef EVENT
  };

  return (size_t)change < ELEMENTS(names) ? names[change] : "?";
}

enum { DURABLE_SAME = DURABLE_STATES };

DurableState durable_next(DurableState state, DurableChange change) {
  static const uint8_t next[DURABLE_CHANGES][DURABLE_STATES] = {
#define ROW(event, a, b, c, d, e)                                                                                      \
  [DURABLE_ON_##event] = {DURABLE_##a, DURABLE_##b, DURABLE_##c, DURABLE_##d, DURABLE_##e},
#include "bus/core/durable.def"
#undef ROW
  };

  return next[change][state] == DURABLE_SAME ? state : (DurableState)next[change][state];
}

DurableChange durable_outcome(Status status, bool idempotent) {
  static const struct {
    bool named;
    DurableChange idempotent;
    DurableChange once;
  } outcomes[STATUS_END] = {
#define OUTCOME(status, idempotent, once) [STATUS_##status] = {true, DURABLE_ON_##idempotent, DURABLE_ON_##once},
#include "bus/core/durable.def"
#undef OUTCOME
  };
  Retry retry = status_retry(status);

  if ((unsigned)status < STATUS_END && outcomes[status].named)
    return idempotent ? outcomes[status].idempotent : outcomes[status].once;
  return retry == RETRY_KNOWN || retry == RETRY_LATER ? DURABLE_ON_UNTOUCHED : DURABLE_ON_REFUSED;
}

bool durable_is_over(const DurableEntry *entry) {
  return entry->state == DURABLE_DONE || entry->state == DURABLE_DROPPED;
}

bool durable_is_live(const DurableEntry *entry) {
  return entry->state == DURABLE_WAITING || entry->state == DURABLE_BEGUN;
}

/* What is over stays so, whatever else is said of it; a later round is further than an earlier one; then a dead letter than one that lives,
   and the later try. Each change of an entry makes it higher. */
uint64_t durable_version(const DurableEntry *entry) {
  return (uint64_t)durable_is_over(entry) << 63 | (uint64_t)(entry->round & 0x7ff) << 52 |
         (uint64_t)(entry->state == DURABLE_DEAD) << 51 | (uint64_t)(entry->tries & 0x7fffffff) << 20 |
         (uint64_t)(entry->state == DURABLE_BEGUN) << 19 | 1;
}

/* One that must not be done twice is the same to its instances until a person requeues it: the other broker may have begun it, cut off from
   this one, after this one's try had found nobody. */
RequestId durable_delivery(const DurableEntry *entry) {
  uint32_t number = entry->idempotent ? entry->tries : entry->round;

  return (RequestId){entry->delivery.client, entry->delivery.sequence + number % DURABLE_TRIES_KEPT};
}

size_t durable_size(const DurableEntry *entry) {
  return sizeof *entry + entry->body_bytes + block_bytes(entry->annotations).size + entry->reply_bytes;
}

void durable_entry_done(DurableEntry *entry) {
  block_unref(&entry->body);
  block_unref(&entry->annotations);
  block_unref(&entry->reply);
}
