/* What:      the simulated world around one core: clients and workers as small machines, channels between them and the
 *            broker, a clock, and one seed that decides everything.
 * Owns:      all of it.
 * May use:   base, wire, core.
 * Threading: one thread.
 * Spec:      docs/protocol.md; the invariants are listed in README.md of this folder */
#ifndef PONS_TESTS_SIM_SIM_H
#define PONS_TESTS_SIM_SIM_H

#include "bus/base/clock.h"
#include "bus/base/list.h"
#include "bus/core/core.h"
#include "bus/wire/pack.h"
#include "bus/wire/session.h"

enum { CLIENTS = 3, WORKERS = 4, PEERS = CLIENTS + WORKERS, ASKS_MAX = 400, WORK_MAX = 64 };

/* One message on its way. */
typedef struct Packet {
  List in_channel;
  Buffer header;
  Buffer body;
} Packet;

/* What a client asked, and everything that is known of it from outside. */
typedef struct Ask {
  RequestId id;
  int client;
  uint64_t due_us;
  uint64_t broker_due_us; /* what is left when it reaches the broker counts from there */
  uint32_t attempt;
  uint32_t body_bytes;
  bool once;
  bool stream;
  bool collect;
  bool cancelled;
  bool orphan;      /* its client process died */
  bool ended;       /* the client has its answer */
  int executions;   /* how often a worker began it */
  uint64_t chunks;  /* received in this attempt */
  Status status;
} Ask;

/* What a worker executes. */
typedef struct Work {
  RequestId id;
  uint32_t attempt;
  uint64_t chunks;
  uint64_t bytes;
  uint64_t window_bytes;
  uint32_t body_bytes; /* received so far */
  bool stream;
  bool whole;
  bool cancelled;
} Work;

typedef struct SimPeer {
  int index;
  bool is_worker;
  bool connected; /* the broker has a connection of it */
  bool welcomed;
  bool frozen;
  bool draining;
  Session *session;
  SessionId id;
  ClientId client;
  uint64_t incarnation;
  uint64_t sequence;
  uint64_t beat_us; /* when an idle one says PING */
  uint32_t credit;
  List to_broker;
  List to_peer;
  Work work[WORK_MAX];
  uint32_t n_work;
} SimPeer;

typedef struct World {
  Core *core;
  uint64_t now_us;
  uint64_t random;
  uint64_t seed;
  SimPeer peers[PEERS];
  Ask asks[ASKS_MAX];
  uint32_t n_asks;
  uint64_t steps;
  bool quiet; /* the storm is over: nothing new, no more faults */
} World;

/* world.c */

/* A number below n. */
uint32_t world_random(World *world, uint32_t n);
/* True n times in a thousand. */
bool world_chance(World *world, uint32_t per_mille);
/* Stops with a sentence and the command that replays the seed. */
void world_fail(const World *world, const char *format, ...) _printf_(2, 3) __attribute__((noreturn));
Ask *world_find_ask(World *world, RequestId id);
/* Puts a message on its way from the peer to the broker. */
void peer_send(World *world, SimPeer *peer, const Header *header, Bytes body);
/* Connects and says HELLO; a fresh one is a new process. */
void peer_connect(World *world, SimPeer *peer, bool fresh);
/* The connection is cut: what was on its way is lost. */
void peer_cut(World *world, SimPeer *peer);
void packet_free(Packet *packet);
/* The body of a request of so many bytes: a pattern from its id, so that any mix-up shows. */
void fill_body(RequestId id, uint32_t from, uint32_t size_bytes, Buffer *ret);

/* client.c */

void client_act(World *world, SimPeer *peer);
void client_take(World *world, SimPeer *peer, const Header *header, Bytes body);
/* Sends again what is unanswered, after a reconnect. */
void client_resend(World *world, SimPeer *peer);
/* The process is gone with all that it waited for. */
void client_die(World *world, SimPeer *peer);

/* worker.c */

void worker_act(World *world, SimPeer *peer);
void worker_take(World *world, SimPeer *peer, const Header *header, Bytes body);

#endif
