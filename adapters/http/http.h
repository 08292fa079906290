/* What:      HTTP requests to one provider: many at a time on few connections, bytes of the answers as they come.
 * Owns:      the connections, the transfers that have not ended.
 * May use:   base, loop; libcurl.
 * Threading: the loop thread. Names are resolved in the background by libcurl.
 * Spec:      RFC 9110, RFC 9112; docs/adr/0019-http-transport.md */
#ifndef PONS_HTTP_HTTP_H
#define PONS_HTTP_HTTP_H

#include "bus/base/buffer.h"
#include "bus/loop/loop.h"

typedef struct Http Http;
typedef struct HttpTransfer HttpTransfer;

/* Why a transfer ended. */
typedef enum HttpError {
  HTTP_OK,        /* the whole answer has come, whatever its status */
  HTTP_RESOLVE,   /* the host's name can't be resolved */
  HTTP_CONNECT,   /* refused, unreachable, or the connection took longer than connect_ms */
  HTTP_TLS,       /* the certificate is not valid, or there is no TLS */
  HTTP_NO_ANSWER, /* nothing came within first_ms */
  HTTP_IDLE,      /* silence of idle_ms in mid-answer */
  HTTP_TOTAL,     /* longer than total_ms in all */
  HTTP_CUT,       /* the connection broke before the end */
  HTTP_PROTOCOL,  /* what came is no HTTP */
  HTTP_END,
} HttpError;

/* A sentence for each, without its full stop. */
const char *http_error_about(HttpError error);

typedef struct HttpRequest {
  const char *url;
  const char *const *headers; /* "Name: value", NULL at the end; copied */
  Bytes body;                 /* POSTed; borrowed until the transfer ends. Empty: GET */
  uint32_t connect_ms;
  uint32_t first_ms;
  uint32_t idle_ms;
  uint32_t total_ms;
} HttpRequest;

/* What the headers say; borrowed during the callback. */
typedef struct HttpHead {
  unsigned status;
  Text content_type;
  Text retry_after; /* as it came: seconds or a date */
  Text retry_after_ms;
  Text request_id; /* the server's own name for it: request-id, x-request-id or x-amzn-requestid */
  Text error_type; /* x-amzn-errortype */
} HttpHead;

/* Called from the loop, never from inside http_start. on_end comes exactly once, unless the transfer is cancelled: then
   nothing comes any more. */
typedef struct HttpHandler {
  void (*on_head)(void *userdata, const HttpHead *head);
  void (*on_body)(void *userdata, Bytes bytes);
  void (*on_end)(void *userdata, HttpError error,
                 const char *detail); /* detail: libcurl's own words, without secrets */
  void *userdata;
} HttpHandler;

/* At most so many connections; further transfers wait for one. Returns 0 and the caller owns *ret, or negative errno. */
int http_new(Loop *loop, uint32_t connections, Http **ret);
/* Cancels what has not ended. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void http_destroy(Http **http);

/* Begins a transfer. Returns 0 and *ret is good until on_end or http_cancel; -ENOMEM. */
int http_start(Http *http, const HttpRequest *request, const HttpHandler *handler, HttpTransfer **ret);
/* Closes it at once: over HTTP/1 the connection, over HTTP/2 the stream. May be called from its own callbacks. Nulls the
   pointer; takes NULL. */
void http_cancel(HttpTransfer **transfer);
/* Stops taking bytes of the answer, and goes on. While it is paused no silence is counted. */
void http_pause(HttpTransfer *transfer, bool paused);
/* Transfers that have not ended. */
uint32_t http_running(const Http *http);

#endif
