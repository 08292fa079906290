/* What:      an HTTP/1.1 answer read piece by piece: where it ends, and how many events of a stream were in it.
 * Owns:      nothing.
 * May use:   the C library.
 * Threading: one thread.
 * Spec:      RFC 9112; docs/benchmarks.md, "`gateway`" */
#ifndef PONS_TESTS_BENCH_HTTP_REPLY_H
#define PONS_TESTS_BENCH_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_REPLY_HEAD_MAX 8192u
#define HTTP_REPLY_START 400u

/* All zero before the first byte. */
typedef struct HttpReply {
  int state;
  unsigned status;
  bool close;      /* the peer closes behind it */
  bool last_event; /* "data: [DONE]" was there */
  uint32_t events; /* lines that begin with "data: ", the last event not counted */
  uint64_t body_bytes;
  char start[HTTP_REPLY_START + 1]; /* of the body, to show what went wrong */
  uint64_t left;                    /* of a body or chunk */
  unsigned matched;                 /* of a line, against "data: [DONE]" */
  uint32_t head_size;               /* also counts a size line or trailer */
  char head[HTTP_REPLY_HEAD_MAX];
} HttpReply;

/* Takes in bytes; size 0 is the end of the connection. Returns 1 when the answer is whole, 0 when more is to come, -1 when this is
   no answer. Bytes behind a whole answer are an error, since nobody asked for them. */
int http_reply_feed(HttpReply *reply, const char *data, size_t size);

/* Ready for the next answer. */
void http_reply_clear(HttpReply *reply);

#endif
