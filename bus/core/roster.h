/* What:      what a broker is told about the other broker: whether it is there, which instances it has and had. By it a
 *            broker knows who may have begun a request that is sent to it again, and when it has warmed up.
 * Owns:      nothing: the state is the core's.
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      docs/protocol.md, section 17; docs/adr/0026-done-once-across-two-brokers.md */
#ifndef PONS_CORE_ROSTER_H
#define PONS_CORE_ROSTER_H

#include "bus/core/core.h"

/* An instance as one broker tells it to the other. */
typedef struct RosterEntry {
  ClientId client;
  uint64_t incarnation;
  const Text *services; /* borrowed for the call; at most LIMIT_SERVICES_PER_INSTANCE are read */
  size_t n_services;
} RosterEntry;

/* How far a broker's knowledge reaches back, all in microseconds before now. */
typedef struct RosterHistory {
  uint64_t own_for_us;  /* it has run for so long, and knows all that were with itself */
  uint64_t both_for_us; /* it knows all that were with either broker, until its link was lost; 0 = never linked */
  uint64_t
      apart_for_us; /* so long ago its link to the other worked last, or it knew that the other was dead; 0 = never */
} RosterHistory;

/* A last value, borrowed for the call. An empty body: it was forgotten. */
typedef struct KeptValue {
  RequestId id; /* publisher and sequence */
  Text topic;
  Text content_type;
  Bytes body;
  uint64_t age_us; /* since it was published */
} KeptValue;

/* Returns false when it can't be told now. */
typedef bool TellKept(void *userdata, const KeptValue *value);

/* The link to the other broker is up; its machine is called site. What it knows follows: core_peer_has for each instance,
   core_peer_lost for each that has left within the horizon, then core_peer_complete. All are told as they change, too. */
void core_peer_up(Core *core, Text site, uint64_t now_us);
/* The other broker has this instance. Repeating it changes nothing. */
void core_peer_has(Core *core, const RosterEntry *entry, uint64_t now_us);
/* The other broker has it no longer, since ago_us. */
void core_peer_lost(Core *core, const RosterEntry *entry, uint64_t ago_us, uint64_t now_us);
/* That was all that the other broker knows; what it did not tell is gone. */
void core_peer_complete(Core *core, const RosterHistory *history, uint64_t now_us);
/* The other broker has noted what CoreSink.roster said of this instance: from now on it may be given `once` work. */
void core_peer_noted(Core *core, ClientId client, uint64_t incarnation, uint64_t now_us);
/* A client has published at the other broker: header has service, id, flags and content type as PUBLISH has them. */
void core_peer_event(Core *core, const Header *header, Bytes body, uint64_t now_us);
/* A last value that the other broker has: it is kept and told when it is newer than the one here. */
void core_peer_kept(Core *core, const KeptValue *value, uint64_t now_us);
/* The link is lost; it worked last at worked_us. Each session of its site is suspect: it gets nothing new until it has answered a
   PING. */
void core_peer_down(Core *core, uint64_t worked_us, uint64_t now_us);
/* While the link is lost: the other broker's process is dead, and was when it was looked at. To be repeated with each proof: what a
   process in its place may have done between two of them is known only while they come often. */
void core_peer_dead(Core *core, uint64_t looked_us, uint64_t now_us);
/* Makes each session of a site suspect. */
void core_suspect_site(Core *core, Text site, uint64_t now_us);

/* Tells CoreSink.roster all instances that are here, and all that have left within the horizon: for a link that is up. */
void core_tell_roster(Core *core, uint64_t now_us);
/* Tells the last values that clients have published, but for those up to the serial after, until tell returns false. Returns the serial
   of the last that was told, for the next time; core_kept_serial when that was all. */
uint64_t core_tell_kept(Core *core, uint64_t after, TellKept *tell, void *userdata, uint64_t now_us);
/* The serial of the value that was kept last. */
uint64_t core_kept_serial(const Core *core);
/* What the other broker is to be told with it. */
RosterHistory core_history(const Core *core, uint64_t now_us);
/* Whether the broker does not know all instances yet. */
bool core_is_warming(const Core *core);

#endif
