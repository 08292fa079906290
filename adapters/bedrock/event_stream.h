/* What:      messages of AWS's event stream out of bytes that come in any pieces.
 * Owns:      the message that is not whole yet.
 * May use:   base.
 * Threading: one thread; pure.
 * Spec:      Smithy 2.0, "Amazon Event Stream Specification" (application/vnd.amazon.eventstream) */
#ifndef PONS_BEDROCK_EVENT_STREAM_H
#define PONS_BEDROCK_EVENT_STREAM_H

#include "bus/base/buffer.h"

enum {
  EVENT_STREAM_MESSAGE_MAX_BYTES = 1 << 20,   /* ours; AWS allows 24 MiB, and sends some hundred bytes */
  EVENT_STREAM_HEADERS_MAX_BYTES = 128 << 10, /* AWS's */
};

/* After any of them the stream can't be read on. */
enum {
  EVENT_STREAM_E_SIZE = 1, /* lengths that contradict each other, or a message of over EVENT_STREAM_MESSAGE_MAX_BYTES */
  EVENT_STREAM_E_CHECKSUM, /* of the prelude or of the whole message: not what was sent */
  EVENT_STREAM_E_HEADERS,  /* headers that are none */
};

/* All zero is the beginning of a stream. */
typedef struct EventStream {
  Buffer message; /* what came of it */
} EventStream;

/* A message that is whole. */
typedef struct EventMessage {
  Bytes headers; /* well-formed; event_header_next walks them */
  Bytes payload;
} EventMessage;

/* Borrowed during the callback. */
typedef void OnEventMessage(void *userdata, const EventMessage *message);

/* Takes the next bytes and calls on_message for each message that is whole. Returns 0 or EVENT_STREAM_E_*. */
int event_stream_feed(EventStream *stream, Bytes bytes, OnEventMessage *on_message, void *userdata);
/* Frees; the next event_stream_feed begins a new stream. Usable as _cleanup_. */
void event_stream_done(EventStream *stream);
/* Whether the bytes so far end with a message. */
static inline bool event_stream_is_between(const EventStream *stream) {
  return stream->message.size == 0;
}

/* The numbers are those on the wire. */
typedef enum EventHeaderType {
  EVENT_HEADER_TRUE,
  EVENT_HEADER_FALSE,
  EVENT_HEADER_BYTE,
  EVENT_HEADER_SHORT,
  EVENT_HEADER_INT,
  EVENT_HEADER_LONG,
  EVENT_HEADER_BYTES,
  EVENT_HEADER_STRING,
  EVENT_HEADER_TIMESTAMP, /* milliseconds since 1970 */
  EVENT_HEADER_UUID,
} EventHeaderType;

typedef struct EventHeader {
  Text name;
  EventHeaderType type;
  int64_t number; /* of BYTE to LONG and TIMESTAMP */
  Bytes value;    /* of BYTES, STRING and UUID; else the number's own bytes */
} EventHeader;

/* Takes the next header off. Returns false at the end, and before what is no header: then *headers is not empty. */
bool event_header_next(Bytes *headers, EventHeader *ret);
/* The string under name; none when there is no such header or it is no string. */
Text event_header_string(Bytes headers, const char *name);

#endif
