/* What:      how often somebody may do something that is not to be done often: tokens per name, in a table of fixed size.
 * Owns:      the table.
 * May use:   base/types.
 * Threading: one thread; time is an argument.
 * Spec:      - */
#ifndef PONS_BASE_LIMITER_H
#define PONS_BASE_LIMITER_H

#include "bus/base/types.h"

typedef struct Limiter Limiter;

enum { LIMITER_NAMES = 1024 };

/* Each name has burst tokens, and gets one back per refill_us. Aborts when memory is out. */
Limiter *limiter_new(uint32_t burst, uint64_t refill_us);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void limiter_destroy(Limiter **limiter);
/* Whether the name, a hash of it, has a token left. */
bool limiter_may(const Limiter *limiter, uint64_t name, uint64_t now_us);
/* Takes a token from it. Returns false when it had none. Of more than LIMITER_NAMES names those are forgotten that lack
   the fewest. */
bool limiter_take(Limiter *limiter, uint64_t name, uint64_t now_us);

#endif
