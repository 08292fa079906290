/* What:      the structures of the broker's brain and what its files offer each other.
 * Owns:      -
 * May use:   base, wire.
 * Threading: one thread.
 * Spec:      docs/protocol.md; how the pieces hang together: docs/architecture.md, "Inside the core" */
#ifndef PONS_CORE_CORE_INTERNAL_H
#define PONS_CORE_CORE_INTERNAL_H

#include "bus/base/clock.h"
#include "bus/base/heap.h"
#include "bus/base/list.h"
#include "bus/base/table.h"
#include "bus/core/core.h"
#include "bus/core/events-internal.h"
#include "bus/core/moved-internal.h"
#include "bus/wire/session.h"

typedef struct Offer Offer;
typedef struct Service Service;

/* Something that is due at a time; lives inside what waits. */
typedef struct Timer {
  HeapEntry entry;
  void (*on_due)(Core *core, struct Timer *timer, uint64_t now_us);
} Timer;

/* Requests that wait, by band, oldest first. */
typedef struct Queue {
  List bands[PRIORITY_END];
  uint32_t size;
} Queue;

/* A process that asks, known by its id for as long as something of it is unanswered, across its sessions. */
struct Client {
  TableLink link;
  ClientId id;
  Session *session; /* the live one, or NULL: lost, and grace runs */
  List requests;
  uint32_t n_requests;
  uint64_t kept_bytes;
  uint64_t fingerprint; /* of the key that it belongs to; 0 = none */
  Timer grace;
  uint32_t losses; /* as an instance, within the last minute: the back-off of its re-admission */
  uint64_t lost_us;
};

typedef enum SessionState {
  SESSION_NEW,  /* waits for HELLO */
  SESSION_OPEN, /* may ask, publish, subscribe */
  SESSION_OVER, /* ended; its memory goes at the end of the step */
} SessionState;

/* A method that an agent says it calls. */
typedef struct Call {
  List in_service;
  Session *session;
  Service *service;
  char method[LIMIT_METHOD_BYTES + 1];
  uint64_t hash;
} Call;

/* One connection of a peer: its client half and its instance half. */
struct Session {
  List in_core;
  SessionId id;
  void *peer;
  SessionState state;
  Timer timer; /* HELLO timeout, then life signs */
  uint64_t connected_us;
  uint64_t heard_us;
  uint64_t pinged_us; /* of the PING that nothing has followed yet, else 0 */
  uint32_t malformed;
  uint8_t n_late; /* looks that came too late since it was heard */
  bool no_hello_told;
  bool away_told;    /* GOAWAY was sent */
  bool warm_wanted;  /* WELCOME said that WARM follows */
  uint64_t noted;    /* serials: when the other broker knew it, or need not know it; 0 = not yet, */
  uint64_t answered; /* of the last PING or WELCOME that it has answered, */
  uint64_t suspect;  /* since when it must answer a PING; 0 = it need not */
  bool switched_off; /* nobody is to wait for it: its weights are 0 */
  bool trusted;      /* of this process itself */
  CoreIdentity identity;
  bool denial_told;

  Client *client;
  char agent[LIMIT_NAME_BYTES + 1];
  char site[LIMIT_NAME_BYTES + 1];
  char instance[INSTANCE_TEXT_SIZE]; /* "agent:client" */
  uint64_t incarnation;
  uint64_t features;
  uint64_t pid;
  List subscriptions;
  uint32_t n_subscriptions;
  uint64_t last_event; /* number of the event that it was sent last */
  Call *calls;
  uint32_t n_calls;

  Offer *offers;
  uint32_t n_offers;
  bool ready;    /* the first CREDIT came */
  bool draining; /* DRAIN came */
  Timer readmit; /* until then CREDIT does not make it ready */
  uint32_t credit;
  uint32_t n_executing;
  bool has_room; /* it can be given work now; counted in the n_free of its services */
  List executing;
  Queue pinned;     /* requests for this instance alone */
  List probes;      /* what it was asked and has not answered */
  Buffer questions; /* items of the next PROBE */
  uint32_t n_questions;
  List in_pumps;   /* what waits for it alone is to be looked at at the end of the step */
  List in_askers;  /* questions wait for the end of the step */
  uint64_t probed; /* number of the Probing that asked it last */

  uint64_t messages_in;
  uint64_t messages_out;
  uint64_t bytes_in;
  uint64_t bytes_out;
};

typedef struct OfferMethod {
  char name[LIMIT_METHOD_BYTES + 1];
  uint8_t size; /* of name */
  uint8_t flags;
  uint64_t hash;
} OfferMethod;

/* One service at one instance. */
struct Offer {
  Session *session;
  Service *service;
  OfferMethod *methods;
  uint32_t n_methods;
  uint32_t weight;
  uint32_t told_weight; /* by HELLO */
  bool standby;
  bool same_site;
  uint64_t latency_us; /* moving average of the time to an answer */
  char tier[8];
  char version[33];
};

/* A name that instances offer or agents call; lives while somebody refers to it. */
struct Service {
  TableLink link;
  uint32_t references; /* offers, calls, requests */
  Queue queue;
  Offer **offers; /* primaries of this site first */
  uint32_t n_offers;
  uint32_t n_near;      /* of them, these */
  uint32_t n_free;      /* of them, those with a weight whose instance has room */
  Offer *run;           /* who was chosen last and may get more in the same turn, see dispatch_pick; or NULL */
  uint64_t run_us;      /* the turn */
  uint64_t run_message; /* the one that brought the last request of the run */
  uint32_t run_size;
  uint32_t room;
  List in_gaps; /* somebody has left its queue in this step */
  List calls;
  const Route *route;
  uint8_t size;
  char name[LIMIT_NAME_BYTES + 1];
};

typedef enum RequestState {
  REQUEST_RECEIVING, /* its body is not whole */
  REQUEST_QUEUED,
  REQUEST_EXECUTING,
  REQUEST_CANCELLED,  /* ended for its client; the instance has not answered yet */
  REQUEST_COLLECTING, /* a service@*: its children execute */
  REQUEST_ANSWERED,   /* the client was away; the answer waits for it */
  REQUEST_PROBING,    /* it was sent again: the instances are asked whether they have it */
} RequestState;

typedef struct Target {
  char service[LIMIT_TARGET_BYTES + 1];
  char method[LIMIT_METHOD_BYTES + 1];
} Target;

/* An answer kept for a client that is away. */
typedef struct HeldAnswer {
  Header header;
  Block *body;
} HeldAnswer;

struct Request {
  TableLink link;
  RequestId id;
  RequestState state;
  List in_client;
  List in_holder; /* a band of `queue`, or `executing` of the worker */
  Queue *queue;
  Timer deadline;
  Client *client;   /* NULL once it ended for its client */
  Session *worker;  /* executes it */
  Offer *offer;     /* of the worker */
  Service *service; /* referenced */
  Session *only;    /* service@instance */
  Request *parent;  /* of a child of service@* */
  List children;
  List in_parent;
  uint32_t n_children;
  uint32_t n_answered;

  Probing *probing;
  uint64_t first_us; /* of one that was sent again: no later than that was it sent first */
  uint64_t due_us;   /* the deadline */
  uint64_t received_us;
  uint64_t waiting_us; /* since when it is in the queue */
  uint64_t sent_us;
  uint64_t window_bytes;
  uint64_t chunk_bytes; /* of the stream so far, and of the reply's parts */
  uint64_t part_bytes;  /* of the reply's parts */
  uint64_t chunks;
  uint64_t execution; /* that they are of; 0 = none yet, or its client did not say */
  uint32_t attempt;
  uint32_t given; /* the attempt that its instance was told */
  uint32_t flags;
  uint8_t hop;
  uint8_t priority;
  uint8_t n_nacks;
  uint8_t n_losses;   /* of instances that executed it */
  bool idempotent;    /* as its instance declares it, or while it has none, as the first that offers the method does */
  uint64_t confirmed; /* serial of what its client had answered when it asked, or has said since that it still waits, */
  uint64_t confirm_asked; /* and of the last PING that asked it that */
  bool moved;             /* it was sent again: another broker may have handed it on, at this hop or a later one */
  bool attached;          /* its instance had it from another broker, */
  bool forwarded;         /* and has forwarded it: FORWARD follows */
  bool doubtful;          /* two instances had it: what became of both can't be known */
  bool stream_hole;       /* a chunk was lost while the client was away */
  bool has_parts;         /* the reply has begun, in parts */
  uint8_t method_size;
  uint8_t content_type_size;
  Trace trace;
  const RouteVersion *version; /* drawn, or NULL */

  Block **parts; /* the body as it came */
  Block *part;   /* the only one, without an array */
  uint32_t n_parts;
  uint64_t kept_bytes;
  Block *annotations;
  Target *targets; /* of a FORWARD that are left; while RECEIVING, the target of the request */
  uint32_t n_targets;
  HeldAnswer *held;
  char method[LIMIT_METHOD_BYTES];
  char content_type[LIMIT_CONTENT_TYPE_BYTES];
};

typedef enum TraceStep {
#define STEP(name) STEP_##name,
#include "bus/core/steps.def"
#undef STEP
} TraceStep;

typedef struct TraceRow {
  uint64_t at_us;
  RequestId id;
  SessionId session; /* of the instance, or 0 */
  uint8_t step;
  uint8_t hop;
  uint8_t status;
  uint32_t attempt;
} TraceRow;

/* Whose session a number in the trace was, after it has gone. */
typedef struct TraceName {
  SessionId session;
  char instance[LIMIT_TARGET_BYTES + 1];
} TraceName;

enum { TRACE_NAMES = 1024 };

struct Core {
  CoreOptions options;
  CoreSink sink;
  uint64_t now_us;
  uint64_t started_us;
  uint64_t message; /* counts what came, a PACK as one */
  uint64_t random;
  uint64_t last_session;
  Heap timers;
  List sessions;
  List over; /* sessions that ended in this step */
  List gaps; /* services whose queues are to be looked at again at the end of it */
  uint32_t n_sessions;
  Table clients;
  Table services;
  Table requests;
  Table patterns;
  Table topics;
  List kept; /* topics, the one that was kept last at the end */
  uint64_t kept_serial;
  uint32_t n_forgotten; /* topics without a value */
  uint64_t epoch;       /* for WELCOME */
  uint64_t peer_behind; /* for the statistics */
  uint64_t own_behind;
  uint64_t last_event; /* counts events, so that a session gets each once */
  List telling;        /* subscriptions with a wildcard that are being told the last values */
  Timer tell_timer;
  uint64_t tell_us; /* since when tell_left is used up */
  uint32_t tell_left;
  List wild;
  uint64_t topic_bytes;
  uint64_t kept_bytes;
  uint32_t n_queued;
  uint32_t n_requests;   /* in memory: unanswered ones, cancelled ones that an instance still has, children */
  uint32_t n_unanswered; /* requests that have not ended for their client */
  bool draining;
  bool stopped; /* BYE was said to everybody; nothing is sent any more */
  uint64_t counters[COUNTER_END];
  TraceRow *trace; /* ring of LIMIT_TRACE_STEPS */
  uint64_t n_trace;
  TraceName *names; /* ring of TRACE_NAMES */
  uint64_t n_names;
  Buffer scratch;       /* for bodies that the core writes */
  char denial[384];     /* the last one, as a sentence */
  bool keyed;           /* sessions are identified */
  uint64_t serial;      /* counts PINGs, WELCOMEs and what must be newer than an answer to one */
  uint64_t late;        /* serial of the last late turn */
  uint64_t late_for_us; /* what was due in it */
  List probing;         /* Probings, oldest first */
  Timer probe_timer;
  uint64_t n_probings; /* so far */
  uint32_t n_probes;   /* unanswered */
  List pumps;          /* sessions */
  List askers;         /* sessions with questions */
  Timer warm_timer;
  bool warming;
  uint64_t known_since_us; /* since then all instances of both brokers are known, but for the leavers forgotten */
  Leaver *leavers;         /* ring of LEAVERS, or NULL: none yet */
  uint64_t n_leavers;
  PeerBroker peer;
  Timer newcomers; /* then the silence of the other broker holds back no newcomer any more */
};

/* core.c */

/* A time of the core's clock as microseconds since 1970, for people. */
static inline uint64_t core_realtime_us(const Core *core, uint64_t at_us) {
  return core->options.incarnation + (at_us - core->started_us);
}

/* Sends one message to a session that is not over; counts it. */
void core_send(Core *core, Session *session, const Header *header, Bytes body, Block *block);
/* Appends an ErrorBody; message, path and retry_after_us as in core_send_error. */
void core_put_error(const Core *core, Buffer *body, Status status, const char *message, const char *path,
                    uint64_t retry_after_us);
/* Sends ERROR with an ErrorBody; id may be none. message NULL = the status's own sentence. path may be NULL. */
void core_send_error(Core *core, Session *session, RequestId id, Status status, const char *message, const char *path,
                     uint64_t retry_after_us);
/* What every entry into the core ends with: queues with gaps, questions, sessions that are over. */
void core_end_step(Core *core);
void core_set_timer(Core *core, Timer *timer, uint64_t at_us);
void core_stop_timer(Core *core, Timer *timer);
void core_note(Core *core, CoreNote note, const char *format, ...) _printf_(3, 4);
/* A number below n from the core's own generator (xorshift64*, Vigna 2016). */
uint32_t core_random(Core *core, uint32_t n);

/* may.c */

/* Whether the rights of the session's key allow it; method of a topic: none. When not it is counted and told, and core->denial is
   the sentence for the peer. */
bool may(Core *core, Session *session, RightsDeed deed, Text what, Text method);
/* The same for all that HELLO offers, and for all targets of a FORWARD. */
bool may_serve(Core *core, Session *session, const Hello *hello);
bool may_forward(Core *core, Session *session, const ForwardBody *forward);

/* session.c */

void session_on_timer(Core *core, Timer *timer, uint64_t now_us);
/* HELLO in, WELCOME or an ERROR and the end out. */
void session_hello(Core *core, Session *session, Bytes body);
void session_credit(Core *core, Session *session, const Header *header);
void session_drain(Core *core, Session *session);
/* It is switched off until its next CREDIT: what waits for it alone ends NO_SERVICE. */
void session_switch_off(Core *core, Session *session);
/* Nothing new is given to the instance; what waits for it alone goes elsewhere or is told. */
void session_take_no_more(Core *core, Session *session);
/* Says GOAWAY, once. */
void session_send_away(Core *core, Session *session);
/* Sends PING, unless one is unanswered, and watches for the answer. */
void session_ping(Core *core, Session *session);
/* Arms the timer so that a silent session with work outstanding is noticed. */
void session_watch(Core *core, Session *session);
/* Ends a session: clean = its own BYE. tell = ask the shell to hang up. Its requests and its work are settled. */
void session_end(Core *core, Session *session, bool clean, bool tell);
/* Frees the sessions that ended in this step. */
void session_sweep(Core *core);

/* registry.c */

Service *registry_find(const Core *core, Text name);
/* Finds or makes; the caller holds a reference afterwards. */
Service *registry_ref(Core *core, Text name);
void registry_unref(Core *core, Service **service);
/* Takes over what an instance offers and calls. */
void registry_add(Core *core, Session *session, const Hello *hello);
/* Takes it back. */
void registry_remove(Core *core, Session *session);
const OfferMethod *offer_find_method(const Offer *offer, Text method);
/* The offer of service at the instance called name (agent, agent:client, or the beginning of that), or NULL. Of several with one
   agent name it is one that takes work, if there is any. */
Offer *registry_find_instance(const Service *service, Text name);
/* Writes the rows of contracts that differ and concern session, or all for NULL, as msgpack maps; returns how many. */
uint32_t registry_mismatches(Core *core, const Session *session, Buffer *ret_rows);

/* queue.c */

void queue_init(Queue *queue);
/* Appends, or puts in front of its band. */
void queue_push(Core *core, Queue *queue, Request *request, bool front);
void queue_remove(Core *core, Request *request);
/* Rank of a waiting request: the smaller, the sooner its turn. */
uint64_t queue_rank(const Request *request);
/* The band whose first request has the least rank among those not in skip (bits), or -1. */
int queue_best_band(const Queue *queue, unsigned skip);

/* dispatch.c */

/* The offer that request should go to now, or NULL when none can take it. May PING silent instances. */
Offer *dispatch_pick(Core *core, Service *service, Request *request);
/* Draws the version by the service's route. */
void dispatch_draw_version(Core *core, Request *request);
/* Hands waiting requests of the service on while instances can take them. */
void dispatch_pump_service(Core *core, Service *service);
/* The same for all that one instance offers, after it can take more. */
void dispatch_pump_instance(Core *core, Session *session);
/* The end of a step: hands on who came to the front of a queue because another left it. */
void dispatch_fill_gaps(Core *core);
/* Whether some instance can take the request now, for core_check: without a PING. */
bool dispatch_can_be_taken(const Core *core, const Request *request);
/* Whether any instance is there that may take it some day. A version that has gone is drawn anew. */
bool dispatch_may_wait(Core *core, Request *request);
/* An instance of the service has gone: who waits for what only it had goes to its next target, or is told. */
void dispatch_settle_queue(Core *core, Service *service);
/* To be called after every change of what can_take of dispatch.c looks at: keeps Service.n_free. */
void dispatch_note_room(Session *session);
/* Whether the request may be done again after it was handed to this instance. */
bool offer_is_idempotent(const Offer *offer, const Request *request);
bool offer_is_near(const Offer *offer);

/* request.c: the life of a request */

/* The request of this id, or NULL. */
Request *request_find(const Core *core, RequestId id);
/* The request that session executes under id, or NULL. */
Request *request_find_executing(Core *core, const Session *session, RequestId id);
/* Appends a part of its body, by reference when block is set, else as a copy. */
void request_keep_part(Core *core, Request *request, Bytes body, Block *block);
/* How a request ends whose instance is lost, or says that it never began, after a chunk of it has passed. */
Status request_status_cut(const Request *request);
/* Drops the kept body. */
void request_drop_body(Core *core, Request *request);
/* Drops the answer that is held, but for the count of its bytes, which request_drop_body sets right. */
void request_drop_held(Request *request);
/* Hands the request to the instance of offer, which has credit. */
void request_send(Core *core, Request *request, Offer *offer);
/* Takes the request off its worker: the credit is free again. */
void request_release(Core *core, Request *request);
/* The session of offer has it from another broker: it counts as handed to it. */
void request_attach(Core *core, Request *request, Offer *offer);
/* Ends it for its client with an error of the broker and frees it; when it executes, CANCEL goes to the worker. A client
   that is away finds the error when it is back, but for DEADLINE. */
void request_fail(Core *core, Request *request, Status status, const char *message, uint64_t retry_after_us);
/* Passes an answer (REPLY or ERROR) on to the client and frees the request, or holds it while the client is away. What the
   instance wrote is made sense of: a REPLY has status OK and the number of chunks that were passed on, an ERROR has not OK. */
void request_answer(Core *core, Request *request, const Header *header, Bytes body, Block *block);
/* Ends it without a word: the client's own cancel, or its loss. */
void request_cancel(Core *core, Request *request);
void request_free(Core *core, Request *request);
void request_on_due(Core *core, Timer *timer, uint64_t now_us);
/* Arms its timer: the deadline, and in a queue for `once` work no later than instances remember ids. */
void request_watch_deadline(Core *core, Request *request);
static inline Text request_method(const Request *request) {
  return (Text){request->method, request->method_size};
}

/* route.c: where it goes */

/* Routes a whole request to its first target that takes it, else ends it with the reason. */
void request_route(Core *core, Request *request, Text target, Text method);
/* Goes on with the targets that the request has; the first is tried first. */
void request_go_on(Core *core, Request *request);
/* Whether each target that the request has is idempotent, as far as is known. */
bool request_targets_idempotent(const Core *core, const Request *request);
/* The instance that executed it is lost (it was released before). */
void request_lost(Core *core, Request *request);
/* It was not begun, or may be begun again, and is in no queue: another instance, the next target, or the end. */
void request_returned(Core *core, Request *request, Status status);

/* receive.c: requests from clients */

void request_receive(Core *core, Session *session, const Header *header, Bytes body, Block *block);
/* A message that can't be used names a request of this client: it ends with the status. Returns false when it names none. */
bool request_refuse_named(Core *core, const Session *session, RequestId id, Status status, const char *what);
/* A CHUNK of a request's body. Returns false when no such body is being received. */
bool request_receive_part(Core *core, Session *session, const Header *header, Bytes body, Block *block);

/* answer.c: what instances send */

void answer_reply(Core *core, Session *session, const Header *header, Bytes body, Block *block);
void answer_nack(Core *core, Session *session, const Header *header);
void answer_forward(Core *core, Session *session, const Header *header, Bytes body);
void answer_chunk(Core *core, Session *session, const Header *header, Bytes body, Block *block);
void answer_window(Core *core, Session *session, const Header *header);
/* An instance sent about a request what can't be used; that request ends. Nothing happens when it names none. */
void answer_spoilt(Core *core, Session *session, const Header *header);

/* client.c: who asks */

Client *client_ref(Core *core, ClientId id);
/* The client of this id, or NULL. */
Client *client_find(const Core *core, ClientId id);
/* The client's session is gone: its requests are cancelled, at once or after the grace. */
void client_lost(Core *core, Client *client, bool clean);
/* The client is back with a session: held answers go out. */
void client_attach(Core *core, Client *client, Session *session);
/* Frees the client when nothing of it is left. */
void client_sweep(Core *core, Client *client);

/* collect.c */

/* Asks every READY instance of the service, LIMIT_COLLECT at most. Returns OK, after which the request may be gone, or
   OVERLOADED. */
Status collect_start(Core *core, Request *request);
/* A child has its answer, or its end. */
void collect_answer(Core *core, Request *child, const Header *header, Bytes body, Block *block);

/* introspect.c */

/* Answers a request to the service `pons`. */
void introspect_answer(Core *core, Request *request);

/* trace.c */

void trace_step(Core *core, const Request *request, TraceStep step, const Session *instance, Status status);
void trace_name(Core *core, const Session *session);
/* Writes the rows of one request, oldest first, as msgpack maps; returns how many. */
uint32_t trace_rows(const Core *core, RequestId id, Buffer *ret_rows);

#endif
