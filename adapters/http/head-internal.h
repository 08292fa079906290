/* What:      what is kept of the headers of an answer.
 * Owns:      nothing.
 * May use:   http.
 * Threading: any; pure.
 * Spec:      RFC 9110, 5.6, 10.2.2; docs/adr/0019-http-transport.md */
#ifndef PONS_HTTP_HEAD_INTERNAL_H
#define PONS_HTTP_HEAD_INTERNAL_H

#include "adapters/http/http.h"

enum { HEAD_VALUE_BYTES = 128 };

typedef enum HeadValue {
  HEAD_CONTENT_TYPE,
  HEAD_RETRY_AFTER,
  HEAD_RETRY_AFTER_MS,
  HEAD_REQUEST_ID,
  HEAD_ERROR_TYPE,
  HEAD_LOCATION,
  HEAD_VALUES
} HeadValue;

/* All zero is an answer without headers. Values are printable ASCII, each with a zero. */
typedef struct Head {
  char values[HEAD_VALUES][HEAD_VALUE_BYTES];
} Head;

/* Keeps the value of a line of the head, its end included, if it is one that is wanted. */
void head_take(Head *head, Text line);
/* The whole, which borrows from head. */
HttpHead head_tell(const Head *head, unsigned status);

#endif
