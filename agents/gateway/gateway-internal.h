/* What:      what the files of the gateway share: listeners, connections, requests, cached questions.
 * Owns:      see each struct.
 * May use:   the room's other headers; bus/agent, bus/loop, libmicrohttpd.
 * Threading: the loop thread.
 * Spec:      docs/gateway.md; docs/adr/0021-gateway.md */
#ifndef PONS_GATEWAY_INTERNAL_H
#define PONS_GATEWAY_INTERNAL_H

#include <microhttpd.h>

#include "agents/gateway/fault.h"
#include "agents/gateway/keys.h"
#include "agents/gateway/metrics.h"
#include "agents/gateway/origin.h"
#include "agents/gateway/routes.h"
#include "bus/agent/agent.h"
#include "bus/base/list.h"
#include "bus/client/pieces.h"
#include "bus/config/config.h"

typedef struct Gateway Gateway;
typedef struct HttpRequest HttpRequest;
typedef struct HttpConnection HttpConnection;

enum {
  LISTENERS_MAX = 16,
  STREAM_WINDOW_BYTES = 65536,   /* what a stream may run ahead of its client: the memory that one slow reader costs */
  CONNECTION_POOL_BYTES = 12288, /* libmicrohttpd's for one connection: headers, and a piece of a stream */
  HEADERS_MAX_MS = 10000,        /* from the request line to the end of the headers */
  BODY_MAX_MS = 30000,           /* for a body, and 1 ms more for each of BODY_BYTES_PER_MS */
  BODY_BYTES_PER_MS = 16,
  KEEPALIVE_MS = 15000, /* silence in a stream before a comment is sent, for the proxies on the way */
};

/* --- listening: server.c --- */

/* One address of gateway.listen. Its descriptors are watched by our loop: libmicrohttpd has no thread. */
typedef struct Listener {
  Gateway *gateway;
  struct MHD_Daemon *daemon;
  LoopFd *watch; /* libmicrohttpd's epoll descriptor */
  LoopTimer *timer;
  bool is_woken; /* something was resumed that MHD_run has not seen */
  char address[64];
} Listener;

/* Whether the sockets of all addresses were handed down by who has started this process. */
bool server_inherits(const Gateway *gateway);
/* Listens at all addresses. Returns 0, or negative errno after a log line that says which address and why; what was begun
   is for server_stop. */
int server_start(Gateway *gateway);
/* Has libmicrohttpd look, in the next turn of the loop, at what was resumed. */
void server_wake(Listener *listener);
/* Takes no new connection; those that are idle are closed in half a second, for a request may be on its way by them. */
void server_drain(Gateway *gateway);
/* Closes everything. */
void server_stop(Gateway *gateway);

/* --- connections: connection.c --- */

/* A client's connection, from accept to close. While libmicrohttpd does not look at it (suspended, which is while the bus
   works), our own watch sees the client hang up. */
struct HttpConnection {
  List in_gateway;
  Gateway *gateway;
  Listener *listener;
  struct MHD_Connection *mhd;
  HttpRequest *request; /* the one of now, or NULL */
  LoopFd *watch;
  LoopTimer *timer; /* the request is late; or while it streams: silence */
  int fd;
  bool is_gone; /* the client has hung up */
};

/* Callback of libmicrohttpd for accept and close. */
void connection_on_change(void *listener, struct MHD_Connection *mhd, void **connection,
                          enum MHD_ConnectionNotificationCode code);
/* The request must have come that long from now. */
void connection_expect(HttpConnection *connection, uint64_t within_ms);
/* Answers past libmicrohttpd, which takes no answer while a body comes, and closes. */
void connection_refuse(HttpConnection *connection, const HttpFault *fault);
/* Closes: libmicrohttpd finds the end of the connection and lets go of it. */
void connection_shut(HttpConnection *connection);

/* --- requests: request.c --- */

/* One request, from its request line until both libmicrohttpd and the bus have let go of it. */
struct HttpRequest {
  Gateway *gateway;
  HttpConnection *connection; /* NULL when libmicrohttpd has let go */
  const Route *route;         /* NULL: no such path */
  RouteKind kind;
  HttpMethod method;
  const char *origin;  /* of the web page that asks, when it is one of gateway.cors_origins; else NULL */
  Text rest;           /* in place of the route's *; good while libmicrohttpd has the request */
  Buffer body;         /* as it came */
  uint64_t held_bytes; /* of body and of a whole answer, as they count in the gateway's */
  uint64_t began_us;
  uint64_t whole_us; /* when all of it had come */
  bool has_begun;    /* the headers have come */
  bool is_answered;  /* answer_… has run */
  bool is_suspended; /* libmicrohttpd does not look at it */
  bool is_dropped;   /* the client is gone */
  bool is_queued;    /* libmicrohttpd has the response */
  unsigned status;   /* of the answer; 0 = none yet */
  struct MHD_Response *response;
  List in_fetch; /* waits for a cached question */
  void (*on_fetched)(HttpRequest *request);
  /* The request on the bus. */
  const MethodContract *asked;
  RequestId id;
  bool is_asking;
  /* The stream: stream.c. */
  bool is_stream;
  bool is_over;   /* nothing more comes into out */
  bool is_broken; /* and it must not look like a clean end */
  Buffer out;     /* what the client has not taken yet, from out_at on */
  size_t out_at;
  Pieces pieces;     /* of the stream, not whole yet */
  size_t lent_bytes; /* reported as consumed although the client has them not yet */
};

/* Callbacks of libmicrohttpd: the request line has come; headers, body or turn of a request; the end of one. */
void *request_on_line(void *gateway, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result request_on_turn(void *gateway, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_size, void **request);
void request_on_done(void *gateway, struct MHD_Connection *mhd, void **request, enum MHD_RequestTerminationCode code);

/* The client is gone: takes the request back from the bus and lets libmicrohttpd close the connection. */
void request_drop(HttpRequest *request);
/* Nobody on the bus works for it any more: frees it if libmicrohttpd has let go too. */
void request_release(HttpRequest *request);
/* libmicrohttpd looks at it again. */
void request_resume(HttpRequest *request);
/* It keeps so much more for the request, until request_let_go. */
void request_hold(HttpRequest *request, uint64_t bytes);
/* Forgets the body, and that anything is kept. */
void request_let_go(HttpRequest *request);
/* A header of the request, or NULL. Good while libmicrohttpd has the request. */
const char *request_header(const HttpRequest *request, const char *name);

/* --- responses: respond.c --- */

/* Each gives the request its answer, once; libmicrohttpd sends it when it next looks. With text, what it has is taken and it
   is empty afterwards. */
void respond_text(HttpRequest *request, unsigned status, const char *type, Buffer *text);
void respond_json(HttpRequest *request, unsigned status, Buffer *json);
void respond_fault(HttpRequest *request, const HttpFault *fault);
/* An error that the gateway itself finds; code may be NULL. */
void respond_error(HttpRequest *request, unsigned status, const char *code, const char *param, const char *format, ...)
    _printf_(5, 6);
/* json lies in block and is not copied. */
void respond_block(HttpRequest *request, Text json, Block *block);
/* The head of a stream whose body stream_read gives. */
void respond_stream(HttpRequest *request);
/* A header more, of an answer that was given and not sent. */
void respond_header(HttpRequest *request, const char *name, const char *value);

/* What a page of a browser may read of our answers, besides what every page may. */
#define EXPOSED_HEADERS                                                                                                \
  "x-request-id, x-pons-model, x-pons-provider, x-pons-executor, x-pons-cost-usd, x-pons-overhead-us, Retry-After, "   \
  "retry-after-ms, x-should-retry"

/* --- the work: answers.c, ask.c, stream.c --- */

/* What a route does with a whole request: it answers now, or asks the bus and answers later. */
#define ROUTE(kind, path, methods, public_, about) void answer_##kind(HttpRequest *request);
#include "agents/gateway/routes.def"
#undef ROUTE

/* Wraps the request's body into the contract of method and sends it. on_end gets the request as its userdata. */
void ask_send(HttpRequest *request, const MethodContract *method, bool stream, const AskHandler *handler);

/* A piece or the end of a stream has come. */
void stream_on_chunk(void *request, const AskChunk *chunk);
void stream_on_end(void *request, const Answer *answer);
/* Callback of libmicrohttpd: the next bytes of a stream. */
ssize_t stream_read(void *request, uint64_t position, char *buffer, size_t size);
/* Nothing has been sent for a while. */
void stream_keep_alive(HttpRequest *request);

/* Begins the end of a request on the bus. Returns false when nobody is there to be answered, and when it was answered with
   the error that it ended with: then it must not be touched any more. */
bool ask_take(HttpRequest *request, const Answer *answer);
/* Counts what a completion or embedding took; cost NULL = unknown. */
void ask_count(Gateway *gateway, Text model, const ChatUsage *usage, const uint64_t *cost_nano_usd);

/* --- questions whose answer is good for a while: fetch.c --- */

/* One method that many clients ask for: one request at a time, and its answer is kept. */
typedef struct Fetch {
  Gateway *gateway;
  const MethodContract *method;
  Bytes body; /* of the question */
  uint64_t keep_us;
  uint64_t at_us; /* of the answer that is kept */
  Block *block;   /* it, as msgpack; NULL = none */
  bool is_asking;
  RequestId id;
  List waiting; /* HttpRequest */
} Fetch;

/* Prepares; body is borrowed. */
void fetch_init(Fetch *fetch, Gateway *gateway, const char *service, const char *method, Bytes body, uint64_t keep_us);
/* Forgets the answer and those who wait. */
void fetch_done(Fetch *fetch);
/* Calls then(request) when there is an answer that is fresh, now or later; fetch->block has it then. When there is none,
   the request is answered with the error. */
void fetch_get(Fetch *fetch, HttpRequest *request, void (*then)(HttpRequest *request));

/* --- the whole --- */

struct Gateway {
  Runtime *runtime;
  Loop *loop;
  Client *client;
  Config *config;
  Keys keys;
  const char **models; /* names of the model table, borrowed from config */
  Metrics metrics;
  Listener listeners[LISTENERS_MAX];
  uint32_t listeners_count;
  List connections;
  uint32_t connections_count;
  uint32_t running;
  uint64_t held_bytes; /* by all requests */
  uint64_t started_us;
  bool is_draining;
  bool is_held; /* the runtime waits for our connections */
  Fetch registry;
  Fetch stats;
  Fetch table; /* of models */
  const MethodContract *chat;
  const MethodContract *embed;
  const MethodContract *explain;
};

#endif
