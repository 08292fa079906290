/* What:      the agent runtime: one const table of methods becomes a process on the bus. This header is the manual.
 * Owns:      the process: its loop, its client, its threads, the calls that it executes.
 * May use:   base, wire, loop, client, contracts.
 * Threading: a handler with inline_ runs on the loop thread and must not block; any other runs on a thread of the pool, one
 *            call per thread at a time. call_* may be used by whoever has the Call, one thread at a time.
 * Spec:      docs/agents.md; docs/protocol.md
 *
 * A whole agent:
 *
 *   #include "bus/agent/agent.h"
 *
 *   AGENT_HANDLER(on_say, Call *call, const EchoSay *say) {
 *     call_reply(call, &(EchoSaid){.text = say->text, .instance = call_instance(call)});
 *   }
 *
 *   static const Agent agent = {
 *       .name = "echo",
 *       .about = "says what it is told",
 *       .services = AGENT_SERVICES({"echo", .methods = AGENT_METHODS({"say", on_say, .inline_ = true})}),
 *   };
 *   PONS_AGENT(agent)
 *
 * The runtime connects, registers, keeps the credit right, decodes each request by its contract and answers INVALID with the
 * field's path when it does not fit, starts threads on first use, holds to deadlines and cancels, remembers what it has
 * answered so that nothing is done twice, and on SIGTERM finishes what it has, takes nothing new and ends. */
#ifndef PONS_AGENT_AGENT_H
#define PONS_AGENT_AGENT_H

#include "agents/contracts/contracts.h"
#include "bus/client/client.h"
#include "bus/wire/token.h"

typedef struct Call Call;       /* one request that this process answers */
typedef struct Runtime Runtime; /* this process as an agent */

/* --- the table --- */

/* Answers call, exactly once: call_reply, call_reply_raw, call_error or call_forward. request is the struct of the method's
   contract (NULL for an untyped method: use call_body), good until the call is answered. A handler that returns without an
   answer and without call_keep is answered INTERNAL. */
typedef void Handler(Call *call, const void *request);

/* Begins the definition of a Handler that takes its request as what it is, instead of as const void *. */
#define AGENT_HANDLER(name, call, request)                                                                             \
  static void name##_typed(call, request);                                                                             \
  static void name(Call *call_, const void *request_) {                                                                \
    name##_typed(call_, request_);                                                                                     \
  }                                                                                                                    \
  static void name##_typed(call, request)

typedef struct AgentMethod {
  const char *name;
  Handler *handler;
  bool inline_; /* runs on the loop: microseconds, nothing that waits */
  bool untyped; /* no contract: bytes in, bytes out. Else agents/contracts must have it, or the agent does not start */
  uint32_t flags;   /* MethodFlag, of an untyped method; a contract brings its own */
  const void *data; /* what call_data gives: tells apart what has one handler */
} AgentMethod;

typedef struct AgentService {
  const char *name;
  const AgentMethod *methods; /* AGENT_METHODS(…) */
  const char *version;        /* NULL = "1" */
} AgentService;

typedef struct Agent {
  const char *name; /* what PONS_AGENT_NAME and --name may change */
  const char *about;
  const AgentService *services; /* AGENT_SERVICES(…) */
  uint32_t concurrency; /* calls executed at a time, at most 65,535; also the most threads, but at most 1,024; 0 = 4 */
  /* The lease that it must hold to serve, or NULL: of all processes that ask for it one serves, and the others stand by. The
     option --singleton changes it. With may_double two holders do no harm, and it moves by itself when the other machine is
     gone and there is no witness. */
  const char *singleton;
  bool may_double;
  /* Of a singleton: it is the holder now; or not any more, and what it does as holder stops at once. May be NULL. */
  void (*on_lease)(Runtime *runtime, bool held);
  /* Before the first connection; a state that handlers want is set by runtime_set_state. Returns 0, or negative errno and
     the agent does not start. May be NULL. */
  int (*init)(Runtime *runtime);
  /* Once, when the brokers know the agent and before it says READY to who has started it. Returns 0, or negative errno and it ends.
     May be NULL. */
  int (*ready)(Runtime *runtime);
  /* When the end begins: what comes from elsewhere than the bus is to stop too. May be NULL. */
  void (*drain)(Runtime *runtime);
  /* When all calls have ended, before the process does. May be NULL. */
  void (*done)(Runtime *runtime);
} Agent;

/* Lists of the table; they add the empty element that ends them. */
#define AGENT_METHODS(...) ((const AgentMethod[]){__VA_ARGS__, {.name = NULL}})
#define AGENT_SERVICES(...) ((const AgentService[]){__VA_ARGS__, {.name = NULL}})

/* The main function of an agent that is nothing but its table. */
#define PONS_AGENT(agent)                                                                                              \
  int main(int argc, char **argv) {                                                                                    \
    return agent_main(argc, argv, &(agent));                                                                           \
  }

/* Runs the agent until SIGTERM or SIGINT. Options: environment (PONS_AGENT_ENDPOINT, _NAME, _SITE, _WEIGHT, _TIER, _ROLE,
   _VERSION, _CONCURRENCY, _SINGLETON, PONS_LOG_LEVEL), then the command line (--endpoint and so on; --help lists them). Returns the exit
   status: 0 after a drain; 1 stopped by a second signal, or failed at run time; 2 wrong options or table; 3 the broker
   refuses this agent for good. */
int agent_main(int argc, char **argv, const Agent *agent);

/* --- the process --- */

/* The loop of the process. */
Loop *runtime_loop(Runtime *runtime);
/* For asking others; from any thread. On the loop thread use client_ask, in pool handlers client_call is good. */
Client *runtime_client(Runtime *runtime);
/* "name:client" of this process, the client id in hex; lives as long as the runtime. */
Text runtime_instance(const Runtime *runtime);
/* The agent's own state, for its handlers. */
void runtime_set_state(Runtime *runtime, void *state);
void *runtime_state(const Runtime *runtime);
/* Of a singleton: whether it holds its lease right now, by the clock; then *ret (may be NULL) is the token, which what it guards
   looks at (token_admit). To be asked before each thing that only the holder may do. From any thread while a handler runs. */
bool runtime_holds(Runtime *runtime, LeaseToken *ret);
/* Ends the agent as SIGTERM does. From any thread. */
void runtime_drain(Runtime *runtime);
/* Between these two the process does not leave the bus when its last call has ended, but no longer than 1 s after that: for
   what is still to be told to others. They nest. Loop thread. */
void runtime_hold(Runtime *runtime);
void runtime_release(Runtime *runtime);
/* Work that did not come as a call, from begin to end of it: a draining process finishes it as it does calls, however long
   it takes. They nest. Loop thread. */
void runtime_begin_work(Runtime *runtime);
void runtime_end_work(Runtime *runtime);

/* --- what a call asks --- */

/* What runtime_state, runtime_client, runtime_instance say, and what the request's header says; texts are good until the call
   is answered. */
Runtime *call_runtime(const Call *call);
void *call_state(const Call *call);      /* runtime_state */
Client *call_client(const Call *call);   /* runtime_client */
const void *call_data(const Call *call); /* AgentMethod.data of its method */
Text call_instance(const Call *call);    /* runtime_instance */
RequestId call_id(const Call *call);
uint8_t call_hop(const Call *call); /* how often it has been forwarded: with the id the key of this visit */
Text call_service(const Call *call);
Text call_method(const Call *call);
Priority call_priority(const Call *call);
const Trace *call_trace(const Call *call); /* all zero = none */
/* The body as it came, and its content type (empty = msgpack). Good until the call is answered. */
Bytes call_body(const Call *call);
Text call_content_type(const Call *call);
/* The annotations map as it came, and the text under key in it (empty when it is not there or no text). */
Bytes call_annotations(const Call *call);
Text call_annotation(const Call *call, const char *key);
/* The deadline by the monotonic clock (clock_monotonic_us). */
uint64_t call_deadline_us(const Call *call);
/* True when nobody waits for the answer any more: cancelled, or past the deadline. Long handlers look now and then. From
   any thread while the call is not answered. */
bool call_cancelled(const Call *call);
/* True when the caller takes pieces before the end. */
bool call_wants_stream(const Call *call);
/* Zeroed memory that lives until the call is answered; NULL over 4 MiB in all. */
void *call_take(Call *call, size_t size_bytes);
/* Waits for so long, but no longer than somebody waits for the answer. Returns false when call_cancelled. Pool threads. */
bool call_wait(Call *call, uint64_t wait_us);

/* --- answering --- */

/* Each of these four answers the call and gives it up: the handler may touch it until it returns, whoever kept it may not
   touch it again. A second answer is ignored and logged. */

/* Answers with *reply, the struct of the method's contract, or NULL for a contract without fields. It is held against the
   contract first: what does not fit is answered INTERNAL, logged, and returned as CONTRACT_E_*. A reply over
   LIMIT_BODY_BYTES goes in parts as the caller reads; over LIMIT_REPLY_BYTES, or to a caller that opened no window, it is
   answered TOO_LARGE and -EMSGSIZE is returned. Else 0. */
int call_reply(Call *call, const void *reply);
/* Answers with bytes as they are; content_type empty = msgpack. Too large: as call_reply; a content type of over
   LIMIT_CONTENT_TYPE_BYTES: answered INTERNAL, returns -EINVAL. With block, body points into it and is not copied; block
   may be NULL. */
int call_reply_raw(Call *call, Bytes body, Block *block, Text content_type);
/* Answers with an error: a status and one sentence for a person that says what to do. */
void call_error(Call *call, Status status, const char *format, ...) _printf_(3, 4);
/* The same, naming the field that is wrong (may be NULL) and when to ask again (0 = not said). */
void call_error_full(Call *call, Status status, const char *path, uint64_t retry_after_us, const char *format, ...)
    _printf_(5, 6);

/* What went wrong, for call_fail: text members may be empty, numbers 0. */
typedef struct CallFault {
  Status status;
  Text message;         /* one sentence for a person that says what to do; cut at 1,024 bytes */
  Text path;            /* the field that is wrong */
  Text code;            /* the cause for a program, at most 64 bytes */
  unsigned http_status; /* 400 to 599, where that of the status is too coarse */
  uint64_t retry_after_us;
} CallFault;

/* The same with all that an error can say. */
void call_fail(Call *call, const CallFault *fault);

typedef struct CallTarget {
  Text service; /* service or service@instance */
  Text method;
} CallTarget;

/* Hands the request on, body and all, to the first of 1 to LIMIT_FORWARD_TARGETS targets that can begin. annotations (one
   encoded msgpack map) replace those of the request; empty = kept. Not after a piece was sent. Returns 0; -EINVAL for no or
   too many targets, or after a piece: then the call is answered INTERNAL. */
int call_forward(Call *call, const CallTarget *targets, size_t count, Bytes annotations);

/* Sends a piece of the answer, *chunk being the struct of the method's chunk contract, or bytes as they are. Pieces that
   are ready in one turn travel together. To a caller that wants no stream nothing is sent.
   Returns 0; CONTRACT_E_* for what does not fit (the call is answered INTERNAL); -EMSGSIZE for more than LIMIT_BODY_BYTES at
   once, and nothing is taken; -ECANCELED when call_cancelled. When the reader is behind: on a pool thread blocks until it has caught up; on the loop thread returns -EAGAIN, nothing is taken,
   and what call_on_writable set is called when it is worth trying again. */
int call_chunk(Call *call, const void *chunk);
int call_chunk_raw(Call *call, Bytes bytes);
void call_on_writable(Call *call, void (*on_writable)(void *userdata, Call *call), void *userdata);

/* Keeps the call beyond its handler: it is answered later, from the loop thread or another. Inline handlers that ask others
   keep the call. At the deadline the runtime answers a kept call DEADLINE by itself; the call stays good for call_* until
   whoever keeps it has tried to answer too, which is then without effect. */
void call_keep(Call *call);
/* Called on the loop thread once when the caller takes the request back or its deadline comes; answer soon then. For kept
   calls and for handlers of the loop thread. */
void call_on_cancel(Call *call, void (*on_cancel)(void *userdata, Call *call), void *userdata);

#endif
