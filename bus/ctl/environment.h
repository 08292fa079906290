/* What:      the environment of one child: what it may inherit, what the fleet tells it, its own variables and secrets.
 * Owns:      every NAME=value; wiped before it is freed, since some are secrets.
 * May use:   base.
 * Threading: one thread.
 * Spec:      docs/adr/0007-supervisor.md, "Environment" */
#ifndef PONS_CTL_ENVIRONMENT_H
#define PONS_CTL_ENVIRONMENT_H

#include "bus/base/types.h"

/* All zero is an empty environment. */
typedef struct Environment {
  char **variables; /* NAME=value, NULL at the end; NULL itself while empty */
  uint32_t count;
  uint32_t room;
} Environment;

/* Sets a variable; replaces one of that name. */
void environment_set(Environment *environment, const char *name, const char *value);
/* Takes over what any child may have of the caller's environment: how to find programs, language, time zone, proxies,
   settings of pons. Everything else stays behind, so that no child sees another's secrets. */
void environment_inherit(Environment *environment, char *const *from);
/* The value of name, or NULL. */
const char *environment_find(const Environment *environment, const char *name);
/* Wipes and frees everything. Usable as _cleanup_. */
void environment_done(Environment *environment);

#endif
