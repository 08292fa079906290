/* What:      what a key may do: call, serve, publish, subscribe; services, methods and topics with wildcards.
 * Owns:      a Rights its rows.
 * May use:   base, wire.
 * Threading: one thread; pure.
 * Spec:      docs/protocol.md, "Keys and rights" */
#ifndef PONS_CORE_RIGHTS_H
#define PONS_CORE_RIGHTS_H

#include "bus/base/types.h"

typedef enum RightsDeed { RIGHTS_CALL, RIGHTS_SERVE, RIGHTS_PUBLISH, RIGHTS_SUBSCRIBE, RIGHTS_END } RightsDeed;

typedef struct Rights Rights;

enum {
  RIGHTS_E_PATTERN = 1, /* no pattern of services, or of topics */
};

/* Nothing is allowed yet. Aborts when memory is out. */
Rights *rights_new(void);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void rights_destroy(Rights **rights);
/* Allows more. To call and to serve: SERVICE.METHOD, SERVICE (all its methods), * (all); either may end in * for all that begin so,
   and what stands behind the last point is the method. To publish and subscribe: a pattern of topics. Returns 0, or
   RIGHTS_E_PATTERN. */
int rights_allow(Rights *rights, RightsDeed deed, Text pattern);
/* Whether text can be given to rights_allow. */
bool rights_pattern_is_valid(RightsDeed deed, Text pattern);
/* Whether the deed is allowed: to a method of a service (an @instance behind it does not matter), or to a topic or pattern of
   topics, all of which must be covered by one row. To call what is guarded only a row without a star allows. NULL rights allow all. */
bool rights_cover(const Rights *rights, RightsDeed deed, Text what, Text method);

/* Whether to call it takes a row that spells out service and method. */
bool rights_is_guarded(Text service, Text method);

#endif
