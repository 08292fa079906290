/* What:      the server's inside: server.c has the epoll and the timers, conn.c one connection's bytes, tell.c what is
 *            answered and when.
 * Owns:      the server owns its connections; a connection its socket, buffers and answer.
 * May use:   bus/base, dialect, stats.
 * Threading: one thread.
 * Spec:      README.md */
#ifndef PONS_TESTS_MOCK_SERVER_INTERNAL_H
#define PONS_TESTS_MOCK_SERVER_INTERNAL_H

#include "bus/base/heap.h"
#include "bus/base/list.h"
#include "tests/mock-provider/dialect.h"
#include "tests/mock-provider/server.h"
#include "tests/mock-provider/stats.h"

typedef struct Server {
  ServerOptions options;
  int epoll;
  int listener;
  int signals;
  bool deaf; /* out of descriptors: the listener isn't watched until a connection ends */
  bool stop;
  uint64_t now_us; /* of this turn */
  Heap timers;
  List conns;
  List ready; /* streams that have more to tell at once */
  Stats stats;
  Buffer scratch;
  char date[48]; /* header line, made once a second */
  uint64_t date_until_us;
} Server;

typedef enum State {
  STATE_READING, /* waits for a request, or for the rest of one */
  STATE_DELAYED, /* the head is due at a time */
  STATE_HEAD,    /* the head goes out line by line */
  STATE_PARTS,   /* a stream is told */
  STATE_STALLED, /* nothing more is ever said */
  STATE_CLOSING, /* ends when all is sent */
  STATE_DRAIN,   /* all is sent; what the peer still says is thrown away, so that it can read the answer */
} State;

typedef struct Conn {
  Server *server;
  List link;
  List ready;
  HeapEntry timer;
  int fd;
  uint32_t events;
  State state;
  Buffer in;
  Buffer out;
  size_t out_at; /* so much of out is sent */
  size_t gate;   /* and no more than this may be; SIZE_MAX but for slow heads */
  HttpRequest request;
  bool continued; /* 100 Continue was said */
  /* The answer under way. */
  const Dialect *dialect;
  Ask ask; /* http is set only while the request is looked at */
  Answer answer;
  bool keep_alive, old, bodyless, abrupt;
  uint32_t chunk; /* the next one */
  uint64_t due_us;
} Conn;

/* --- conn.c --- */

/* Takes over fd, which is registered. */
void conn_new(Server *server, int fd);
/* Closes and frees; counts a cancellation when an answer was under way. */
void conn_destroy(Conn *conn);
/* What epoll said. May destroy the connection. */
void conn_on_events(Conn *conn, uint32_t events);
/* Goes on with whatever can go on. May destroy the connection. */
void conn_work(Conn *conn);

/* --- tell.c --- */

/* Plans the answer to conn->request and begins it. */
void tell_begin(Conn *conn);
/* Answers bytes that are no request, and closes behind that. */
void tell_refusal(Conn *conn, unsigned status, const char *why);
/* The timer is due: the next state of DELAYED or HEAD. */
void tell_on_timer(Conn *conn);
/* Tells the next part of a stream. */
void tell_part(Conn *conn);

/* --- server.c --- */

/* The Date header line of this second. */
const char *server_date(Server *server);
/* A connection's events are these from now on. */
void server_watch(Conn *conn, uint32_t events);
/* A descriptor is free again. */
void server_hear(Server *server);

#endif
