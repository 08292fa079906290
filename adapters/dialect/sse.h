/* What:      server-sent events out of bytes that come in any pieces.
 * Owns:      the line and the event that are not whole yet.
 * May use:   base.
 * Threading: one thread; pure.
 * Spec:      WHATWG HTML, 9.2.6 "Interpreting an event stream" */
#ifndef PONS_DIALECT_SSE_H
#define PONS_DIALECT_SSE_H

#include "bus/base/buffer.h"

enum { SSE_EVENT_MAX_BYTES = 1 << 20 };

enum {
  SSE_E_TOO_LARGE = 1, /* an event of over SSE_EVENT_MAX_BYTES; the stream can't be read on */
};

/* All zero is the beginning of a stream. */
typedef struct Sse {
  Buffer line;  /* what came of it */
  Buffer event; /* the field "event", or empty */
  Buffer data;  /* the fields "data", each with a newline behind */
  bool begun;   /* the byte order mark can't come any more */
  bool was_cr;  /* a newline that follows belongs to it */
  bool has_data;
} Sse;

/* type is empty for the usual "message"; data is without its last newline. Borrowed during the callback. */
typedef void OnSse(void *userdata, Text type, Text data);

/* Takes the next bytes and calls on_event for each event that is whole. Fields other than event and data, comments and events
   without data are passed over. Returns 0 or SSE_E_TOO_LARGE. */
int sse_feed(Sse *sse, Bytes bytes, OnSse *on_event, void *userdata);
/* Frees; the next sse_feed begins a new stream. Usable as _cleanup_. */
void sse_done(Sse *sse);

#endif
