/* What:      errors as an HTTP client of OpenAI's API gets them, and which one the end of a bus request is.
 * Owns:      nothing: an HttpFault borrows its texts.
 * May use:   base, wire, json, client.h for Answer.
 * Threading: any; pure.
 * Spec:      docs/gateway.md, "Errors"; RFC 9110 section 10.2.3 (Retry-After) */
#ifndef PONS_GATEWAY_FAULT_H
#define PONS_GATEWAY_FAULT_H

#include "bus/client/client.h"

/* One error. Texts may be empty. */
typedef struct HttpFault {
  unsigned http_status;
  Text message;            /* one sentence for a person */
  Text param;              /* the member of the request that is wrong */
  Text code;               /* for a program */
  uint64_t retry_after_us; /* 0 = not said */
  bool is_final;           /* asking again could do the work twice, or can't help: clients are told not to */
  char code_text[48];      /* what code may point to */
} HttpFault;

/* The class of an HTTP status as OpenAI names it: "invalid_request_error" and so on. */
const char *fault_type(unsigned http_status);
/* What the end of a request is for an HTTP client; answer->status is not STATUS_OK. *ret borrows from answer, and code
   may point into *ret. */
void fault_of_answer(const Answer *answer, HttpFault *ret);
/* Appends {"error":{"message","type","param","code"}}; an empty param or code is null. One line, without its end. */
void fault_json(const HttpFault *fault, Buffer *ret);
/* Retry-After and retry-after-ms: both rounded up, so that nobody comes too early; a day at most. */
uint64_t fault_retry_seconds(uint64_t retry_after_us);
uint64_t fault_retry_ms(uint64_t retry_after_us);

#endif
