/* What:      one look at each broker, for who must know whether one of them may be without the other.
 * Owns:      the replies that it has.
 * May use:   base, client, config, jansson.
 * Threading: the main thread; asking blocks.
 * Spec:      docs/adr/0037-rolling-upgrade.md */
#ifndef PONS_CTL_LOOK_H
#define PONS_CTL_LOOK_H

#include "bus/client/client.h"
#include "bus/ctl/reach.h"

/* What one broker says; members are NULL when it does not answer. */
typedef struct Look {
  char *name;
  json_t *registry;
  json_t *connections;
  json_t *authority; /* NULL also when it has none */
  uint64_t uptime_us;
  uint64_t oldest_us; /* age of the request that it has had for the longest */
} Look;

/* Asks broker number (0: the preferred one). Returns false when there are not so many; *ret is filled in any case, and the
   caller ends it with look_done. */
bool look_at(Ctl *ctl, uint32_t number, Look *ret);
/* Frees it. Usable as _cleanup_. */
void look_done(Look *look);

/* Appends why broker `leaving` may not stop yet: `staying` does not answer, they are not linked, or an instance is not ready
   at both. Nothing: it may. Pure. */
void look_object(const Look *leaving, const Look *staying, Buffer *ret);
/* Whether clients have a session with both too, and neither broker `young` nor an instance has been started so late that it could not
   know of what `other` has not answered. doubt_us: how much older a request may be than its broker knows, a PING and its
   patience; now_us: CLOCK_REALTIME. Pure. */
bool look_is_settled(const Look *young, const Look *other, uint64_t doubt_us, uint64_t now_us);
/* Whether this broker leads. Pure. */
bool look_leads(const Look *look);

#endif
