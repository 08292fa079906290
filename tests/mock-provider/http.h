/* What:      one HTTP/1.1 request read strictly out of a buffer that grows: head, Content-Length or chunked body.
 * Owns:      nothing: a request's texts lie in the buffer until it is changed.
 * May use:   bus/base.
 * Threading: one thread; pure.
 * Spec:      RFC 9110, RFC 9112 */
#ifndef PONS_TESTS_MOCK_HTTP_H
#define PONS_TESTS_MOCK_HTTP_H

#include "bus/base/buffer.h"
#include "bus/base/types.h"

enum { HTTP_HEAD_MAX = 64 << 10, HTTP_BODY_MAX = 16 << 20, HTTP_HEADERS_MAX = 64 };

typedef struct HttpHeader {
  Text name;
  Text value; /* without the blanks around it */
} HttpHeader;

/* One request. All zero before the first byte of it. */
typedef struct HttpRequest {
  Text method;
  Text path;  /* of the target, without the query */
  Text query; /* behind '?', or empty */
  HttpHeader headers[HTTP_HEADERS_MAX];
  unsigned header_count;
  bool keep_alive;
  bool old;     /* HTTP/1.0: knows no chunks */
  bool expects; /* waits for 100 Continue */
  bool chunked;
  Text body;
  /* How far the reader is. */
  size_t head_size;
  size_t scanned;      /* bytes in which the head's end was looked for */
  size_t content_size; /* Content-Length; or, chunked, what was decoded so far */
  size_t raw_size;     /* chunked: bytes of the body that were decoded */
  const uint8_t *base; /* where the buffer lay when the texts were set */
} HttpRequest;

/* What http_step says; from 400 on it is the status of the refusal. */
enum { HTTP_DONE = 0, HTTP_MORE = 1 };

/* Reads on in `in`, whose bytes from the request's first one on stay in place until it is done. Returns HTTP_DONE with all
   texts set and *ret_size bytes used; HTTP_MORE when bytes are missing (expects is right from the head's end on); or the
   status 400, 413, 417, 431, 501 or 505 with *ret_why set, and the connection can't go on. */
int http_step(HttpRequest *request, Buffer *in, size_t *ret_size, const char **ret_why);

/* The value of a header, its name in lower case and compared without case; empty when absent. */
Text http_header(const HttpRequest *request, const char *name);

/* Whether two texts are the same but for the case of ASCII letters. */
bool http_same(Text a, Text b);

/* The reason phrase of a status; "Status" for one that has none here. */
const char *http_reason(unsigned status);

#endif
