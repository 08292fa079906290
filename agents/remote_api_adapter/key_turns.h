/* What:      which of a provider's keys is next: each takes its turn, and one that failed is passed over for a while.
 * Owns:      nothing.
 * May use:   base, contracts (cause).
 * Threading: one thread; pure.
 * Spec:      docs/providers.md, "Keys" */
#ifndef PONS_REMOTE_KEY_TURNS_H
#define PONS_REMOTE_KEY_TURNS_H

#include "agents/contracts/cause.h"

enum { KEY_TURNS_MAX = 17, KEY_NONE = -1 };

/* One key. All zero, but for is_there, is its beginning. */
typedef struct KeyTurn {
  bool is_there;     /* its value is known */
  uint32_t failures; /* in a row */
  uint64_t until_us; /* it is passed over, monotonic; 0 = it is not */
  Cause cause;       /* of the last failure */
} KeyTurn;

/* The key whose turn it is behind `last`, of those that are there and not in tried (a bit for each): the first that is not
   passed over. With `any`, when all are, the one whose time is over first. KEY_NONE when there is none. */
int key_turns_pick(const KeyTurn *turns, uint32_t count, int last, uint32_t tried, bool any, uint64_t now_us);
/* The provider has refused it by cause, one that another key may mend (cause_key), and asks to come again after
   retry_after_us (0 = did not say). It is passed over for that or for a time that doubles, whichever is longer; never for
   less than it already is. */
void key_turns_fail(KeyTurn *turn, Cause cause, uint64_t retry_after_us, uint64_t now_us);
/* The provider has taken it, or it has a new value. */
void key_turns_heal(KeyTurn *turn);

#endif
