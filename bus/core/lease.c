#include "bus/core/lease.h"

uint64_t lease_holder_until_us(uint64_t sent_us, uint64_t duration_us) {
  return sent_us + duration_us / 5 * 4;
}

Lease *lease_find(Leases *leases, Text name) {
  for (uint32_t i = 0; i < leases->n; i++)
    if (text_is(name, leases->rows[i].name))
      return &leases->rows[i];
  return NULL;
}

bool lease_put(Leases *leases, const Lease *lease) {
  Lease *row = lease_find(leases, text_of(lease->name));

  if (!row && leases->n == LEASES_MAX)
    return false;
  if (!row)
    row = &leases->rows[leases->n++];
  *row = *lease;
  return true;
}

void lease_drop(Leases *leases, Lease *row) {
  const Lease *last = &leases->rows[--leases->n];

  if (row != last)
    *row = *last;
}

bool lease_pop_over(Leases *leases, uint64_t now_us, Lease *ret) {
  for (uint32_t i = 0; i < leases->n; i++)
    if (now_us >= leases->rows[i].until_us) {
      *ret = leases->rows[i];
      lease_drop(leases, &leases->rows[i]);
      return true;
    }
  return false;
}

uint64_t lease_next_us(const Leases *leases) {
  uint64_t next_us = TIME_NEVER;

  for (uint32_t i = 0; i < leases->n; i++)
    next_us = min_u64(next_us, leases->rows[i].until_us);
  return next_us;
}
