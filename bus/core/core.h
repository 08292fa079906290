/* What:      the broker's brain: registry, dispatch, pending requests, streams, events. One machine of (state, event,
 *            now) -> actions; the actions go to a sink as they arise.
 * Owns:      all sessions, services, requests and kept bodies; a Session is made by core_connect and lives until its
 *            end has been told to the sink or core_disconnect was called.
 * May use:   base, wire. No socket, no clock, no file: time is an argument.
 * Threading: one thread.
 * Spec:      docs/protocol.md */
#ifndef PONS_CORE_CORE_H
#define PONS_CORE_CORE_H

#include "bus/core/rights.h"
#include "bus/wire/header.h"

typedef struct Core Core;
typedef struct Session Session;
struct RosterEntry;

/* What happened that an operator may want to know. The shell decides what is logged. */
typedef enum CoreNote {
  CORE_NOTE_SESSION_OPEN,
  CORE_NOTE_SESSION_LOST,
  CORE_NOTE_SESSION_REFUSED,
  CORE_NOTE_MALFORMED,
  CORE_NOTE_CONTRACT_MISMATCH,
  CORE_NOTE_DENIED,
} CoreNote;

/* Where actions go. The functions must not call the core. */
typedef struct CoreSink {
  /* Send one message to the connection; header's texts and body are borrowed for the call; with a block, body points
     into it and a reference may be taken. */
  void (*send)(void *userdata, void *peer, const Header *header, Bytes body, Block *block);
  /* The session is over: hang the connection up after what was sent. The core has forgotten the peer. */
  void (*close)(void *userdata, void *peer);
  /* A message about this request is in hand: for the crash record. May be NULL. */
  void (*in_hand)(void *userdata, RequestId id);
  /* Told for the log; text is one sentence without a final point. May be NULL. */
  void (*note)(void *userdata, CoreNote note, const char *text);
  /* An instance has come, or (has_left) has left, ago_us ago: to be told to the other broker. See roster.h. May be NULL. */
  void (*roster)(void *userdata, const struct RosterEntry *entry, bool has_left, uint64_t ago_us);
  /* A client has published here: to be told to the other broker (core_peer_event). header is that of PUBLISH. May be NULL. */
  void (*event)(void *userdata, const Header *header, Bytes body);
  void *userdata;
} CoreSink;

/* One version of a service that has a route, with its share of the draw. */
typedef struct RouteVersion {
  const char *version; /* "1" also takes 1.2 and 1.2.3 */
  uint32_t weight;
} RouteVersion;

typedef struct Route {
  const char *service;
  const RouteVersion *versions;
  size_t n_versions;
} Route;

/* Bounds of memory; see limits.def. */
typedef struct CoreLimits {
  uint32_t client_requests;
  uint64_t client_bytes;
  uint64_t all_bytes;
  uint32_t service_queue;
  uint32_t sessions;
  uint32_t subscriptions;
  uint32_t topics;
} CoreLimits;

typedef struct CoreOptions {
  const char *name; /* of the broker, and of its machine; both borrowed for the life of the core */
  const char *site;
  uint64_t incarnation; /* microseconds since 1970 at the start of the process */
  uint64_t seed;        /* of the core's own random choices, so that a run can be replayed */
  uint64_t ping_interval_us;
  uint64_t ping_timeout_us;
  uint64_t idle_interval_us;
  CoreLimits limits;
  const Route *routes; /* borrowed for the life of the core */
  size_t n_routes;
  bool has_peer;                /* there is another broker, which roster.h tells of */
  const char *const *endpoints; /* for pons.info; borrowed */
  size_t n_endpoints;
} CoreOptions;

/* The defaults of limits.def and times.def, for name "broker" and site "local". */
CoreOptions core_options_default(void);

/* Makes a core that acts through sink, which is copied. Returns 0. */
int core_new(Core **ret, const CoreOptions *options, const CoreSink *sink, uint64_t now_us);
/* Frees all; tells the sink nothing. Takes NULL, nulls the pointer. */
void core_destroy(Core **core);

/* A connection has sent its first message: makes its session, which waits for HELLO. peer is the shell's name for it. */
Session *core_connect(Core *core, void *peer, uint64_t now_us);
/* The session is of this process itself: it may offer services whose names begin with "pons.". Before its HELLO. */
void core_trust(Session *session);
/* Who is behind a connection, as its key has proved. */
typedef struct CoreIdentity {
  const char *key;      /* its name; borrowed while the session has this identity */
  uint64_t fingerprint; /* of the key, not 0: a client id belongs to the key that came with it first */
  const Rights *rights; /* borrowed as key */
} CoreIdentity;

/* Says who a session is: before its HELLO, and anew when keys or rights have changed; without it, it may do everything. A session that
   offers or hears what it may not any more is ended, and the sink told to close it. */
void core_identify(Core *core, Session *session, const CoreIdentity *identity, uint64_t now_us);
/* Whether a client may call a method, for a service of this process that is to have it called on its behalf. What it may not is counted
   and told. Once somebody has been identified, a client without a session may nothing. */
bool core_may_call(Core *core, ClientId client, Text service, Text method);
/* Tells the subscribers of a topic, whatever it begins with, and keeps body as its last value. Returns false when too many or too large
   values are kept: then it is told and not kept. */
bool core_publish(Core *core, Text topic, Bytes body, uint64_t now_us);
/* The connection is gone: ends the session without telling the sink to close. */
void core_disconnect(Core *core, Session *session, uint64_t now_us);
/* Takes one message as it came: header and body frame, frames = their number as received. Bytes are borrowed; with a
   block, body points into it and may be kept by reference. The session may be gone when this returns (the sink was told
   to close it). */
void core_receive(Core *core, Session *session, int frames, Bytes header, Bytes body, Block *block, uint64_t now_us);
/* In which epoch some broker leads, for WELCOME; 0 = nobody is known to. */
void core_set_epoch(Core *core, uint64_t epoch);
/* How many changes the other broker has not acknowledged, and how many of its own are not here yet, for the statistics. */
void core_set_behind(Core *core, uint64_t other, uint64_t own);
/* Does what is due at now_us. */
void core_tick(Core *core, uint64_t now_us);
/* When core_tick has something to do next, or TIME_NEVER. */
uint64_t core_next_us(const Core *core);

/* A turn of the loop was late: clients may have moved meanwhile, so none of them is believed in until it has answered a PING.
   core_tick and core_receive notice it by themselves when something was due. */
void core_late(Core *core, uint64_t now_us);

/* Tells every peer GOAWAY, those that come later too; new requests are answered DRAINING. */
void core_drain(Core *core, uint64_t now_us);
/* True when no request is unanswered: a draining broker may stop. */
bool core_is_idle(const Core *core);
/* Ends every session with BYE, which is the last that the sink is asked to send, and close. The core is empty then and good
   for core_destroy alone. */
void core_stop(Core *core, uint64_t now_us);

/* The counters of counters.def, which pons.stats reports; the shell counts what it sees too. */
typedef enum Counter {
#define COUNTER(name, about) COUNTER_##name,
#include "bus/core/counters.def"
#undef COUNTER
  COUNTER_END
} Counter;

/* Adds n to a counter. */
void core_count(Core *core, Counter counter, uint64_t n);
/* Its name in counters.def. */
const char *counter_name(Counter counter);

/* For tests and the simulator: what a counter has come to. */
uint64_t core_counter(const Core *core, Counter counter);
/* For them too: checks every invariant of the core's memory (credits, lists, byte counts) and aborts with a sentence when one is
   broken. */
void core_check(const Core *core, uint64_t now_us);

#endif
