/* What:      one request at an HTTP API for a caller on the bus: request out, answer and stream back to the caller.
 * Owns:      a relay owns its transfer and buffers; it ends itself.
 * May use:   base, json, loop, agent, contracts, footprint, executor, http, dialect.
 * Threading: the loop thread.
 * Spec:      docs/adr/0019-http-transport.md; docs/adr/0018-executors.md */
#ifndef PONS_RELAY_RELAY_H
#define PONS_RELAY_RELAY_H

#include "adapters/dialect/dialect.h"
#include "adapters/http/http.h"
#include "agents/executor/executor.h"

/* Work whose answer comes as a stream. */
typedef struct RelayStream {
  const Framing *framing;
  /* One event of it: appends to stream->events what the caller gets. Returns 0 or DIALECT_E_FAULT. */
  int (*event)(void *userdata, DialectStream *stream, Text type, Text data, DialectFault *ret_fault);
  /* Whether a stream that has ended here was whole. */
  bool (*is_whole)(const DialectStream *stream);
  /* Gives the caller a piece. Returns what call_chunk does. */
  int (*pass)(Call *call, Text piece);
  bool is_binary; /* a piece may end anywhere */
  bool any_type;  /* an answer is the stream whatever its Content-Type says, but for application/json */
} RelayStream;

/* Other work than a completion or embeddings. */
typedef struct RelayWork {
  /* Makes the request. Returns 0, or DIALECT_E_FAULT with *ret_fault filled. */
  int (*encode)(void *userdata, DialectRequest *ret, DialectFault *ret_fault);
  /* Takes a whole answer that is a success, which lives until on_end has returned. Returns 0 or DIALECT_E_FAULT. */
  int (*decode)(void *userdata, const DialectAsked *asked, Text body, ChatUsage *ret_usage, DialectFault *ret_fault);
  void *userdata;
  const RelayStream *stream; /* NULL: its answer comes whole. A whole answer goes to decode in either case */
} RelayWork;

/* Whom to ask, and what. request and key are borrowed during relay_start; everything else until the relay's end. A stream that
   breaks has its usage estimated, by what came of it and by asked. */
typedef struct RelayRequest {
  Http *http;
  const Dialect *dialect;
  const char *name; /* of the API, as a sentence about it begins: "openai", "the server at http://…" */
  const DialectSettings *settings;
  DialectKey key; /* all NULL = none */
  HttpLimits limits;
  const RelayWork *work; /* NULL: request, is_embedding and wants_stream say what */
  Json request;          /* an object that has passed json_check */
  Text asked;            /* the same as the caller sent it */
  Text upstream;
  bool is_embedding;
  bool wants_stream;   /* what the API is asked for */
  bool trusts_streams; /* an answer that was asked for as a stream is one, whatever its Content-Type says */
} RelayRequest;

typedef enum RelayOutcome { RELAY_DONE, RELAY_FAILED, RELAY_UNWANTED } RelayOutcome;

/* How it ended. Borrowed during the callback. */
typedef struct RelayEnd {
  RelayOutcome outcome;
  const Fault *fault; /* of RELAY_FAILED */
  ExecutorEnd work;   /* without provider */
} RelayEnd;

typedef void OnRelayEnd(void *userdata, const RelayEnd *end);

/* Asks for call, which its caller keeps. Until the end call_on_cancel and call_on_writable are the relay's. Pieces go straight
   to the call; while it is behind, the connection is not read. on_end comes once, maybe from inside; the call is not answered
   then, and another relay may be started for it from there. */
void relay_start(const RelayRequest *request, Call *call, OnRelayEnd *on_end, void *userdata);

#endif
