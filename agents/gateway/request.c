/* The life of a request: the request line, its headers, its body, the answer, the end. libmicrohttpd calls request_on_turn
   for each of the middle ones, and again whenever it looks at the request after it was resumed. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "agents/gateway/gateway-internal.h"

enum {
  DISCARD_MAX_BYTES = 65536, /* of a request that is refused: its body is read to keep the connection */
  BODY_FIRST_BYTES = 65536,  /* reserved for a body at once; more only as it comes */
};

#define PREFLIGHT_KEEP_S "600"

const char *request_header(const HttpRequest *request, const char *name) {
  return MHD_lookup_connection_value(request->connection->mhd, MHD_HEADER_KIND, name);
}

void *request_on_line(void *gateway, const char *uri, struct MHD_Connection *mhd) {
  const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
  HttpConnection *connection = info->socket_context;
  HttpRequest *request;

  (void)uri;
  if (!connection)
    return NULL; /* there was no memory or descriptor for it */
  request = calloc(1, sizeof *request);
  if (!request)
    abort();
  request->gateway = gateway;
  request->connection = connection;
  request->kind = ROUTE_NONE;
  request->began_us = loop_now_us(request->gateway->loop);
  connection->request = request;
  connection_expect(connection, HEADERS_MAX_MS);
  return request;
}

void request_hold(HttpRequest *request, uint64_t bytes) {
  request->held_bytes += bytes;
  request->gateway->held_bytes += bytes;
  metrics_add(&request->gateway->metrics, METRIC_HELD, 0, 0, (int64_t)bytes);
}

void request_let_go(HttpRequest *request) {
  metrics_add(&request->gateway->metrics, METRIC_HELD, 0, 0, -(int64_t)request->held_bytes);
  request->gateway->held_bytes -= request->held_bytes;
  request->held_bytes = 0;
  buffer_done(&request->body);
}

/* --- the end --- */

void request_release(HttpRequest *request) {
  if (request->connection || request->is_asking)
    return;
  buffer_done(&request->out);
  pieces_done(&request->pieces);
  free(request);
}

void request_resume(HttpRequest *request) {
  if (!request->is_suspended)
    return;
  request->is_suspended = false;
  MHD_resume_connection(request->connection->mhd);
  server_wake(request->connection->listener);
}

void request_drop(HttpRequest *request) {
  if (request->is_dropped)
    return;
  request->is_dropped = true;
  if (request->is_asking)
    client_cancel(request->gateway->client, request->id);
  connection_shut(request->connection);
  request_resume(request);
}

static void count_end(HttpRequest *request, bool is_complete) {
  Metrics *metrics = &request->gateway->metrics;
  uint64_t now_us = loop_now_us(request->gateway->loop);

  request->gateway->running--;
  metrics_add(metrics, METRIC_RUNNING, request->kind, 0, -1);
  metrics_add(metrics, METRIC_BYTES_IN, 0, 0, (int64_t)request->body.size);
  metrics_add(metrics, METRIC_REQUESTS, request->kind, (is_complete && request->status ? request->status : 499) / 100,
              1);
  metrics_observe(metrics, METRIC_SECONDS, request->kind, now_us - request->began_us);
  if (!is_complete && !request->is_broken && request->is_answered)
    metrics_add(metrics, METRIC_HANGUPS, 0, 0, 1);
}

void request_on_done(void *gateway, struct MHD_Connection *mhd, void **at, enum MHD_RequestTerminationCode code) {
  HttpRequest *request = *at;
  HttpConnection *connection;

  (void)gateway;
  (void)mhd;
  if (!request)
    return;
  *at = NULL;
  if (request->has_begun)
    count_end(request, code == MHD_REQUEST_TERMINATED_COMPLETED_OK);
  if (request->is_asking)
    client_cancel(request->gateway->client, request->id);
  list_remove(&request->in_fetch);
  request_let_go(request);
  if (request->response)
    MHD_destroy_response(request->response);
  request->response = NULL;
  connection = request->connection;
  connection->request = NULL;
  request->connection = NULL;
  connection_expect(connection, connection->gateway->config->gateway.idle_ms);
  if (connection->gateway->is_draining)
    connection_shut(connection);
  request_release(request);
}

/* --- headers --- */

static bool is_multipart(const char *type) {
  return type && strncasecmp(type, "multipart/", 10) == 0;
}

/* Nobody on the way unpacks a body. */
static bool is_packed(const char *encoding) {
  return encoding && *encoding && strcasecmp(encoding, "identity") != 0;
}

static void refuse_method(HttpRequest *request, const char *method) {
  _cleanup_(buffer_done) Buffer allow = {0};

  route_allow(request->route, &allow);
  buffer_append(&allow, "", 1);
  respond_error(request, 405, "method_not_allowed", NULL, "%.16s is no method of this path; it takes %s", method,
                (char *)allow.data);
  respond_header(request, "Allow", (char *)allow.data);
}

static void refuse_key(HttpRequest *request) {
  metrics_add(&request->gateway->metrics, METRIC_NO_KEY, 0, 0, 1);
  if (request_header(request, "Authorization"))
    respond_error(request, 401, "invalid_api_key", NULL, "the API key is none of those in gateway.keys");
  else
    respond_error(request, 401, "missing_api_key", NULL, "no API key: send the header `Authorization: Bearer KEY`");
  respond_header(request, "WWW-Authenticate", "Bearer");
}

/* Whether a web page asks that is neither ours nor listed: its browser would show it no answer, but the work would be done. */
static bool is_foreign(const HttpRequest *request) {
  return !request->origin && !origin_is_own(request_header(request, "Origin"), request_header(request, "Host"));
}

/* Keys keep other people's pages out by themselves; without them a page must not reach us under a name of its own. */
static bool is_misled(const HttpRequest *request) {
  const Gateway *gateway = request->gateway;

  return !gateway->keys.count && !origin_host_is_ours(&gateway->config->gateway, request_header(request, "Host"));
}

static void refuse_host(HttpRequest *request) {
  respond_error(request, 403, "host_not_allowed", NULL,
                "the name %.200s is none of this gateway's; if it should be, add it to gateway.hosts",
                request_header(request, "Host"));
}

static void refuse_origin(HttpRequest *request) {
  respond_error(request, 403, "origin_not_allowed", NULL,
                "web pages of %.200s may not ask here; if they should, add it to gateway.cors_origins",
                request_header(request, "Origin"));
}

/* The path that may have been meant: with a base URL that lacks /v1, or has a slash too many. */
static bool find_meant(Text url, char *ret, size_t size) {
  Text rest;

  if (url.size > 100)
    return false;
  while (url.size > 1 && url.data[url.size - 1] == '/')
    url.size--;
  snprintf(ret, size, "%.*s", TEXT_ARG(url));
  if (route_find(text_of(ret), &rest))
    return true;
  snprintf(ret, size, "/v1%.*s", TEXT_ARG(url));
  return route_find(text_of(ret), &rest) != NULL;
}

static void refuse_url(HttpRequest *request, Text url) {
  const Foreign *foreign = route_find_foreign(url);
  char meant[128];

  if (foreign)
    respond_error(request, 404, "unknown_url", NULL, "there is no %.*s here, which is of %s; use %s instead",
                  TEXT_ARG(url), foreign->whose, foreign->instead);
  else if (find_meant(url, meant, sizeof meant))
    respond_error(request, 404, "unknown_url", NULL, "there is no %.*s here; did you mean %s?", TEXT_ARG(url), meant);
  else
    respond_error(request, 404, "unknown_url", NULL, "there is no %.*s here; docs/gateway.md lists what there is",
                  (int)min_u64(url.size, 200), url.data);
}

static enum MHD_Result count_length(void *lengths, enum MHD_ValueKind kind, const char *name, const char *value) {
  (void)kind;
  (void)value;
  *(unsigned *)lengths += strcasecmp(name, "Content-Length") == 0 || strcasecmp(name, "Transfer-Encoding") == 0;
  return MHD_YES;
}

/* Two lengths, or one beside a body in chunks: what is one request here may be two for a proxy on the way (RFC 9112, 6.3). */
static bool is_ambiguous(const HttpRequest *request) {
  unsigned lengths = 0;

  MHD_get_connection_values(request->connection->mhd, MHD_HEADER_KIND, count_length, &lengths);
  return lengths > 1;
}

/* Clients of proxies write the whole URL (RFC 9112, 3.2.2). */
static const char *path_of(const char *url) {
  const char *host = strncasecmp(url, "http://", 7) == 0    ? url + 7
                     : strncasecmp(url, "https://", 8) == 0 ? url + 8
                                                            : NULL;

  return host ? host + strcspn(host, "/") : url;
}

static bool lacks_host(const HttpRequest *request, const char *version) {
  return strcmp(version, "HTTP/1.1") == 0 && !request_header(request, "Host");
}

/* Answers what can be refused by the headers alone. */
static void check_headers(HttpRequest *request, const char *version, Text url, const char *method) {
  const Gateway *gateway = request->gateway;

  if (lacks_host(request, version))
    respond_error(request, 400, "invalid_header", NULL, "HTTP/1.1 wants the header Host (RFC 9112, 3.2)");
  else if (is_ambiguous(request))
    respond_error(request, 400, "invalid_header", NULL,
                  "more than one length: send one Content-Length, or one Transfer-Encoding, and not both");
  else if (!request->route)
    refuse_url(request, url);
  else if (!(request->route->methods & request->method))
    refuse_method(request, method);
  else if (request->method == HTTP_OPTIONS)
    return; /* a browser sends no key with it, and no answer to it says anything of value */
  else if (is_misled(request))
    refuse_host(request);
  else if (is_foreign(request))
    refuse_origin(request);
  else if (gateway->keys.count && !request->route->is_public &&
           !keys_find(&gateway->keys, request_header(request, "Authorization")))
    refuse_key(request);
  else if (is_multipart(request_header(request, "Content-Type")))
    respond_error(request, 415, "unsupported_media_type", NULL, "send the request as application/json, not as a form");
  else if (is_packed(request_header(request, "Content-Encoding")))
    respond_error(request, 415, "unsupported_media_type", NULL, "send the body as it is, without Content-Encoding");
}

/* The size that the client announces; UINT64_MAX for one that comes in chunks or nobody can tell, 0 for none. */
static uint64_t announced_bytes(const HttpRequest *request) {
  const char *length = request_header(request, "Content-Length");

  if (request_header(request, "Transfer-Encoding") || is_ambiguous(request))
    return UINT64_MAX;
  return length ? strtoull(length, NULL, 10) : 0;
}

static void refuse_size(HttpRequest *request, HttpFault *ret, char *text, size_t size) {
  snprintf(text, size, "the body is over %u bytes (gateway.body_max_bytes)",
           request->gateway->config->gateway.body_max_bytes);
  *ret = (HttpFault){.http_status = 413, .message = text_of(text), .code = TEXT("request_too_large")};
}

static enum MHD_Result queue(HttpRequest *request) {
  request->is_queued = true;
  return MHD_queue_response(request->connection->mhd, request->status, request->response);
}

static enum MHD_Result on_headers(HttpRequest *request, const char *version, const char *url, const char *method) {
  uint64_t bytes = announced_bytes(request);
  Gateway *gateway = request->gateway;

  request->has_begun = true;
  request->route = route_find(text_of(url), &request->rest);
  request->kind = request->route ? request->route->kind : ROUTE_NONE;
  request->method = route_method(text_of(method));
  request->origin = origin_find(&gateway->config->gateway, request_header(request, "Origin"));
  gateway->running++;
  metrics_add(&gateway->metrics, METRIC_RUNNING, request->kind, 0, 1);
  check_headers(request, version, text_of(url), method);
  if (!request->response && bytes != UINT64_MAX && bytes > gateway->config->gateway.body_max_bytes) {
    HttpFault fault;
    char text[96];

    refuse_size(request, &fault, text, sizeof text);
    respond_fault(request, &fault);
  }
  connection_expect(request->connection, BODY_MAX_MS);
  if (!request->response || (bytes <= DISCARD_MAX_BYTES && !request_header(request, "Expect")))
    return MHD_YES;
  return queue(request); /* libmicrohttpd reads no body after this, and closes the connection */
}

/* --- the body --- */

static void keep_body(HttpRequest *request, const char *data, size_t size) {
  if (request->body.room == 0)
    buffer_reserve(&request->body, min_u64(announced_bytes(request), BODY_FIRST_BYTES));
  buffer_append(&request->body, data, size);
  request_hold(request, size);
  loop_timer_set(request->connection->timer,
                 request->began_us + (BODY_MAX_MS + request->body.size / BODY_BYTES_PER_MS) * US_PER_MS);
}

/* In the middle of a body, which ends the connection. */
static enum MHD_Result refuse_body(HttpRequest *request, const HttpFault *fault) {
  request->status = fault->http_status;
  connection_refuse(request->connection, fault);
  return MHD_NO;
}

static enum MHD_Result on_body(HttpRequest *request, const char *data, size_t size) {
  const Gateway *gateway = request->gateway;
  uint64_t most = request->response ? DISCARD_MAX_BYTES : gateway->config->gateway.body_max_bytes;
  HttpFault fault = {.http_status = 503,
                     .message = TEXT("other requests take all the memory there is for bodies; come again in a second"),
                     .code = TEXT("overloaded"),
                     .retry_after_us = US_PER_S};
  char text[96];

  if (request->body.size + size > most)
    refuse_size(request, &fault, text, sizeof text);
  else if (gateway->held_bytes + size <= gateway->config->gateway.held_max_bytes) {
    keep_body(request, data, size);
    return MHD_YES;
  }
  return refuse_body(request, &fault);
}

/* --- the answer --- */

/* A browser asks before it sends a request of a page of another origin. Which headers that has is the page's affair. */
static void answer_preflight(HttpRequest *request, const char *methods) {
  const char *headers = request_header(request, "Access-Control-Request-Headers");

  respond_header(request, "Access-Control-Allow-Methods", methods);
  if (headers)
    respond_header(request, "Access-Control-Allow-Headers", headers);
  respond_header(request, "Access-Control-Max-Age", PREFLIGHT_KEEP_S);
}

static void answer_options(HttpRequest *request) {
  _cleanup_(buffer_done) Buffer allow = {0};
  Buffer none = {0};

  route_allow(request->route, &allow);
  buffer_append(&allow, "", 1);
  respond_text(request, 204, NULL, &none);
  respond_header(request, "Allow", (char *)allow.data);
  if (request->origin && request_header(request, "Access-Control-Request-Method"))
    answer_preflight(request, (char *)allow.data);
}

static void answer(HttpRequest *request) {
  static void (*const answers[])(HttpRequest *) = {
#define ROUTE(kind, path, methods, public_, about) [ROUTE_##kind] = answer_##kind,
#include "agents/gateway/routes.def"
#undef ROUTE
  };

  request->is_answered = true;
  request->whole_us = clock_monotonic_us();
  loop_timer_set(request->connection->timer, TIME_NEVER);
  if (request->response)
    return; /* refused by its headers */
  if (request->method == HTTP_OPTIONS)
    answer_options(request);
  else
    answers[request->kind](request);
}

/* All of it has come, or there is something new about it. */
static enum MHD_Result on_whole(HttpRequest *request) {
  if (!request->is_answered)
    answer(request);
  if (request->is_dropped)
    return MHD_NO;
  if (request->response)
    return queue(request);
  if (request->connection->is_gone) {
    request_drop(request);
    return MHD_NO;
  }
  MHD_suspend_connection(request->connection->mhd);
  request->is_suspended = true;
  return MHD_YES;
}

enum MHD_Result request_on_turn(void *gateway, struct MHD_Connection *mhd, const char *url, const char *method,
                                const char *version, const char *upload, size_t *upload_size, void **at) {
  HttpRequest *request = *at;
  size_t size = *upload_size;

  (void)gateway;
  (void)mhd;
  if (!request)
    return MHD_NO;
  if (!request->has_begun)
    return on_headers(request, version, path_of(url), method);
  if (size == 0)
    return on_whole(request);
  *upload_size = 0;
  return on_body(request, upload, size);
}
