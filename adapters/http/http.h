/* What:      HTTP requests to one provider: many at a time on few connections, bytes of the answers as they come.
 * Owns:      the connections, the transfers that have not ended.
 * May use:   base, loop; libcurl.
 * Threading: the loop thread. Names are resolved in the background by libcurl.
 * Spec:      RFC 9110, RFC 9112, RFC 9113; docs/adr/0019-http-transport.md */
#ifndef PONS_HTTP_HTTP_H
#define PONS_HTTP_HTTP_H

#include "bus/base/buffer.h"
#include "bus/loop/loop.h"

typedef struct Http Http;
typedef struct HttpTransfer HttpTransfer;

/* Why a transfer ended. */
typedef enum HttpError {
#define HTTP_ERROR(name, text, about) HTTP_##name,
#include "adapters/http/errors.def"
#undef HTTP_ERROR
  HTTP_END,
} HttpError;

/* A word for each, for programs: "headers_timeout". */
const char *http_error_name(HttpError error);
/* A sentence for each, without its full stop. */
const char *http_error_about(HttpError error);

/* Five limits, each with its own error: HTTP_CONNECT_SLOW, HTTP_NO_HEAD, HTTP_NO_FIRST, HTTP_IDLE, HTTP_TOTAL. */
typedef struct HttpLimits {
  uint32_t connect_ms; /* to be connected, name and TLS included */
  uint32_t headers_ms; /* from http_start to the headers of the answer; a wait for a connection counts */
  uint32_t first_ms;   /* from http_start to http_progress */
  uint32_t idle_ms;    /* of silence after http_progress, but for that of a transfer that is paused */
  uint32_t total_ms;   /* from http_start to the end */
} HttpLimits;

enum { HTTP_HEADERS_MAX = 32 };

typedef struct HttpRequest {
  const char *url;
  const char *const
      *headers; /* "Name: value", NULL at the end; at most HTTP_HEADERS_MAX, borrowed until the transfer ends */
  Bytes body;   /* POSTed; borrowed until the transfer ends. Empty: GET, unless posts */
  bool posts;   /* without a body too */
  bool pauses;  /* http_pause will be used: a connection of its own, over HTTP/1.1 */
  HttpLimits limits;
} HttpRequest;

/* What the headers say, as printable ASCII; borrowed during the callback. */
typedef struct HttpHead {
  unsigned status;
  Text content_type;
  Text retry_after; /* as it came: seconds or a date */
  Text retry_after_ms;
  Text request_id; /* the server's own name for it: request-id, x-request-id or x-amzn-requestid */
  Text error_type; /* x-amzn-errortype */
  Text location;   /* where a redirect points to: host and path alone */
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

/* All borrowed until http_destroy. */
typedef struct HttpOptions {
  uint32_t connections; /* at most; further transfers wait for one */
  const char *ca_file;  /* certificates that are trusted instead of the system's; NULL: the system's */
  const char *proxy;    /* NULL: what http_proxy, https_proxy and no_proxy say, and none to this machine itself */
} HttpOptions;

/* Returns 0 and the caller owns *ret, or negative errno. */
int http_new(Loop *loop, const HttpOptions *options, Http **ret);
/* Cancels what has not ended. Takes NULL, nulls the pointer. Usable as _cleanup_. */
void http_destroy(Http **http);

/* Begins a transfer. Returns 0 and *ret is good until on_end or http_cancel; -E2BIG for more headers than HTTP_HEADERS_MAX,
   -ENOMEM. */
int http_start(Http *http, const HttpRequest *request, const HttpHandler *handler, HttpTransfer **ret);
/* Closes it at once: over HTTP/1 the connection, over HTTP/2 the stream. May be called from its own callbacks. Nulls the
   pointer; takes NULL. */
void http_cancel(HttpTransfer **transfer);
/* Stops taking bytes of the answer, and goes on; for a request that said so. While it is paused no silence is counted. */
void http_pause(HttpTransfer *transfer, bool paused);
/* The first of the answer has been understood: first_ms is kept, and idle_ms begins. Bytes alone are no beginning: a server
   may send comments for as long as it likes. */
void http_progress(HttpTransfer *transfer);

#endif
