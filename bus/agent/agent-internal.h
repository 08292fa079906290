/* What:      what the files of the runtime share: the process, its methods, its calls, its threads.
 * Owns:      see each struct.
 * May use:   agent.h; base, wire, loop, client, contracts.
 * Threading: the loop thread, but for what is said to lie under the pool's mutex.
 * Spec:      docs/agents.md */
#ifndef PONS_AGENT_AGENT_INTERNAL_H
#define PONS_AGENT_AGENT_INTERNAL_H

#include <pthread.h>

#include "bus/agent/agent.h"
#include "bus/agent/credit.h"
#include "bus/agent/memory.h"
#include "bus/base/heap.h"
#include "bus/base/list.h"
#include "bus/base/log.h"
#include "bus/base/table.h"
#include "bus/client/flag.h"
#include "bus/client/instance.h"
#include "bus/client/lease.h"

/* --- options --- */

typedef struct AgentOptions {
  const char *endpoint;
  const char *name;
  const char *site;
  const char *version;
  const char *tier;
  const char *role;
  const char *singleton;
  const char *crash_record;
  const char *key; /* file of its secret key; NULL: none */
  uint64_t weight;
  bool has_weight;
  uint32_t concurrency;
  LogLevel log_level;
  char default_endpoint[256];
} AgentOptions;

/* Reads environment and command line into *ret. Returns -1 to go on, else the exit status: 0 after --help or --version, 2
   for what is wrong, which has been said on standard error. */
int options_read(int argc, char **argv, const Agent *agent, AgentOptions *ret);

/* --- methods --- */

/* One row of the agent's table, found by service and method. */
typedef struct Method {
  TableLink link;
  Text service;
  Text name;
  const AgentMethod *row;
  const MethodContract *contract; /* NULL = untyped */
} Method;

/* --- calls --- */

struct Call {
  Runtime *runtime;
  const Method *method;
  const void *request; /* the decoded struct, or NULL */
  RequestId id;
  uint32_t attempt;
  uint8_t hop;
  uint8_t priority;
  uint32_t flags;
  uint64_t due_us;
  Trace trace;
  Text service; /* these borrow from tail or block */
  Text method_name;
  Text content_type;
  Bytes annotations;
  Bytes body;
  Block *block;
  Arena arena;
  bool assembling; /* the rest of its body is coming */
  Buffer assembled;
  uint64_t parts;

  TableLink link;
  List in_runtime;
  HeapEntry deadline;
  bool is_listed; /* in the runtime's table, list and heap */
  uint8_t broker; /* who is told the answer */
  uint32_t era;   /* of its session when that gave us the call */
  bool mute;      /* nobody is told */

  _Atomic uint32_t references; /* the runtime until it is answered; the handler while it runs; who keeps it */
  _Atomic bool cancelled;
  _Atomic bool answered;
  _Atomic bool kept;   /* for good */
  _Atomic bool keeper; /* who keeps it has a reference, until it answers */
  void (*on_cancel)(void *userdata, Call *call);
  void *cancel_userdata;

  /* under the pool's mutex */
  List in_queue;   /* of the pool */
  List in_outcome; /* of answers that pool threads gave */
  List in_chunky;  /* of calls with pieces to send */
  List in_expired; /* of those that the runtime answered for who keeps them */
  Buffer chunk;    /* pieces that wait for the end of the turn */
  uint64_t accepted_bytes;
  uint64_t window_bytes;
  bool starved;     /* a handler of the loop thread was told -EAGAIN */
  bool forgettable; /* the answer is not to be remembered */

  uint64_t execution; /* no other has this number, in whatever process */
  uint64_t chunks;    /* sent */
  List pieces;        /* of them, those that may be wanted again */
  uint64_t pieces_first;
  uint64_t pieces_before_bytes; /* of the chunks before the first of them */
  bool sending;                 /* its reply is on its way in parts; out_body is what is left of it */
  uint64_t reply_bytes;
  void (*on_writable)(void *userdata, Call *call);
  void *writable_userdata;

  Header out;     /* the answer, from wherever it was given */
  Bytes out_body; /* borrows from what follows, or from the loop thread's scratch */
  Block *out_block;
  Buffer out_bytes;
  Buffer out_extra; /* content type, or annotations */

  _Alignas(16) uint8_t tail[];
};

/* A call from a REQUEST that came; texts and body are copied, or counted. */
Call *call_new(Runtime *runtime, const Header *header, Bytes body, Block *block, size_t struct_bytes);
/* Drops one reference. */
void call_unref(Call *call);
/* Ends a call on the loop thread: sends and remembers the answer that call->out says. A large reply goes in parts, and the
   call ends with the last of them. */
void call_send(Call *call);
/* The end of call_send: what is left of the answer goes out, and the call out of the tables. */
void call_send_end(Call *call);
/* Writes an error over whatever the answer was. Loop thread, or a call that is not delivered yet. */
void call_put_error(Call *call, const CallFault *fault);
/* Whether the caller takes a reply of so many bytes. */
bool parts_fit(Call *call, size_t bytes);
/* Begins to send a reply in parts; it goes on as WINDOWs come. Loop thread. */
void parts_begin(Call *call);
void parts_go_on(Call *call);
/* Gives up on the rest: the call ends with status. */
void parts_stop(Call *call, Status status);
/* Sends the next CHUNK of a call; block may be NULL. */
void pieces_send(Call *call, uint32_t flags, Bytes bytes, Block *block);
/* Forgets pieces below the one that is wanted next. */
void pieces_drop(Call *call, uint64_t wanted);
/* Sends all that are kept again, to the call's broker. */
void pieces_send_again(Call *call);
/* Writes them as pairs that pack_next takes. */
void pieces_write(const Call *call, Buffer *buffer);
/* Whoever sent this header is told the answer from now on, and whoever was is told no more. */
void call_attach(Call *call, uint32_t broker, const Header *header);
/* Refuses a call that was not begun; it is not remembered. Loop thread. */
void call_refuse(Call *call, Status status);
/* Sends the pieces that wait. Loop thread. */
void call_flush_chunks(Call *call);
/* A WINDOW came. */
void call_open_window(Call *call, uint64_t window_bytes);
/* Nobody waits for it any more: a queued one is answered with status, a running one is told; a kept one is answered by the
   runtime at its deadline. Returns whether somebody still has it in hand. Loop thread. */
bool call_stop(Call *call, Status status);
/* Runs the handler on this thread; takes over one reference. */
void call_run(Call *call);

/* --- threads --- */

typedef struct Pool {
  pthread_mutex_t mutex;
  pthread_cond_t work;   /* queue, stopping */
  pthread_cond_t window; /* windows, cancels */
  List queue;
  List outcomes;
  List chunky;
  uint64_t took_ns; /* by handlers, since the loop looked */
  uint32_t took_count;
  bool posted; /* the loop will look at outcomes and chunky */
  bool stopping;
  uint32_t idle;
  uint32_t threads;
  uint32_t threads_max;
  pthread_t *ids;
} Pool;

/* Makes it without threads. Returns 0 or -ENOMEM. */
int pool_init(Runtime *runtime, uint32_t threads_max);
/* Joins the threads; the queue must be empty. Takes one that was never made. */
void pool_done(Runtime *runtime);
/* Hands a call to a thread, a new one if all are busy and there may be more. Returns 0, or negative errno when there is no
   thread at all. */
int pool_push(Runtime *runtime, Call *call);
/* With the mutex held: has the loop look at outcomes and chunky soon. */
void pool_post(Runtime *runtime);
/* Sends pieces that are ready. End of a turn. */
void pool_flush(Runtime *runtime);

/* --- the process --- */

typedef enum Phase {
  PHASE_SERVING,
  PHASE_DRAINING, /* DRAIN is sent, its echo not yet here */
  PHASE_DRAINED,  /* the last calls are being answered */
  PHASE_LEAVING,  /* BYE is said */
} Phase;

/* The session with one broker. */
typedef struct BrokerSession {
  SessionId id;
  bool is_open;
  bool refused;  /* BUSY was said: credit is 0 there until the next CREDIT */
  bool drained;  /* the echo of DRAIN is here, or will not come */
  uint32_t era;  /* counts its sessions */
  uint32_t held; /* unanswered calls of it */
} BrokerSession;

struct Runtime {
  const Agent *agent;
  const AgentOptions *options;
  Loop *loop;
  pthread_t thread;
  Client *client;
  void *state;
  char name[LIMIT_NAME_BYTES + 1];
  char instance[INSTANCE_TEXT_SIZE];
  const MethodContract **calls_made; /* what this agent calls, for HELLO */
  size_t calls_made_count;
  Method *methods_list;
  size_t methods_count;
  Table methods;
  Table calls;
  List running;
  List expired;         /* under the pool's mutex: calls that were answered DEADLINE for who keeps them */
  uint32_t held;        /* calls not answered */
  uint64_t reply_bytes; /* of replies that are sent in parts */
  uint64_t refusal_told_us;
  Heap deadlines;
  LoopTimer *deadline_timer;
  uint64_t deadline_timer_us;
  LoopTimer *drain_timer; /* for the echo of DRAIN, then for who holds the process */
  uint32_t holds;         /* runtime_hold */
  uint32_t works;         /* runtime_begin_work */
  Memory memory;
  Credit credit;
  uint32_t inline_calls;
  uint64_t executions; /* number of the last one; they are counted from the client id */
  BrokerSession sessions[CLIENT_BROKERS_MAX];
  LoopTimer *patience; /* for the second broker, and for who asks for what a lost one had */
  bool contended;      /* both brokers have work for us: each is granted half */
  uint64_t contended_us;
  bool was_ready;
  struct {
    ClientFlag *flag;
    bool off;              /* by the flag agent.NAME */
    const char *singleton; /* the lease that it serves under, or NULL */
    ClientLease *lease;
    bool held;
    bool said_off; /* what the brokers know */
  } feature;
  Phase phase;
  int exit_status;
  Buffer scratch;
  Buffer header;
  Pool pool;
};

/* Listens to the flag that switches this agent, and asks for its lease if it is a singleton. Returns 0 or negative errno. */
int feature_init(Runtime *runtime);
void feature_done(Runtime *runtime);
/* Whether it takes nothing now: switched off, or without its lease. */
bool feature_is_off(const Runtime *runtime);
/* Whether it may begin what is asked of it: a singleton only while it holds its lease, by the clock and not by what it was told. */
bool feature_may_begin(Runtime *runtime);
/* The lease goes back, if it is held; it is not asked for again. */
void feature_give_back(Runtime *runtime);

/* Whether this is the loop thread. */
bool runtime_is_here(const Runtime *runtime);
/* Says CREDIT wherever there is a session. */
void runtime_grant(Runtime *runtime);
/* Makes a runtime from a checked table. Returns 0 or negative errno, said on standard error. */
int runtime_new(const Agent *agent, const AgentOptions *options, Runtime **ret);
/* Frees it and joins its threads. Takes NULL, nulls the pointer. */
void runtime_destroy(Runtime **runtime);
/* Puts a call into the tables, with its deadline. */
void runtime_list(Runtime *runtime, Call *call);
/* Takes a call that is answered out of them; looks whether the drain is over. */
void runtime_unlist(Runtime *runtime, Call *call);
/* Makes the table of methods and says what is wrong with it. Returns 0 or -EINVAL. */
int methods_init(Runtime *runtime);
void methods_done(Runtime *runtime);
/* Finds what this agent calls, by agents/contracts. Returns 0 or -ENOMEM. */
int methods_find_calls(Runtime *runtime);
/* The MethodFlag bits of a method: its contract's, or its row's when it is untyped. */
static inline uint32_t methods_flags(const Method *method) {
  return method->contract ? method->contract->flags : method->row->flags;
}
/* The method; or NULL, and *ret_offered says whether the service is offered at all. */
const Method *methods_find(const Runtime *runtime, Text service, Text name, bool *ret_offered);
/* The services for HELLO; the caller frees with methods_hello_done. */
HelloService *methods_hello(const Runtime *runtime, size_t *ret_count);
void methods_hello_done(HelloService *services, size_t count);
/* The echo of DRAIN is here, or will not come: with the last of them the process ends when the last call has. */
void runtime_drained(Runtime *runtime, uint32_t broker);
/* The call of this id and hop; hop -1 = the last one that began. */
Call *calls_find(const Runtime *runtime, RequestId id, int hop);
/* The highest attempt of the calls of this id, or 0. */
uint32_t calls_highest(const Runtime *runtime, RequestId id);
/* PROBE. */
void probe_message(Runtime *runtime, uint32_t broker, Bytes body);
/* Says an answer again from the chunk that the header wants on; tell: after HAVE. Returns false when not all of it is kept. */
bool probe_replay(Runtime *runtime, uint32_t broker, const Header *about, const MemoryReply *reply, bool tell);
/* What comes from a broker for this instance. */
bool serve_message(void *userdata, uint32_t broker, const Message *message);

/* --- its brokers --- */

/* Whether there is a session with one of them. */
bool brokers_any(const Runtime *runtime);
/* Tells the supervisor whether it serves. */
void brokers_tell_status(const Runtime *runtime);
/* The call came from this broker. */
void brokers_take(Call *call, uint32_t broker);
/* From now on this broker is told. */
void brokers_move(Call *call, uint32_t broker);
/* Sends a message about a call to its broker; to the other when that is gone. */
void brokers_send(Call *call, const Header *header, Bytes body, Block *block);
/* Whether one more call is more than the process can run. */
bool brokers_are_full(const Runtime *runtime);
/* BUSY is being said: its credit is 0 until there is room. */
void brokers_refuse(Runtime *runtime, uint32_t broker);
/* A call has ended; it is not counted in runtime->held any more. */
void brokers_release(Call *call);
/* The hooks of instance.h, and the timer. */
void brokers_on_open(void *userdata, uint32_t broker, SessionId id, Text name);
void brokers_on_lost(void *userdata, uint32_t broker, const char *why);
void brokers_on_patience(void *userdata, uint64_t now_us);

#endif
