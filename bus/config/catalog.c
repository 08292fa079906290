/* The one place where this room looks above itself: the names of the agents that are built, as data. */
#include "bus/config/check-internal.h"

const char *const catalog_names[] = {
#if __has_include("agents/catalog.def")
#define AGENT(name, ...) #name,
#include "agents/catalog.def"
#undef AGENT
#endif
    NULL};
