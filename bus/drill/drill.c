#include "bus/drill/drill.h"

#include "bus/drill/event.h"

static const Drill drills[] = {
#define DRILL(name, need, loads, begin, end, seconds, hold_ms, pause_ms, worst_ms, bus_percent, about)                 \
  {name, DRILL_NEEDS_##need, DRILL_LOAD_##loads, begin, end, seconds, hold_ms, pause_ms, worst_ms, bus_percent, about},
#include "bus/drill/drill.def"
#undef DRILL
};

const Drill *drill_find(const char *name) {
  for (size_t i = 0; i < ELEMENTS(drills); i++)
    if (strcmp(drills[i].name, name) == 0)
      return &drills[i];
  return NULL;
}

const Drill *drill_at(size_t number) {
  return number < ELEMENTS(drills) ? &drills[number] : NULL;
}
