/* What:      what a provider's dialect can do: OpenAI's request in, the provider's out; its answer in, OpenAI's out.
 * Owns:      nothing; a DialectStream owns its buffers.
 * May use:   base, json, contracts.
 * Threading: any; pure: no socket, no clock, no key.
 * Spec:      docs/providers.md; adapters/table.c has the list */
#ifndef PONS_DIALECT_DIALECT_H
#define PONS_DIALECT_DIALECT_H

#include "agents/contracts/cause.h"
#include "agents/contracts/contracts.h"
#include "bus/json/json.h"

enum {
  DIALECT_E_FAULT = 1, /* the provider's words are a failure: the fault says which */
};

/* What goes to the provider. */
typedef struct DialectRequest {
  const char *path; /* behind base_url */
  Buffer body;
  bool hides_usage; /* the usage of a stream was asked for by us and not by the client: its chunk is not passed on */
} DialectRequest;

/* What is known of an answer that is no success. */
typedef struct DialectHead {
  unsigned status;
  Text retry_after; /* as it came */
  Text retry_after_ms;
  uint64_t now_s; /* seconds since 1970, for a date in retry_after */
} DialectHead;

/* A stream of events becoming one of OpenAI's chunks. All zero, but for hides_usage, is its beginning. */
typedef struct DialectStream {
  bool hides_usage;
  bool done;     /* the end mark has come */
  bool finished; /* a choice has said why it ends */
  ChatUsage usage;
  Buffer events; /* whole events for the caller, to be taken and cleared */
} DialectStream;

/* A fault whose texts lie in a buffer of its own. */
typedef struct DialectFault {
  Fault fault;
  Buffer texts;
} DialectFault;

typedef struct Dialect {
  const char *name; /* as pons.yaml has it */
  /* The header that carries the key: "Authorization: Bearer ". */
  const char *key_header;
  /* Makes the request for the model called upstream; request has passed json_check and is an object. */
  void (*encode_chat)(Json request, Text upstream, DialectRequest *ret);
  void (*encode_embed)(Json request, Text upstream, DialectRequest *ret);
  /* A whole answer with status 200: appends OpenAI's object to *ret_response and fills *ret_usage. Returns 0, or
     DIALECT_E_FAULT with *ret_fault filled. */
  int (*decode_chat)(Text body, Buffer *ret_response, ChatUsage *ret_usage, DialectFault *ret_fault);
  int (*decode_embed)(Text body, Buffer *ret_response, ChatUsage *ret_usage, DialectFault *ret_fault);
  /* One event of a stream: appends to stream->events what the caller gets. Returns 0 or DIALECT_E_FAULT. */
  int (*stream_event)(DialectStream *stream, Text type, Text data, DialectFault *ret_fault);
  /* Whether a stream that has ended here was whole. */
  bool (*stream_is_whole)(const DialectStream *stream);
  /* An answer with another status than 200. */
  void (*decode_error)(const DialectHead *head, Text body, DialectFault *ret_fault);
} Dialect;

/* Frees the buffers. Usable as _cleanup_. */
void dialect_request_done(DialectRequest *request);
void dialect_stream_done(DialectStream *stream);
void dialect_fault_done(DialectFault *fault);
/* Fills a fault with copies of its texts; what was in it before is gone. */
void dialect_fault_set(DialectFault *ret, const Fault *fault);

#endif
