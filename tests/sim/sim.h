/* What:      the simulated world around one core: clients and workers as small machines, channels between them and the
 *            broker, a clock, and one seed that decides everything.
 * Owns:      all of it.
 * May use:   base, wire, core.
 * Threading: one thread.
 * Spec:      docs/protocol.md; the invariants are listed in README.md of this folder */
#ifndef PONS_TESTS_SIM_SIM_H
#define PONS_TESTS_SIM_SIM_H

#include "bus/base/clock.h"
#include "bus/core/core.h"
#include "bus/wire/pack.h"
#include "bus/wire/session.h"
#include "tests/sim/common.h"
#include "tests/sim/run.h"

enum {
  CLIENTS = 3,
  WORKERS = 4,
  PEERS = CLIENTS + WORKERS,
  ASKS_MAX = 400,
  ASK_BUCKETS = 1024,
  WORK_MAX = 64,
  NEWS_MAX = 300,
};

/* What a client asked, and everything that is known of it from outside. */
typedef struct Ask {
  RequestId id;
  int client;
  uint64_t due_us;
  uint64_t broker_due_us; /* what is left when it reaches the broker counts from there */
  uint32_t attempt;
  uint32_t body_bytes;
  const char *target;
  bool once;
  bool stream;
  bool collect;
  bool cancelled;
  bool orphan;         /* its client process died */
  bool ended;          /* the client has its answer */
  bool told;           /* the broker has said how it ended, or was told that nobody waits */
  bool given;          /* the broker has handed it on */
  int executions;      /* how often a worker began it */
  uint64_t chunks;     /* received in this attempt */
  uint32_t part_bytes; /* of them, those of the reply */
  Status status;
} Ask;

/* An event that a client published; its body is its place in World.news. */
typedef struct News {
  int publisher;
  uint32_t order; /* among those of its publisher that reached the broker, from 1; 0 = on its way, or lost */
} News;

/* What a worker executes. */
typedef struct Work {
  RequestId id;
  uint32_t attempt;
  uint64_t chunks;
  uint64_t bytes;
  uint64_t window_bytes;
  uint32_t body_bytes; /* received so far */
  uint32_t part_bytes; /* of the reply, sent so far */
  bool stream;
  bool whole;
  bool cancelled;
} Work;

/* What the broker has given to a session, until it is answered. */
typedef struct Given {
  RequestId id;
  bool cancelled;
} Given;

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
  uint64_t weight; /* of a worker, in the service work */
  bool standby;
  bool narrow; /* offers no `once` in the service work */
  List to_broker;
  List to_peer;
  Work work[WORK_MAX];
  uint32_t n_work;
  /* What the broker has been told by this session, and has given it. */
  uint32_t told_credit;
  bool told_draining;
  Given given[WORK_MAX];
  uint32_t n_given;
  uint64_t heard_us; /* when the broker took its last message */
  /* Of a client: the sequence of its last request that was handed on, by band, for work and for heavy. */
  uint64_t last_given[PRIORITY_END][2];
  /* Events: how many of its own reached the broker, and which one of each publisher comes next in this session. */
  uint32_t n_published;
  bool subscribed;
  uint32_t next_news[CLIENTS];
} SimPeer;

struct World {
  WorldBase base;
  Core *core;
  SimPeer peers[PEERS];
  Ask asks[ASKS_MAX];
  uint32_t n_asks;
  uint16_t ask_places[ASK_BUCKETS]; /* place + 1 by hash of the id, open addressing */
  News news[NEWS_MAX];
  uint32_t n_news;
  uint32_t kept_news[CLIENTS]; /* place + 1 of the last value of each topic, as the broker has it */
};

/* world.c */

/* The ask of this id, or NULL. */
Ask *world_find_ask(World *world, RequestId id);
/* Notes a new ask, so that it is found by its id. */
void world_add_ask(World *world, Ask *ask);
/* Puts a message on its way from the peer to the broker. */
void peer_send(World *world, SimPeer *peer, const Header *header, Bytes body);
/* Connects and says HELLO; a fresh one is a new process. */
void peer_connect(World *world, SimPeer *peer, bool fresh);
/* The connection is cut: what was on its way is lost. */
void peer_cut(World *world, SimPeer *peer);
/* The body of a request of so many bytes: a pattern from its id, so that any mix-up shows. */
void fill_body(RequestId id, uint32_t from, uint32_t size_bytes, Buffer *ret);

/* model.c: what the broker may do, by what it was told */

/* The broker is about to take this message. */
void model_taken(World *world, SimPeer *peer, const Header *header, Bytes body);
/* The broker sends this; fails the seed when it must not. */
void model_sent(World *world, SimPeer *peer, const Header *header, Bytes body);
/* At the end of a step: who executes what has ended has been told. */
void model_check(World *world);
/* The session is over. */
void model_forget(SimPeer *peer);

/* news.c: events */

/* Publishes or subscribes. */
void news_act(World *world, SimPeer *peer);
/* The broker is about to take a PUBLISH or SUBSCRIBE. */
void news_taken(World *world, SimPeer *peer, const Header *header, Bytes body);
/* The broker sends an EVENT: the kept ones are the last that it took. */
void news_sent(World *world, const Header *header, Bytes body);
/* A subscriber reads an EVENT: each once, in the order of its publisher, none left out. */
void news_read(World *world, SimPeer *peer, const Header *header, Bytes body);
/* At the end nothing is missing. */
void news_check_end(World *world);

/* client.c */

/* Does one thing that a client may do now. */
void client_act(World *world, SimPeer *peer);
/* Reads one message. */
void client_take(World *world, SimPeer *peer, const Header *header, Bytes body);
/* Sends again what is unanswered, after a reconnect. */
void client_resend(World *world, SimPeer *peer);
/* The process is gone with all that it waited for. */
void client_die(World *world, SimPeer *peer);

/* worker.c */

/* Does one thing that a worker may do now. */
void worker_act(World *world, SimPeer *peer);
/* Reads one message. */
void worker_take(World *world, SimPeer *peer, const Header *header, Bytes body);

#endif
