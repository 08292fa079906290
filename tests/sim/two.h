/* What:      the simulated world of two brokers: clients that move, instances that remember, the brokers' link, and clocks that
 *            differ. All faults are at one seed's mercy.
 * Owns:      all of it.
 * May use:   base, wire, core.
 * Threading: one thread.
 * Spec:      docs/protocol.md, section 17; the invariants are listed in README.md of this folder */
#ifndef PONS_TESTS_SIM_TWO_H
#define PONS_TESTS_SIM_TWO_H

#include "bus/agent/memory.h"
#include "bus/base/clock.h"
#include "bus/core/core.h"
#include "bus/core/roster.h"
#include "bus/wire/session.h"
#include "tests/sim/common.h"
#include "tests/sim/pairs.h"
#include "tests/sim/run.h"

enum {
  BROKERS = 2,
  CLIENTS = 2,
  WORKERS = 3,
  PEERS = CLIENTS + WORKERS,
  ASKS_MAX = 300,
  TRIES_MAX = 900, /* of durable requests */
  VISITS_MAX = 800,
  CHUNKS = 6, /* of a stream */
  CHUNK_BYTES = 400,
};

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
  /* of the broker */
  bool is_worker;
  int site;               /* the broker of its machine */
  bool open;              /* it has said WELCOME */
  bool suspect;           /* the link to the broker of its machine is lost: no new work */
  uint64_t asked;         /* number of the last PING */
  uint64_t suspect_since; /* until an answer to a later one comes */
} Conn;

/* What a client asked; or a try of a durable request, which a broker asks for. */
typedef struct Ask {
  TableLink by_id;
  RequestId id;
  int client;
  uint64_t wish; /* the durable request, or 0 */
  const char *service;
  const char *method;
  uint64_t asked_us; /* by the world's clock */
  uint64_t first_us; /* by that of its client: when it was sent, and when it ends */
  uint64_t due_us;
  uint32_t attempt;
  uint64_t chunks;    /* received, in order, */
  uint64_t whose;     /* of which execution, by their bytes, */
  uint64_t execution; /* and by what was said */
  int sent_to;        /* which broker, last */
  bool stuck;         /* it was told to ask the other broker, and could not yet */
  bool once;          /* somewhere on its way */
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
  uint64_t execution;
  uint64_t chunks; /* made */
  uint64_t window_bytes;
  Status status;
} Visit;

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
  Visit visits[VISITS_MAX];
  uint32_t n_visits;
  uint64_t n_executions;
  Memory memory; /* the real one: attempts, and what it can vouch for */
};

/* What one broker says to the other. */
typedef enum WordKind { WORD_WANTED, WORD_BEGINS, WORD_HAS, WORD_LOST, WORD_NOTED, WORD_COMPLETE } WordKind;

typedef struct Word {
  List in_link;
  WordKind kind;
  uint64_t number; /* of all but WANTED: who finds one missing wants all */
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
  bool drains;             /* it has said GOAWAY */
  bool hurt;               /* its disk's death: it is started again soon */
  Conn *couriers[BROKERS]; /* who brings tries of durable requests, by the store that accepted them */
  /* its end of the link */
  bool up;
  bool in_step;       /* it has heard all since the other's beginning */
  bool told_up;       /* core_peer_up was called, and not yet core_peer_down */
  bool knows_all;     /* the other has told all, since it was heard to begin */
  uint64_t worked_us; /* when the link did last, by its clock, */
  uint64_t good_us;   /* and by the world's */
  uint64_t looked_us;
  uint64_t asked_us;    /* when all was wanted */
  uint64_t linked_with; /* incarnation of the other */
  uint64_t told;        /* number of the last word */
  uint64_t heard;
  List words; /* from the other */
} Broker;

struct World {
  WorldBase base;
  bool gentle; /* only brokers have faults: nothing may be lost then */
  bool
      restless; /* instances come and go all the time, and are known to one broker long before the other; clients move often */
  bool deaf[BROKERS]; /* nothing of the other broker reaches this one */
  Broker brokers[BROKERS];
  Peer peers[PEERS];
  List conns;
  Pairs *pairs;
  Ask asks[ASKS_MAX];
  uint32_t n_asks;
  Ask tries[TRIES_MAX];
  uint32_t n_tries;
  Table by_id;         /* of both */
  uint64_t trouble_us; /* when something happened last that can make it unknowable what became of a request */
  Tally *tally;
};

/* two-world.c */

Ask *world_find_ask(World *world, RequestId id);
void world_add_ask(World *world, Ask *ask);
/* The time of a clock that runs at so many millionths of the true rate. */
uint64_t local_us(const World *world, uint64_t rate_ppm);
/* Puts a message on its way to the broker. Nothing happens when the connection is gone. */
void conn_send(Conn *conn, const Header *header, Bytes body);
/* The peer closes it; what it has sent still arrives, if the world likes. */
void conn_close(World *world, Conn *conn);
/* A connection of this peer to this broker, with HELLO on its way. */
void peer_connect(World *world, Peer *peer, int broker);
/* A process begins, and is gone. */
void peer_start(World *world, Peer *peer);
void peer_die(World *world, Peer *peer);

/* two-faults.c */

/* Something goes wrong. */
void world_fault(World *world);
/* Everybody reaches everybody again. */
void world_heal(World *world);

/* two-brokers.c */

void broker_start(World *world, Broker *broker);
void broker_kill(World *world, Broker *broker);
/* It says GOAWAY, and goes before all is well again. */
void broker_drain(World *world, Broker *broker);
/* It can't be reached from now on: if it is alone, what both knew is lost. */
void broker_note_loss(World *world, const Broker *broker);
/* By its own clock. */
uint64_t broker_now_us(const World *world, const Broker *broker);
/* Ticks the brokers that can, and moves the link on. */
void brokers_tick(World *world);
/* The broker is about to take this of a connection. */
void broker_heard(Conn *conn, const Header *header);

/* two-link.c */

/* The broker's core has said who comes or goes. */
void link_tell(World *world, Broker *broker, const struct RosterEntry *entry, bool has_left, uint64_t ago_us);
/* What the broker was to hear is lost. */
void link_forget(Broker *broker);
/* One end finds out for itself whether the link works. */
void link_tick(World *world, Broker *broker);
/* Delivers one word, if there is one. */
void link_deliver(World *world, Broker *to);
/* Cuts it in one direction or both, or heals it. */
void link_cut(World *world);
void link_heal(World *world);
bool link_is_cut(const World *world);

/* two-courier.c */

/* Brings a try to the broker's core. */
void courier_deliver(World *world, Broker *broker, const DurableAction *action);
/* Takes what the core has said to the couriers. */
void couriers_run(World *world, Broker *broker);
/* The broker is dead. */
void couriers_forget(Broker *broker);

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
void worker_start(World *world, Peer *peer);
void worker_die(Peer *peer);

#endif
