/* What:      a process's place on the bus: ask, stream, publish, subscribe. This header is the manual.
 * Owns:      its sessions with brokers, the requests that are unanswered, the subscriptions.
 * May use:   base, wire, loop.
 * Threading: a Client is made and destroyed on the thread that runs its loop; every other function may be called from any
 *            thread. Callbacks run on the loop thread.
 * Spec:      docs/protocol.md
 *
 * The shortest program that asks (error checks left out):
 *
 *   Loop *loop = NULL;
 *   Client *client = NULL;
 *   Answer *answer = NULL;
 *
 *   loop_new(&loop);
 *   client_new(loop, &(ClientOptions){.endpoint = "tcp://127.0.0.1:7100", .agent = TEXT("me")}, &client);
 *   client_call(client, &(Ask){.service = TEXT("echo"), .method = TEXT("say"), .body = body}, &answer);
 *   if (answer->status == STATUS_OK)
 *     use(answer->body);
 *   answer_destroy(&answer);
 *   client_destroy(&client);
 *   loop_destroy(&loop);
 *
 * What is promised. Every request ends exactly once: with a reply, with a named status, or by client_cancel (then
 * CANCELLED). None outlives its deadline. Nobody waits for a broker that isn't there: requests wait inside the client until
 * a session is open, and end UNAVAILABLE at their deadline when they were never sent. What was sent when the session was
 * lost is sent again with a higher attempt, at the other broker at once, else at the next session; that broker finds out
 * what became of the first attempt, or says UNKNOWN where nobody can know. With two brokers there is a session with each;
 * requests go to the preferred one, and return to it when it has been there for 10 s and nothing is outstanding. */
#ifndef PONS_CLIENT_CLIENT_H
#define PONS_CLIENT_CLIENT_H

#include "bus/loop/key.h"
#include "bus/loop/loop.h"
#include "bus/wire/contract.h"
#include "bus/wire/header.h"
#include "bus/wire/session.h"

typedef struct Client Client;

enum { CLIENT_BROKERS_MAX = 2 };

/* --- the session --- */

typedef enum ClientState {
  CLIENT_CONNECTING, /* no session yet, or it was lost; goes on by itself */
  CLIENT_OPEN,       /* there is a broker to ask */
  CLIENT_GOING_AWAY, /* the broker is stopping: what was asked is still answered, new requests wait for the next session */
  CLIENT_REFUSED     /* the broker said no to HELLO; tried again every 5 s, for the cause may go away */
} ClientState;

typedef struct ClientOptions {
  const char *endpoint; /* of the broker: "tcp://ADDRESS:PORT", "ipc://PATH", or several with commas between: they are
                           tried in turn, half a second each, and the first that answers is used. With a second broker:
                           its list too, after a semicolon; the preferred broker stands first. Behind a
                           list, with a bar between, the public key of its broker: then key is needed */
  KeyPair *key;         /* this process's, of which the client takes a reference; NULL = it has none */
  Text agent;           /* name of this process on the bus; required */
  Text site;            /* where it runs; may be empty */
  Text library;         /* what speaks; empty = "libpons VERSION" */
  /* What it calls: the broker compares the hashes with those of the instances and tells who differs. Borrowed for as
     long as the client lives; may be NULL. */
  const MethodContract *const *calls;
  size_t calls_count;
  uint32_t attempts; /* greatest number of times that one request is asked, retries included; 0 = 3, 1 = no retries */
  uint64_t deadline_us;    /* of an Ask that names none; 0 = TIME_DEADLINE_DEFAULT_US */
  uint64_t incarnation_us; /* 0 = now */
  /* Called for every change of state; status and text say why a session was lost or refused. With CLIENT_OPEN again and a
     status: the second broker refuses this client. May be NULL. */
  void (*on_state)(void *userdata, ClientState state, Status status, const char *text);
  /* A broker refuses what has no answer of its own: an event, a subscription. text is a sentence with the status. With two brokers both
     may say so. Not that a broker of an earlier version does not know a kind of message. May be NULL. */
  void (*on_refusal)(void *userdata, Status status, const char *text);
  void *userdata; /* of both */
} ClientOptions;

/* Makes a client and begins to connect; the loop does the rest. Options are copied, but for calls. Returns 0 and the caller
   owns *ret; -EINVAL for a name that is none (name_is_valid), no endpoint, a key that is none, or more than 256 calls; -ENOKEY when one of
   key and the brokers' keys is there and the other is not; other negative errno when no socket could be made. */
int client_new(Loop *loop, const ClientOptions *options, Client **ret);
/* Says BYE (sent within 100 ms, in the background), ends every unanswered request with CANCELLED and frees the client.
   What other threads have begun with it is done first; they must not use it any more. No callback of it runs afterwards. Not from inside one of its callbacks. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void client_destroy(Client **client);

/* Of now. Loop thread. */
ClientState client_state(const Client *client);
/* 64 random bits that stand for this process in request ids. */
ClientId client_id(const Client *client);
/* Turns the loop until a session is open, but no longer than timeout_us. Loop thread, loop not running. Returns 0;
   -ETIMEDOUT; -EPERM when the broker refused; -EDEADLK inside a callback of the loop. */
int client_wait_open(Client *client, uint64_t timeout_us);
/* What the broker said in its last WELCOME: contracts of this process that differ from the other side's. Loop thread;
   borrowed until the loop turns. */
const Mismatch *client_mismatches(const Client *client, size_t *ret_count);
/* Name of the broker that is asked now, or was last; empty before the first WELCOME. Loop thread; borrowed until the loop
   turns. */
Text client_broker(const Client *client);

typedef struct ClientStats {
  uint64_t asked;            /* requests of the caller */
  uint64_t answered;         /* that have ended, however */
  uint64_t retried;          /* asked again under a new id */
  uint64_t resent;           /* sent again under the same id after a loss */
  uint64_t moves;            /* from one broker to the other, returns included */
  uint64_t sessions;         /* WELCOMEs */
  uint64_t dropped;          /* messages that could not be used */
  uint64_t events_dropped;   /* duplicates, and published ones that found no session for too long */
  uint32_t outstanding;      /* unanswered now */
  uint32_t retry_tokens_x10; /* of the retry budget, in tenths: 100 = full; none is retried at 50 or less */
} ClientStats;

/* A snapshot. Loop thread. */
ClientStats client_stats(const Client *client);

/* --- asking --- */

/* As the wire's Priority, with the usual one as 0. */
typedef enum AskPriority { ASK_NORMAL, ASK_INTERACTIVE, ASK_BATCH } AskPriority;

/* One request. Everything is copied by the call that takes it, but for block, of which it takes a reference. */
typedef struct Ask {
  Text service; /* "echo", "echo@instance", "echo@*" */
  Text method;
  Bytes body;           /* at most LIMIT_REQUEST_BYTES; over LIMIT_BODY_BYTES it travels in pieces */
  Block *block;         /* whose bytes body points into; then a large body is not copied. NULL = copy */
  Text content_type;    /* empty = msgpack */
  Bytes annotations;    /* one encoded msgpack map, or empty */
  const Trace *trace;   /* NULL = none */
  uint64_t deadline_us; /* from now; 0 = the client's default; at most LIMIT_DEADLINE_US */
  AskPriority priority;
  bool idempotent;    /* doing it twice is as good as once: it may be asked again after a loss */
  bool stream;        /* on_chunk takes pieces before the end */
  bool manual_window; /* the window opens by client_stream_consumed alone, for a reader that passes pieces on */
  uint32_t
      window_bytes; /* how far a stream, or a large reply, may run ahead; 0 = 256 KiB, at most LIMIT_STREAM_WINDOW_BYTES */
  uint32_t attempts; /* 0 = the client's */
} Ask;

/* A piece of a stream, or one instance's answer to "service@*". Borrowed during the callback. */
typedef struct AskChunk {
  RequestId id;
  uint64_t number; /* 0, 1, … */
  Bytes body;
  Block *block;      /* whose bytes body points into, to be kept by block_ref; or NULL: then copy */
  bool is_collect;   /* one whole answer to "service@*"; then: */
  Status status;     /* of that instance's answer */
  Text instance;     /* who answered, "name:client id in hex" */
  Bytes annotations; /* as they came */
} AskChunk;

/* How a request ended. Borrowed during the callback. */
typedef struct Answer {
  Status status;           /* STATUS_OK: body is the reply. Else message says why, for a person */
  RequestId id;            /* of the last attempt: what `pons trace` takes */
  Bytes body;              /* empty unless STATUS_OK; at most LIMIT_REPLY_BYTES, however it travelled */
  Block *block;            /* whose bytes body points into, to be kept by block_ref; or NULL: then copy */
  Text content_type;       /* empty = msgpack */
  Bytes annotations;       /* as they came */
  Text message;            /* of an error: one sentence */
  Text path;               /* INVALID: the field that is wrong */
  Text origin;             /* of an error: who says so; empty = this client itself */
  Text code;               /* of an error: the cause for a program, finer than the status; may be empty */
  unsigned http_status;    /* of an error: for an HTTP client; 0 = that of the status */
  uint64_t retry_after_us; /* of an error: when to ask again; 0 = not said */
  uint64_t chunks;         /* pieces that came before */
  uint64_t took_us;        /* since it was asked */
  uint32_t attempts;       /* how often it was asked, 1 = once */
} Answer;

/* Who is told. on_end is called exactly once for each request that client_ask took, never from inside client_ask. */
typedef struct AskHandler {
  void (*on_chunk)(void *userdata, const AskChunk *chunk); /* NULL = pieces are dropped */
  void (*on_end)(void *userdata, const Answer *answer);    /* NULL = nobody wants to know */
  void *userdata;
} AskHandler;

/* Asks. Does not block; what is asked in one turn of the loop leaves together at its end. Returns 0 and *ret (may be NULL)
   is the request's id, good for client_cancel and client_stream_consumed until on_end. What is wrong with the request itself
   is not an error here but the status of its end: NO_DEADLINE (over the maximum), BAD_NAME, TOO_LARGE, QUOTA (too many or
   too large together, as the broker said in WELCOME). -ENOMEM (other threads only) and nobody is told. */
int client_ask(Client *client, const Ask *ask, const AskHandler *handler, RequestId *ret);

/* Asks and waits for the end. Returns 0 and the caller owns *ret, whatever its status. ask->stream must be false
   (-EINVAL). On the loop thread it turns the loop itself while the loop isn't running, and returns -EDEADLK inside one of
   its callbacks: there use client_ask. On other threads the loop must be running: -ETIMEDOUT when it did not say anything
   until 5 s after the deadline. -ECANCELED when the loop was stopped meanwhile. Blocks. */
int client_call(Client *client, const Ask *ask, Answer **ret);
/* Frees what client_call returned. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void answer_destroy(Answer **answer);

/* Takes a request back: its on_end follows in this turn of the loop or the next, with CANCELLED, unless it has ended. An
   unknown id is ignored. */
void client_cancel(Client *client, RequestId id);
/* With manual_window: bytes more of the stream have been used up, so as many may come. */
void client_stream_consumed(Client *client, RequestId id, size_t bytes);

/* --- asking so that it outlives the caller and a broker: docs/durable.md --- */

/* Who is told of a durable request. Nothing is called from inside client_submit or client_await. */
typedef struct DurableHandler {
  /* It is on disk at so many brokers, 1 or 2, and will be done whatever becomes of this process. May be NULL. */
  void (*on_kept)(void *userdata, RequestId id, uint32_t copies);
  /* It has ended, or can't be waited for; once. An answer with a code is the last word: `dead_letter` and so on. DEADLINE: it goes on, and
     can be waited for again. NULL: nobody waits for its end. */
  void (*on_end)(void *userdata, const Answer *answer);
  void *userdata;
} DurableHandler;

/* Has a request kept on disk, and done. Of ask service, method, body (at most LIMIT_DURABLE_BYTES), content_type, annotations, priority and
   idempotent count, and deadline_us: how long this process waits, first to hear that it is kept, then for its end. patience_us: when it is
   a dead letter; 0 = as the broker's configuration says. All is copied. Returns 0 and *ret is the id of the durable request (good for
   client_await anywhere, and for client_cancel, which ends the waiting alone); -EINVAL for a stream; -ENOMEM. */
int client_submit(Client *client, const Ask *ask, uint64_t patience_us, const DurableHandler *handler, RequestId *ret);
/* Waits for the end of a durable request of whatever process. deadline_us as in Ask. Returns 0 or -ENOMEM; -EINVAL without on_end. */
int client_await(Client *client, RequestId id, uint64_t deadline_us, const DurableHandler *handler);

/* --- with contracts --- */

/* Fills service, method, body, idempotent and stream of *ask from method and from *request, the contract's struct, which
   is held against the contract first. buffer gets the body and must live until the ask was taken. Returns 0, or CONTRACT_E_*
   with *fault (may be NULL) filled and *ask left alone. */
int ask_encode(const MethodContract *method, const void *request, Buffer *buffer, Ask *ask, ContractFault *fault);
/* Reads the reply of an answer with STATUS_OK into *ret, the contract's struct; texts borrow from the answer, lists lie in
   arena. Returns 0 or CONTRACT_E_* with *fault (may be NULL) filled and *ret all zero. */
int answer_decode(const MethodContract *method, const Answer *answer, Arena *arena, void *ret, ContractFault *fault);

/* --- events --- */

/* An event. Borrowed during the callback. */
typedef struct BusEvent {
  Text topic;
  Bytes body;
  Text content_type;
  ClientId publisher;
  uint64_t sequence; /* of this publisher and topic, from 1 */
  uint64_t lost;     /* events that this session has lost so far because it read slowly */
  bool retained;     /* a kept value, not a fresh one */
  bool gap;          /* between this one and the last of this publisher and topic, some are missing; the last values are
                        fetched again */
} BusEvent;

typedef void OnEvent(void *userdata, const BusEvent *event);

/* Publishes. retain: the broker keeps it as the topic's last value, an empty body makes it forget. Without a session the
   newest LIMIT_OUTBOX_EVENTS wait for one; older ones, and those to more than LIMIT_TOPICS different topics, are dropped and
   counted. Returns 0; -EINVAL for a topic that is none; -EMSGSIZE over LIMIT_BODY_BYTES; -ENOMEM. */
int client_publish(Client *client, Text topic, Bytes body, bool retain);
/* Takes events whose topic fits pattern ("a.b", "a.*", "a.>"), first the last values. Each comes once, in the order of its
   publisher. Lives on over reconnects until client_unsubscribe. Returns 0 and *ret (may be NULL) is a number for it;
   -EINVAL for a pattern that is none; -ENOBUFS over LIMIT_SUBSCRIPTIONS; -ENOMEM. */
int client_subscribe(Client *client, Text pattern, OnEvent *on_event, void *userdata, uint64_t *ret);
/* Ends a subscription; on the loop thread no event of it comes after this. An unknown number is ignored. */
void client_unsubscribe(Client *client, uint64_t subscription);

#endif
