/* What:      looks at both brokers while a drill runs: who leads when, and whether all is there again.
 * Owns:      a client per broker.
 * May use:   base, wire, loop, client, contracts.
 * Threading: the loop thread.
 * Spec:      docs/drills.md */
#ifndef PONS_DRILL_WATCH_H
#define PONS_DRILL_WATCH_H

#include "bus/drill/report.h"
#include "bus/loop/loop.h"

typedef struct Watch Watch;

/* Begins to look at the brokers of endpoints, as the client takes them and key, which may be NULL. Returns 0 and the caller owns *ret; negative errno of
   client_new. */
int watch_new(Loop *loop, const char *endpoints, KeyPair *key, Watch **ret);
/* Takes NULL, nulls the pointer. Usable as _cleanup_. */
void watch_destroy(Watch **watch);

/* True when every broker answers, knows `least` instances or more, and both as many; and, where they have authority,
   when the preferred one leads and is linked with the other. It is told to lead where it does not. */
bool watch_is_whole(Watch *watch, uint32_t least);
/* What is missing for that, in words; borrowed until the loop turns. */
const char *watch_missing(Watch *watch);
/* Instances of echo that the preferred broker knew when all was there last. */
uint32_t watch_workers(const Watch *watch);
/* Has a broker told to lead. */
void watch_tell_to_lead(Watch *watch, uint32_t broker);

/* Forgets who led before now. */
void watch_clear_leads(Watch *watch);
/* Who led when; the state at the beginning stands first. Borrowed. */
const ReportLead *watch_leads_seen(const Watch *watch, uint32_t *ret_count);

#endif
