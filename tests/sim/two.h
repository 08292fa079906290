/* What:      the simulated world of two brokers: clients that move, instances that remember, the brokers' link, and clocks that
 *            differ. All faults are at one seed's mercy.
 * Owns:      all of it.
 * May use:   base, wire, core.
 * Threading: one thread.
 * Spec:      docs/protocol.md, section 17; the invariants are listed in README.md of this folder */
#ifndef PONS_TESTS_SIM_TWO_H
#define PONS_TESTS_SIM_TWO_H

#include "bus/base/clock.h"
#include "bus/base/list.h"
#include "bus/core/core.h"
#include "bus/core/roster.h"
#include "bus/wire/session.h"
#include "tests/sim/pairs.h"
#include "tests/sim/run.h"

enum {
  BROKERS = 2,
  CLIENTS = 2,
  WORKERS = 3,
  PEERS = CLIENTS + WORKERS,
  ASKS_MAX = 300,
  MEMORY = 400,
  CHUNKS = 6, /* of a stream */
  CHUNK_BYTES = 400,
};

/* One message on its way. */
typedef struct Packet {
  List in_channel;
  Buffer header;
  Buffer body;
} Packet;

typedef struct Peer Peer;

/* One connection. It outlives its ends: what is on its way when one of them is gone may still arrive. */
typedef struct Conn {
  List in_world;
  Peer *peer; /* NULL when it has closed it, or died */
  int broker;
  Session *session; /* NULL when the broker has closed it, or died */
  List to_broker;
  List to_peer;
  bool deaf; /* nothing reaches the peer, */
  bool mute; /* or the broker, for now */
  bool welcomed;
  bool warming;
  bool going_away;
  bool drained; /* DRAIN was echoed */
  SessionId id;
  uint64_t heard_us; /* of the peer, by its clock */
  uint64_t pinged_us;
} Conn;

/* What a client asked. */
typedef struct Ask {
  RequestId id;
  int client;
  const char *service;
  const char *method;
  uint64_t asked_us; /* by the world's clock */
  uint64_t first_us; /* by that of its client: when it was sent, and when it ends */
  uint64_t due_us;
  uint32_t attempt;
  uint64_t chunks; /* received, in order */
  int sent_to;     /* which broker, last */
  bool stuck;      /* it was told to ask the other broker, and could not yet */
  bool once;       /* somewhere on its way */
  bool stream;
  bool sent;
  bool ended;
  bool orphan; /* its client is gone */
  int executions;
  Status status;
} Ask;

typedef enum VisitState { VISIT_QUEUED, VISIT_RUNNING, VISIT_DONE, VISIT_FORWARDED, VISIT_GONE } VisitState;

/* What an instance remembers of a request at a hop. */
typedef struct Visit {
  RequestId id;
  uint8_t hop;
  uint32_t attempt;
  VisitState state;
  Conn *conn; /* who gets the answer, or NULL: its broker is gone */
  bool is_front;
  bool cancelled;
  uint64_t chunks; /* made */
  uint64_t window_bytes;
  Status status;
} Visit;

/* The highest attempt of an id that an instance has seen. */
typedef struct Seen {
  RequestId id;
  uint32_t attempt;
} Seen;

struct Peer {
  int index;
  bool is_worker;
  bool alive;
  bool frozen;
  bool leaving;  /* a worker drains */
  bool is_basic; /* a worker that remembers nothing and can't be asked; in every second such seed with one session */
  ClientId client;
  uint64_t incarnation;
  uint64_t sequence;
  uint64_t started_us; /* by its clock */
  uint64_t rate_ppm;   /* of its clock */
  Conn *conns[BROKERS];
  int at; /* a client's broker */
  Visit visits[MEMORY];
  uint32_t n_visits;
  Seen seen[MEMORY];
  uint32_t n_seen;
  uint64_t forgot_us; /* something was forgotten that late */
};

/* What one broker says to the other. */
typedef enum WordKind { WORD_HAS, WORD_LOST, WORD_NOTED, WORD_COMPLETE } WordKind;

typedef struct Word {
  List in_link;
  WordKind kind;
  uint64_t link; /* which of the links that there were */
  ClientId client;
  uint64_t incarnation;
  uint64_t ago_us;
  RosterHistory history;
  unsigned services; /* bits by their place in service_names */
} Word;

typedef struct Broker {
  int index;
  Core *core; /* NULL: dead */
  bool frozen;
  uint64_t rate_ppm;
  uint64_t incarnation;
  bool up;            /* its end of the link */
  uint64_t worked_us; /* when the link did last, by its clock */
  uint64_t down_at_us;
  List words; /* from the other */
} Broker;

typedef struct World {
  uint64_t now_us;
  uint64_t random;
  uint64_t seed;
  uint64_t steps;
  bool quiet;
  bool blind;
  bool gentle; /* only brokers have faults: nothing may be lost then */
  bool
      restless; /* instances come and go all the time, and are known to one broker long before the other; clients move often */
  bool link_cut;
  uint64_t link;
  Broker brokers[BROKERS];
  Peer peers[PEERS];
  List conns;
  Pairs *pairs;
  Ask asks[ASKS_MAX];
  uint32_t n_asks;
  uint64_t trouble_us; /* when something happened last that can make it unknowable what became of a request */
  Tally *tally;
} World;

/* two-world.c */

uint32_t world_random(World *world, uint32_t n);
bool world_chance(World *world, uint32_t per_mille);
void world_fail(const World *world, const char *format, ...) _printf_(2, 3) __attribute__((noreturn));
Ask *world_find_ask(World *world, RequestId id);
/* The time of a clock that runs at so many millionths of the true rate. */
uint64_t local_us(const World *world, uint64_t rate_ppm);
/* Puts a message on its way to the broker. Nothing happens when the connection is gone. */
void conn_send(Conn *conn, const Header *header, Bytes body);
/* The peer closes it; what it has sent still arrives, if the world likes. */
void conn_close(World *world, Conn *conn);
/* A connection of this peer to this broker, with HELLO on its way. */
void peer_connect(World *world, Peer *peer, int broker);
/* The process is gone. */
void peer_die(World *world, Peer *peer);

/* two-brokers.c */

void broker_start(World *world, Broker *broker);
void broker_kill(World *world, Broker *broker);
/* By its own clock. */
uint64_t broker_now_us(const World *world, const Broker *broker);
/* Ticks the brokers that can, and moves the link on. */
void brokers_tick(World *world);
/* Delivers one word, if there is one. */
void link_deliver(World *world, Broker *to);

/* two-client.c */

void client_act(World *world, Peer *peer);
void client_take(World *world, Conn *conn, const Header *header, Bytes body);
/* Its clock goes on: deadlines, PINGs, moving. */
void client_tick(World *world, Peer *peer);
/* A session has begun, or is gone. */
void client_session(World *world, Peer *peer, int broker);
void client_die(World *world, Peer *peer);

/* two-worker.c */

void worker_act(World *world, Peer *peer);
void worker_take(World *world, Conn *conn, const Header *header, Bytes body);
void worker_forget_conn(Peer *peer, const Conn *conn);

#endif
