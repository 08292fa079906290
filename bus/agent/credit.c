#include "bus/agent/credit.h"

enum { OUTLIER = 4 };

void credit_init(Credit *credit, uint32_t concurrency, bool fast) {
  *credit = (Credit){.concurrency = concurrency, .prefetch = fast ? CREDIT_PREFETCH_MAX : 0};
}

static uint32_t prefetch_for(uint64_t average_ns) {
  static const struct {
    uint64_t below_ns;
    uint32_t prefetch;
  } steps[] = {
      {2000, CREDIT_PREFETCH_MAX}, {10000, 128}, {100000, 32}, {200000, 16}, {400000, 8}, {700000, 4}, {1000000, 2}};

  for (size_t i = 0; i < ELEMENTS(steps); i++)
    if (average_ns < steps[i].below_ns)
      return steps[i].prefetch;
  return 0;
}

bool credit_measure(Credit *credit, uint64_t took_ns) {
  uint32_t before = credit->prefetch;

  /* Weight one eighth, as TCP's round-trip time (RFC 6298, section 2). One call during which the thread was off its
     processor says nothing about the others, so a single one counts as four times the average at the most. */
  if (credit->average_ns)
    took_ns = min_u64(took_ns, credit->average_ns * OUTLIER);
  credit->average_ns = credit->average_ns ? (credit->average_ns * 7 + took_ns) / 8 : took_ns + 1;
  credit->prefetch = prefetch_for(credit->average_ns);
  if (credit->prefetch == before)
    return false;
  credit->prefetch_before = before;
  return true;
}
