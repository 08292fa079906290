/* What a broker counts: counters.def. */
#include "bus/core/core-internal.h"

void core_count(Core *core, Counter counter, uint64_t n) {
  core->counters[counter] += n;
}

uint64_t core_counter(const Core *core, Counter counter) {
  return core->counters[counter];
}

const char *counter_name(Counter counter) {
  static const char *const names[] = {
#define COUNTER(name, about) #name,
#include "bus/core/counters.def"
#undef COUNTER
  };

  return names[counter];
}
