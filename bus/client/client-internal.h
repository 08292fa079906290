/* What:      what the files of the client share: timers, the sessions with brokers, unanswered requests, subscriptions.
 * Owns:      see each struct.
 * May use:   client.h, instance.h, prefer.h, retry.h; base, wire, loop.
 * Threading: the loop thread, but for what is atomic and pending_new, pending_free.
 * Spec:      docs/protocol.md */
#ifndef PONS_CLIENT_CLIENT_INTERNAL_H
#define PONS_CLIENT_CLIENT_INTERNAL_H

#include <pthread.h>

#include "bus/base/heap.h"
#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/client/instance.h"
#include "bus/client/prefer.h"
#include "bus/client/retry.h"
#include "bus/loop/socket.h"
#include "bus/wire/pack.h"

/* --- timers: one heap, one LoopTimer --- */

typedef struct ClientTimer ClientTimer;
struct ClientTimer {
  HeapEntry entry;
  void (*on_due)(Client *client, ClientTimer *timer, uint64_t now_us);
};

/* Due at at_us instead of any earlier setting. Re-arms the loop's timer only when this is the earliest. */
void timer_set(Client *client, ClientTimer *timer, uint64_t at_us);
/* Disarms; the loop's timer is left to fire in vain. */
void timer_stop(Client *client, ClientTimer *timer);

/* --- the session with one broker --- */

typedef enum LinkState {
  LINK_DOWN,       /* waits for the back-off */
  LINK_CONNECTING, /* a socket is there, no connection yet */
  LINK_GREETING,   /* HELLO is sent */
  LINK_OPEN,       /* WELCOME has come */
  LINK_LEAVING,    /* BYE is said */
} LinkState;

/* One per broker, the preferred one first. */
typedef struct Link {
  Client *client; /* NULL = never begun */
  LinkState state;
  bool going_away;
  bool cold; /* it does not know all instances yet: WARM follows */
  bool refused;
  bool refusal_told; /* since the last WELCOME */
  Socket *socket;
  char **endpoints; /* alternatives for the one broker */
  PublicKey key;    /* of the broker, when the client has one */
  uint32_t endpoints_count;
  uint32_t endpoint; /* the one in use */
  uint32_t failures; /* in a row, without WELCOME between them */
  ClientTimer life;  /* connecting, greeting, PING, back-off: whatever the state waits for */
  uint64_t heard_us;
  uint64_t pinged_us; /* the PING that nothing followed yet; 0 = none */
  uint64_t beat_us;   /* the last PING of any sort */
  Pack pack;          /* of this turn */
  Buffer scratch;     /* an encoded header */
  List outbox;        /* what the socket has no room for yet */
  uint64_t outbox_bytes;
  ClientTimer again; /* tries the outbox again */
  Block *welcome_body;
  Arena welcome_arena;
  Welcome welcome;      /* the last one; all zero before it */
  uint32_t outstanding; /* requests whose answer is expected here */
} Link;

/* Prepares a link to endpoints, a comma list with perhaps a key behind a bar. Returns 0, -EINVAL for an empty list or a key that is
   none, -ENOKEY as client_new, or -ENOMEM. */
int link_init(Link *link, Client *client, Text endpoints);
/* Says BYE, closes and frees; takes a link that was never begun. */
void link_done(Link *link, bool clean);
/* Begins to connect. Returns 0 or negative errno when no socket can be made. */
int link_start(Link *link);
/* Says BYE and connects no more; client_left follows if there was a session. */
void link_leave(Link *link);
/* Queues a message for the end of the turn, in order. The session need not be open (HELLO). */
void link_send(Link *link, const Header *header, Bytes body, Block *block);
/* Sends what was packed. */
void link_flush(Link *link);
/* Forgets what waits for room. */
void link_drop_outbox(Link *link);
/* Somebody waits for the broker now: looks for life signs from now on. */
void link_watch(Link *link, uint64_t now_us);
/* Ends the connection and begins anew after the back-off. */
void link_lose(Link *link, Status status, const char *why);
/* A message that came, or one out of a PACK. */
void link_dispatch(Link *link, const Message *message);

static inline bool link_is_open(const Link *link) {
  return link->state == LINK_OPEN;
}

/* --- which broker is asked: client->home --- */

/* A session is open: what waited is sent, and the instance's hook is called. */
void move_on_open(Link *link);
/* The session is lost: what was asked there is asked at the other broker, or waits for one. */
void move_on_lost(Link *link);
/* The broker stops (GOAWAY): the same, but what can't be asked elsewhere may still be answered. */
void move_on_goaway(Link *link);
/* The broker knows all instances now. */
void move_on_warm(Link *link);
/* Returns to the preferred broker if it has been there for long enough and nothing is outstanding. */
void move_look(Client *client);
/* The other broker, if it can be asked now. */
Link *move_other(const Link *link);

/* --- HELLO and WELCOME --- */

/* Makes the body of HELLO into client->hello. Returns 0, or -EINVAL with a debug line for what does not fit. */
int hello_build(Client *client);
/* Reads WELCOME into the link. Returns 0 or CONTRACT_E_*. */
int hello_read_welcome(Link *link, Bytes body);

/* --- unanswered requests --- */

typedef enum PendingState {
  PENDING_UNSENT,  /* waits for a session */
  PENDING_SENT,    /* waits for its answer, or for a session to be sent again */
  PENDING_WAITING, /* waits for its next attempt under a new id */
  PENDING_PAUSED,  /* was turned away too often: waits until it may be sent again, under its id */
  PENDING_ENDING,  /* its end is known and told by its timer */
} PendingState;

typedef struct Pending {
  Client *client;
  TableLink link; /* by id */
  List in_client;
  ClientTimer timer; /* the deadline; WAITING, PAUSED: the next attempt; ENDING: now */
  PendingState state;
  Link *at;             /* SENT: where the answer is expected; NULL = its session is gone */
  uint64_t incarnation; /* of the broker that it was sent to last */
  RequestId id;
  RequestId first_id; /* what the caller knows */
  AskHandler handler;
  uint64_t asked_us;
  uint64_t due_us;
  uint64_t sent_us;     /* first, under this id */
  uint32_t attempt;     /* of this id, on the wire */
  uint32_t asked;       /* ids used */
  uint32_t attempts;    /* ids that may be used */
  uint32_t turned_away; /* times that a broker which was stopping did not take it */
  uint32_t flags;       /* of REQUEST */
  uint8_t priority;
  uint8_t refused; /* bit i: broker i can't take it, as far as it said about this id */
  bool was_lost;   /* with a session: it may have been begun */
  bool manual_window;
  bool has_trace;
  Status end_status;
  const char *end_message;
  uint64_t number;    /* of the next chunk; COLLECT counts too */
  uint64_t pieces;    /* of them, those that the caller was given */
  uint64_t execution; /* that they are of; 0 = none yet, or the broker did not say */
  Buffer reply;       /* as much of it as has come in parts */
  uint64_t received_bytes;
  uint64_t consumed_bytes;
  uint64_t granted_bytes;
  uint32_t window_bytes;
  Trace trace;
  Text service; /* these borrow from tail */
  Text method;
  Text content_type;
  Bytes annotations;
  Bytes body; /* borrows from tail or block */
  Block *block;
  uint8_t tail[];
} Pending;

/* Copies an Ask. deadlines and names are checked: what is wrong is its end. From any thread. Returns NULL when memory is
   out. */
Pending *pending_new(Client *client, const Ask *ask, const AskHandler *handler);
/* Frees one that is in no table. From any thread. */
void pending_free(Pending *pending);
/* Takes one over and sends it when there is a session. */
void pending_take(Pending *pending);
/* The request of this id, or NULL. first: the id that the caller knows counts too. */
Pending *pending_find(Client *client, RequestId id, bool first);
/* Ends a request soon, from its timer, with a status of our own. */
void pending_end_soon(Pending *pending, Status status, const char *message);
/* Ends it now: tells the caller and frees. */
void pending_end(Pending *pending, const Answer *answer);
/* Sends REQUEST with its body. */
void pending_send(Pending *pending, Link *link, uint64_t now_us);
/* The same as the next attempt, which goes on where the last one was. */
void pending_send_again(Pending *pending, Link *link, uint64_t now_us);
/* Ends it soon, and tells the broker that nobody waits. */
void pending_cancel(Pending *pending, Status status, const char *message);
/* So many more bytes of its stream were used up. */
void pending_consumed(Pending *pending, uint64_t bytes);
/* REPLY, ERROR and NACK with an id; false when the id is unknown, or the word of a broker that is not asked any more. */
bool pending_answer(Link *link, const Message *message);
/* CHUNK; false when it belongs to no stream of ours. */
bool pending_chunk(Link *link, const Message *message);
/* Its answer is expected from link (NULL = from nobody now); counts. */
void pending_expect(Pending *pending, Link *link);
/* Takes a part of its reply; ends the request when it is over a limit. */
void parts_take(Pending *pending, Bytes body);
/* The whole reply, its last part being body. Returns it and *ret the block that holds it, which the caller unrefs; with
   no parts before it body is all of it and *ret block, with a reference. */
Bytes parts_join(Pending *pending, Bytes body, Block *block, Block **ret);
/* Forgets the parts: the request is asked anew, from its first chunk on. */
void parts_drop(Pending *pending);
/* How a request ends of whose chunks some are missing, and why. */
Status parts_missing(const Pending *pending, const char **ret_message);
/* Nobody has it: it is sent when there is a session. */
void pending_await_session(Pending *pending);
/* The same, but not before so much time has passed. */
void pending_pause(Pending *pending, uint64_t wait_us);
/* Sends to client->home what waits for a session: what was never sent, and again what a lost session had. */
void pending_place(Client *client);
/* What was asked at link is not expected from there any more. */
void pending_orphan(Link *link);
/* Ends everything with CANCELLED. */
void pending_end_all(Client *client);

/* --- durable requests --- */

/* Nobody waits any more for the durable request of this id. */
void durable_cancel(Client *client, RequestId id);
/* Frees what has not ended with the last requests. */
void durable_done(Client *client);

/* --- events --- */

typedef struct Seen {
  TableLink link;
  List in_order;
  ClientId publisher;
  uint64_t sequence;
  uint8_t topic_size;
  char topic[];
} Seen;

typedef struct Subscription {
  List in_client;
  uint64_t number;
  OnEvent *on_event;
  void *userdata;
  Table seen; /* per publisher and topic */
  List seen_order;
  uint64_t lost[CLIENT_BROKERS_MAX];
  ClientTimer refetch;
  Client *client;
  bool over; /* unsubscribed inside a callback of its own */
  uint8_t pattern_size;
  char pattern[];
} Subscription;

typedef struct Publication {
  List in_client;
  Client *client;
  uint64_t sequence;
  bool retain;
  size_t topic_size;
  size_t body_size;
  char bytes[]; /* topic, body */
} Publication;

/* EVENT. */
void events_receive(Link *link, const Message *message);
/* A session is open: subscribes there. */
void events_on_open(Link *link);
/* There is a broker to publish by: publishes what waited. */
void events_place(Client *client);
/* Frees all of it. */
void events_done(Client *client);

/* --- the client --- */

struct Client {
  Loop *loop;
  pthread_t thread;
  KeyPair *key; /* NULL: in clear */
  char *agent;
  char *site;
  char *library;
  const MethodContract *const *calls;
  size_t calls_count;
  uint32_t attempts;
  uint64_t deadline_us;
  uint64_t incarnation_us;
  void (*on_state)(void *userdata, ClientState state, Status status, const char *text);
  void (*on_refusal)(void *userdata, Status status, const char *text);
  void *userdata;
  ClientState told;
  ClientId id;
  _Atomic uint64_t sequence;
  _Atomic uint32_t doing; /* calls of client_do that have not run */
  Buffer hello;
  bool has_instance;
  InstanceHooks instance;

  Link links[CLIENT_BROKERS_MAX];
  uint32_t links_count;
  Link *home;     /* who is asked and told; NULL = nobody can be */
  Link *was_home; /* the last that was */
  Prefer prefer;
  ClientTimer homecoming;
  void (*on_left)(void *userdata);
  void *left_userdata;

  Heap timers;
  LoopTimer *timer;
  uint64_t timer_at_us;

  Table requests;
  List unanswered; /* in the order of asking */
  uint32_t outstanding;
  uint64_t kept_bytes;
  uint64_t reply_bytes; /* parts of replies that are not whole */
  RetryBudget budget;
  uint64_t random;

  List durables; /* that are waited for */
  List subscriptions;
  _Atomic uint32_t subscriptions_count;
  _Atomic uint64_t subscription_number;
  Table topics; /* sequence per topic that we publish to */
  List publications;
  uint32_t publications_count;
  bool in_events; /* the list of subscriptions is being walked */

  ClientStats stats;
};

/* True on the thread of the loop. */
bool client_is_here(const Client *client);
/* Calls fn(userdata) on the loop thread: now if this is it, else soon. fn calls client_did. Returns 0, or -ENOMEM and fn will
   not be called. */
int client_do(Client *client, void (*fn)(void *userdata), void *userdata);
/* What client_do has begun is done: the client may be destroyed. */
void client_did(Client *client);
/* Works out the state of all sessions together and tells it to whoever listens, if it has changed or says why. */
void client_tell(Client *client, Status status, const char *text);
/* A session has ended after link_leave. */
void client_left(Client *client);
/* Pseudo-random, for jitter alone (xorshift64*; S. Vigna, "An experimental exploration of Marsaglia's xorshift generators"). */
uint64_t client_random(Client *client);
/* What the bodies of all unanswered requests may have together, as the broker that is asked has said. */
uint64_t client_kept_max_bytes(const Client *client);

/* Which of the client's brokers it is. */
static inline uint32_t link_index(const Link *link) {
  return (uint32_t)(link - link->client->links);
}

#endif
