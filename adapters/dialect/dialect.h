/* What:      what a provider's dialect can do: OpenAI's request in, the provider's out; its answer in, OpenAI's out.
 * Owns:      nothing; a DialectRequest and a DialectStream own their buffers.
 * May use:   base, json, contracts, framing, ask.
 * Threading: any; pure: no socket, no clock, no configuration.
 * Spec:      docs/adr/0029-dialects.md, docs/providers.md; adapters/table.c has the list */
#ifndef PONS_DIALECT_DIALECT_H
#define PONS_DIALECT_DIALECT_H

#include "adapters/dialect/ask.h"
#include "adapters/dialect/fault.h"
#include "adapters/dialect/framing.h"
#include "agents/contracts/contracts.h"

/* What pons.yaml says of a provider, as far as a dialect has to know it. Borrowed for as long as requests run. */
typedef struct DialectSettings {
  const char *base_url;    /* without a / at its end */
  const char *region;      /* NULL: none */
  const char *api_version; /* azure: of the dated API; NULL: the API v1 */
  /* custom; of those that are NULL what OpenAI has. {model} in a path and {key} in a header are replaced. */
  const char *chat_path;
  const char *embed_path;
  const char *models_path;
  const char *key_header;
  const char *const *headers; /* further ones: "Name: value" */
  uint32_t headers_count;
  bool without_usage; /* the usage of a stream is not asked for, since the server would refuse the whole request */
} DialectSettings;

/* What an answer has to know of its request. */
typedef struct DialectAsked {
  const DialectSettings *settings;
  Text model;       /* its name at the provider */
  uint64_t now_s;   /* when it was asked, seconds since 1970 */
  uint64_t number;  /* another for each request: for an answer to which the provider gives no id */
  bool streams;     /* a stream is asked for */
  bool hides_usage; /* the client has not asked for the usage of a stream: its chunk is not passed on */
  uint32_t marks;   /* the dialect's own */
} DialectAsked;

/* What goes to the provider. Whoever has it made fills asked.settings, .model, .now_s and .number; the rest is zero. */
typedef struct DialectRequest {
  DialectAsked asked;
  Buffer path;    /* behind base_url, with its query; never with a key, since paths get into logs */
  Buffer headers; /* further ones: "Name: value", each with a zero behind it */
  Buffer body;
  char content_type[96]; /* of body; empty: application/json */
  const char *method;    /* a constant; NULL: POST, and GET without a body */
  Buffer base_url;       /* with a zero at its end; empty: that of the settings */
} DialectRequest;

/* What a dialect has worked out of a secret and need not work out again: all zero for a new one, as secret as that itself. */
typedef struct DialectMemo {
  uint8_t bytes[192];
} DialectMemo;

/* By what a provider knows us. Borrowed. */
typedef struct DialectKey {
  const char *secret; /* all that its file holds; NULL: there is none */
  DialectMemo *memo;  /* NULL: nothing is kept */
} DialectKey;

/* A request about to be sent, for who signs it. */
typedef struct DialectSend {
  const DialectSettings *settings;
  const char *method;
  Text host; /* as the header Host has it, with a port that is not the usual one */
  Text path; /* as it stands in the request, with its query */
  Bytes body;
  uint64_t now_s; /* seconds since 1970, by the clock of the world */
} DialectSend;

/* What is known of an answer that is no success. */
typedef struct DialectHead {
  unsigned status;
  Text retry_after; /* as it came */
  Text retry_after_ms;
  Text error_type; /* x-amzn-errortype */
  Text location;   /* of a redirect: host and path */
  uint64_t now_s;  /* seconds since 1970, for a date in retry_after */
} DialectHead;

typedef struct Dialect Dialect;

/* A list of models as it is read, page by page. All zero at the beginning. */
typedef struct DialectModels {
  Buffer names; /* each with a zero */
  Buffer next;  /* where the next page begins, in the provider's words; empty: there is none */
} DialectModels;

typedef enum DialectTuning { TUNING_CREATE, TUNING_STATUS, TUNING_EVENTS, TUNING_CANCEL } DialectTuning;

/* What a job of fine-tuning is asked. Borrowed. */
typedef struct DialectTune {
  DialectTuning what;
  Text job;                      /* all but CREATE */
  const FineTuneAsk *create;     /* CREATE */
  const FineTuneEventsAsk *page; /* EVENTS */
} DialectTune;

/* What it answered. All zero is nothing; texts borrow from the Buffer. */
typedef struct DialectTuned {
  Buffer texts;
  FineTuneJob job;       /* all but EVENTS */
  FineTuneEvent *events; /* EVENTS */
  size_t events_count;
  bool has_more;
} DialectTuned;

/* What came of work that is no completion. All zero is nothing; texts borrow from the Buffer, audio from the answer. */
typedef struct DialectMade {
  Buffer texts;
  Text text;
  Text language; /* empty: not said */
  bool has_duration;
  double duration_s;
  TranscribeSegment *segments;
  size_t segments_count;
  Bytes audio;
} DialectMade;

/* A stream of events becoming OpenAI's chunks. */
typedef struct DialectStream {
  DialectAsked asked;
  bool done;      /* the end mark has come */
  bool finished;  /* each choice that has begun has said why it ends */
  uint64_t begun; /* choices, a bit for each of the first 64: of dialects that have several */
  uint64_t ended;
  ChatUsage usage;
  Buffer events;       /* whole events for the caller, to be taken and cleared */
  uint64_t said_bytes; /* of words, thoughts and arguments so far: what is known of the usage of a stream that breaks */
  void *own;           /* of dialect->stream_bytes, all zero at first */
  const Dialect *dialect;
} DialectStream;

struct Dialect {
  const char *name;       /* as pons.yaml has it */
  const char *about;      /* "OpenAI's API": begins a sentence about what it can't do */
  const char *key_header; /* the header that carries the key: "Authorization: Bearer "; not used with authorize */
  const Framing *framing; /* of its streams */
  const AskTable *table;  /* what becomes of each member of a request; NULL: all of it passes through */
  size_t stream_bytes;    /* of DialectStream.own */
  void (*stream_done)(void *own); /* frees what own holds, not own; NULL: nothing */

  /* Makes the request; request has passed json_check and is an object. Returns 0, or DIALECT_E_FAULT with *ret_fault
     filled: CAUSE_CALLER for what this provider can't do. encode_embed NULL: it has no embeddings. */
  int (*encode_chat)(Json request, DialectRequest *ret, DialectFault *ret_fault);
  int (*encode_embed)(Json request, DialectRequest *ret, DialectFault *ret_fault);
  /* Appends the headers that prove who asks. NULL: key_header and the key's secret. Returns 0, or DIALECT_E_FAULT. */
  int (*authorize)(const DialectKey *key, const DialectSend *send, Buffer *ret_headers, DialectFault *ret_fault);
  /* A whole answer that is a success: appends OpenAI's object to *ret_response and fills *ret_usage. Returns 0, or
     DIALECT_E_FAULT with *ret_fault filled. */
  int (*decode_chat)(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                     DialectFault *ret_fault);
  int (*decode_embed)(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                      DialectFault *ret_fault);
  /* One event of a stream: appends to stream->events what the caller gets, nothing or several chunks. Returns 0 or
     DIALECT_E_FAULT. */
  int (*stream_event)(DialectStream *stream, Text type, Text data, DialectFault *ret_fault);
  /* Whether a stream that has ended here was whole. */
  bool (*stream_is_whole)(const DialectStream *stream);
  /* An answer that is no success. */
  void (*decode_error)(const DialectHead *head, Text body, DialectFault *ret_fault);
  /* Which models there are. encode_models asks for the page that models->next says, the first when it is empty;
     decode_models appends to models->names and sets models->next. NULL: it can't be asked. Return 0 or DIALECT_E_FAULT. */
  int (*encode_models)(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault);
  int (*decode_models)(Text body, DialectModels *ret, DialectFault *ret_fault);
  /* Speech to text and text to speech; NULL: it has none. Return as encode_chat and decode_chat. */
  int (*encode_transcribe)(const TranscribeAsk *ask, DialectRequest *ret, DialectFault *ret_fault);
  int (*decode_transcribe)(Text body, DialectMade *ret, ChatUsage *ret_usage, DialectFault *ret_fault);
  int (*encode_speak)(const SpeakAsk *ask, DialectRequest *ret, DialectFault *ret_fault);
  /* One event of a transcription that comes as a stream: appends the new words to stream->events. */
  int (*transcribe_event)(DialectStream *stream, Text type, Text data, DialectFault *ret_fault);
  /* Fine-tuning; NULL: it has none. Return as encode_chat and decode_chat. */
  int (*encode_tune)(const DialectTune *tune, DialectRequest *ret, DialectFault *ret_fault);
  int (*decode_tune)(DialectTuning what, Text body, DialectTuned *ret, DialectFault *ret_fault);
};

/* Reads a chat request as ask_read does, and notes in ret->asked whether a stream and its usage are asked for. */
int dialect_read_chat(Json request, const AskTable *table, const char *about, DialectRequest *ret, AskChat *ret_ask,
                      DialectFault *ret_fault);
/* Makes message, what the provider said of an answer that is no success, say what to do where it leaves that out: about a redirect,
   which is never followed, and where it said nothing. */
void dialect_explain(const DialectHead *head, Buffer *message);
/* The number under name of object, at most UINT32_MAX. Returns false, and leaves *ret alone, when there is none. */
bool dialect_read_count(Json object, const char *name, uint64_t *ret);
/* Appends text as one segment of a path: percent-encoded, but for unreserved characters (RFC 3986, 2.3). */
void dialect_put_segment(Buffer *path, Text text);
/* Appends the strings under member of the objects of list, each without prefix and with a zero behind it: names for
   decode_models. A fault when list is none. */
int dialect_read_names(Json list, const char *member, const char *prefix, Buffer *ret_names, DialectFault *ret_fault);
/* Appends "name: value" and its zero to a list of headers. */
void dialect_put_header(Buffer *headers, const char *name, Text value);
/* Appends the headers that prove who asks; nothing when there is no key. Returns 0, or DIALECT_E_FAULT. */
int dialect_authorize(const Dialect *dialect, const DialectKey *key, const DialectSend *send, Buffer *ret_headers,
                      DialectFault *ret_fault);

/* Begins the stream that answers what was asked. */
void dialect_stream_begin(const Dialect *dialect, const DialectAsked *asked, DialectStream *ret);

/* Frees what was made. Usable as _cleanup_. */
void dialect_made_done(DialectMade *made);
void dialect_models_done(DialectModels *models);
void dialect_tuned_done(DialectTuned *tuned);
/* Frees the buffers, and overwrites the headers of a request, which may hold a key. Usable as _cleanup_. */
void dialect_request_done(DialectRequest *request);
void dialect_stream_done(DialectStream *stream);

#endif
