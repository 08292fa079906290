/* What:      what the gateway must know of a request before it hands it on: its body and its headers, checked.
 * Owns:      nothing: results borrow from the body.
 * May use:   base, wire, json.
 * Threading: any; pure.
 * Spec:      docs/gateway.md, "Requests"; W3C Trace Context, section 3.2 (traceparent) */
#ifndef PONS_GATEWAY_ASKED_H
#define PONS_GATEWAY_ASKED_H

#include "bus/client/client.h"
#include "bus/json/json.h"

enum {
  ASKED_E_JSON = 1, /* the body is no JSON */
  ASKED_E_SHAPE,    /* it is JSON, but not what the route takes */
  ASKED_E_HEADER,   /* a header says what can't be */
};

/* What is wrong, for a person and for a program. */
typedef struct AskedFault {
  const char *param; /* the member or header, or NULL */
  const char *code;  /* "invalid_json" and so on */
  char message[256];
} AskedFault;

/* Checks the body of a chat completion: an object with a list of messages, whose model is a string, stream a boolean and
   stream_options an object, where they are there. Returns 0 and whether it asks for a stream; or ASKED_E_JSON, ASKED_E_SHAPE with
   *fault filled and *ret_stream left alone. The body is gone through once. */
int asked_chat(Text body, bool *ret_stream, AskedFault *fault);
/* The same for embeddings: an object whose input is a string or a list. */
int asked_embeddings(Text body, AskedFault *fault);

/* Reads x-pons-deadline-ms (NULL = absent): *ret_us is then at most longest_us, and without it longest_us. Returns 0 or
   ASKED_E_HEADER with *fault filled and *ret_us left alone. */
int asked_deadline(const char *header, uint64_t longest_us, uint64_t *ret_us, AskedFault *fault);
/* Reads x-pons-priority: interactive (also when absent), normal or batch. Returns 0 or ASKED_E_HEADER. */
int asked_priority(const char *header, AskPriority *ret, AskedFault *fault);
/* Reads traceparent. Returns false for NULL, and for what is none: a trace that is wrong is as good as no trace. */
bool asked_trace(const char *header, Trace *ret);

#endif
