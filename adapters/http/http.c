/* libcurl's multi interface driven by the loop: its sockets are watched, its one timer is ours (libcurl-multi(3), "multi_socket").
   A transfer must not be taken out from inside a callback of libcurl, so one that is cancelled there is only marked, and
   leaves when libcurl has returned. */
#include "adapters/http/http-internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapters/http/error-internal.h"
#include "adapters/http/handle-internal.h"
#include "adapters/http/head-internal.h"
#include "bus/base/list.h"

enum { SPARE_MAX = 64 };

typedef struct Watch {
  LoopFd *fd;
} Watch;

struct Http {
  Loop *loop;
  CURLM *multi;
  LoopTimer *timer;
  List transfers;
  HttpOptions options;
  bool inside;  /* libcurl is on the stack */
  bool leaving; /* some were cancelled while it was */
  bool joining; /* some were begun while it was */
  CURL *spare[SPARE_MAX];
  uint32_t spares;
};

struct HttpTransfer {
  List in_http;
  Http *http;
  CURL *easy;
  HttpHandler handler;
  LoopTimer *silence;
  uint64_t began_us;
  uint64_t heard_us;
  HttpLimits limits;
  bool joined;     /* libcurl has it */
  bool answered;   /* the headers have come */
  bool progressed; /* the answer has begun */
  bool pauses;     /* it may be */
  bool paused;
  bool held; /* libcurl holds bytes back for us */
  bool cancelled;
  bool is_done; /* libcurl is through with it */
  Head head;
  char detail[CURL_ERROR_SIZE];
  struct curl_slist headers[HANDLE_HEADERS_MAX]; /* ours, so that no key is copied */
};

/* --- the end of a transfer --- */

/* Keeps a handle with all that is the same for each request, and nothing of this one. */
static void give_back(Http *http, CURL *easy) {
  if (http->spares == SPARE_MAX) {
    curl_easy_cleanup(easy);
    return;
  }
  handle_clear(easy);
  http->spare[http->spares++] = easy;
}

/* Which connection a transfer is on: its port on this side, or 0. */
static long connection_of(const HttpTransfer *transfer) {
  long port = 0;

  curl_easy_getinfo(transfer->easy, CURLINFO_LOCAL_PORT, &port);
  return port;
}

/* Has libcurl send what it has written down for a connection: the one thing that does is a change of a stream's window. */
static void flush(Http *http, long connection) {
  LIST_EACH (&http->transfers, HttpTransfer, in_http, other) {
    if (!other->joined || other->is_done || other->pauses || connection_of(other) != connection)
      continue;
    http->inside = true;
    curl_easy_pause(other->easy, CURLPAUSE_RECV);
    curl_easy_pause(other->easy, CURLPAUSE_CONT);
    http->inside = false;
    return;
  }
}

/* Takes a transfer out before its end. With nobody else on its connection that is closed. Else, over HTTP/2, libcurl 7.88
   writes the reset of the stream down and would send it with whatever comes next, which may be never. */
static void leave(HttpTransfer *transfer) {
  long connection = transfer->pauses ? 0 : connection_of(transfer);

  curl_easy_setopt(transfer->easy, CURLOPT_FORBID_REUSE, 1L);
  curl_multi_remove_handle(transfer->http->multi, transfer->easy);
  transfer->joined = false;
  if (connection > 0)
    flush(transfer->http, connection);
}

static void transfer_free(HttpTransfer *transfer) {
  Http *http = transfer->http;

  if (transfer->joined && transfer->is_done)
    curl_multi_remove_handle(http->multi, transfer->easy);
  else if (transfer->joined)
    leave(transfer);
  give_back(http, transfer->easy);
  list_remove(&transfer->in_http);
  loop_timer_destroy(&transfer->silence);
  free(transfer);
}

static void end(HttpTransfer *transfer, HttpError error, const char *detail) {
  HttpHandler handler = transfer->handler;
  char words[CURL_ERROR_SIZE];
  bool cancelled = transfer->cancelled;

  memcpy(words, detail, strnlen(detail, sizeof words - 1) + 1);
  words[sizeof words - 1] = '\0';
  transfer_free(transfer);
  if (!cancelled)
    handler.on_end(handler.userdata, error, words);
}

/* Hands libcurl what was begun while it was on the stack. */
static void join(Http *http) {
  if (!http->joining)
    return;
  http->joining = false;
  LIST_EACH (&http->transfers, HttpTransfer, in_http, transfer) {
    if (!transfer->joined && !transfer->cancelled)
      transfer->joined = curl_multi_add_handle(http->multi, transfer->easy) == CURLM_OK;
  }
}

/* After libcurl has returned: what it has finished, what was begun and what was cancelled meanwhile. */
static void sweep(Http *http) {
  CURLMsg *message;
  int left;

  while ((message = curl_multi_info_read(http->multi, &left))) {
    HttpTransfer *transfer = NULL;
    CURLcode code = message->data.result;

    if (message->msg != CURLMSG_DONE)
      continue;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&transfer);
    transfer->is_done = true;
    end(transfer, http_error_of(transfer->easy, code), *transfer->detail ? transfer->detail : curl_easy_strerror(code));
  }
  join(http);
  while (http->leaving) {
    http->leaving = false;
    LIST_EACH (&http->transfers, HttpTransfer, in_http, transfer) {
      if (transfer->cancelled)
        transfer_free(transfer);
    }
  }
}

static void act(Http *http, curl_socket_t socket, int events) {
  int running;

  http->inside = true;
  curl_multi_socket_action(http->multi, socket, events, &running);
  http->inside = false;
  sweep(http);
}

/* --- the loop --- */

static void on_ready(void *userdata, int fd, uint32_t revents) {
  act(userdata, fd,
      (revents & (EPOLLIN | EPOLLHUP) ? CURL_CSELECT_IN : 0) | (revents & EPOLLOUT ? CURL_CSELECT_OUT : 0) |
          (revents & EPOLLERR ? CURL_CSELECT_ERR : 0));
}

static void on_timer(void *userdata, uint64_t now_us) {
  (void)now_us;
  act(userdata, CURL_SOCKET_TIMEOUT, 0);
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *userdata) {
  Http *http = userdata;

  (void)multi;
  if (timeout_ms == 0) /* what was just begun is still sent in this turn */
    loop_timer_set(http->timer, loop_now_us(http->loop));
  else
    loop_timer_set(http->timer, timeout_ms < 0 ? TIME_NEVER : clock_monotonic_us() + (uint64_t)timeout_ms * US_PER_MS);
  return 0;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *userdata, void *of_socket) {
  Http *http = userdata;
  Watch *watch = of_socket;
  uint32_t events = (what & CURL_POLL_IN ? EPOLLIN : 0u) | (what & CURL_POLL_OUT ? EPOLLOUT : 0u);

  (void)easy;
  if (what == CURL_POLL_REMOVE) {
    if (watch)
      loop_fd_destroy(&watch->fd);
    free(watch);
    curl_multi_assign(http->multi, fd, NULL);
    return 0;
  }
  if (watch)
    return loop_fd_set_events(watch->fd, events) < 0 ? -1 : 0;
  watch = calloc(1, sizeof *watch);
  if (!watch || loop_watch_fd(http->loop, fd, events, on_ready, http, &watch->fd) < 0) {
    free(watch);
    return -1;
  }
  curl_multi_assign(http->multi, fd, watch);
  return 0;
}

/* --- limits --- */

/* When the first of the limits is reached, and which. */
static uint64_t next_limit(const HttpTransfer *transfer, uint64_t now_us, HttpError *ret) {
  const HttpLimits *limits = &transfer->limits;
  uint64_t heard_us = transfer->paused ? now_us : transfer->heard_us;
  const struct {
    HttpError error;
    bool counts;
    uint64_t at_us;
  } all[] = {
      {HTTP_NO_HEAD, !transfer->answered, transfer->began_us + limits->headers_ms * US_PER_MS},
      {HTTP_NO_FIRST, !transfer->progressed, transfer->began_us + limits->first_ms * US_PER_MS},
      {HTTP_IDLE, transfer->progressed, heard_us + limits->idle_ms * US_PER_MS},
      {HTTP_TOTAL, true, transfer->began_us + limits->total_ms * US_PER_MS},
  };
  uint64_t at_us = TIME_NEVER;

  for (size_t i = 0; i < ELEMENTS(all); i++)
    if (all[i].counts && all[i].at_us < at_us) {
      at_us = all[i].at_us;
      *ret = all[i].error;
    }
  return at_us;
}

static void watch_limits(HttpTransfer *transfer, uint64_t now_us) {
  HttpError error;

  loop_timer_set(transfer->silence, next_limit(transfer, now_us, &error));
}

static void on_limit(void *userdata, uint64_t now_us) {
  HttpTransfer *transfer = userdata;
  HttpError error = HTTP_TOTAL;
  uint64_t at_us = next_limit(transfer, now_us, &error);
  char detail[64];

  if (at_us > now_us) {
    loop_timer_set(transfer->silence, at_us);
    return;
  }
  snprintf(detail, sizeof detail, "after %" PRIu64 " ms", (now_us - transfer->began_us) / US_PER_MS);
  end(transfer, error, detail);
}

void http_progress(HttpTransfer *transfer) {
  if (transfer->progressed)
    return;
  transfer->progressed = true;
  watch_limits(transfer, clock_monotonic_us());
}

/* --- what comes --- */

static void tell_head(HttpTransfer *transfer) {
  long status = 0;
  HttpHead said;

  curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
  if (status < 200)
    return; /* 100 Continue and the like come before the answer */
  transfer->answered = true;
  transfer->heard_us = clock_monotonic_us();
  watch_limits(transfer, transfer->heard_us);
  said = head_tell(&transfer->head, (unsigned)status);
  transfer->handler.on_head(transfer->handler.userdata, &said);
}

static size_t on_header(const char *data, size_t one, size_t size, void *userdata) {
  HttpTransfer *transfer = userdata;
  Text line = {data, one * size};

  if (transfer->cancelled)
    return 0;
  if (line.size <= 2 && !transfer->answered)
    tell_head(transfer);
  else
    head_take(&transfer->head, line);
  return transfer->cancelled ? 0 : one * size;
}

static size_t on_write(const char *data, size_t one, size_t size, void *userdata) {
  HttpTransfer *transfer = userdata;

  if (transfer->cancelled)
    return 0;
  if (transfer->paused) {
    transfer->held = true;
    return CURL_WRITEFUNC_PAUSE;
  }
  transfer->heard_us = clock_monotonic_us();
  transfer->handler.on_body(transfer->handler.userdata, (Bytes){(const uint8_t *)data, one * size});
  return transfer->cancelled ? 0 : one * size;
}

/* --- beginning --- */

static CURL *take_easy(Http *http) {
  return http->spares > 0 ? http->spare[--http->spares] : handle_new(&http->options, on_header, on_write);
}

static void set_up(HttpTransfer *transfer, const HttpRequest *request) {
  CURL *easy = transfer->easy;

  handle_aim(easy, &transfer->http->options, request, transfer->headers);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->detail);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, transfer);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

static void drop(HttpTransfer *transfer) {
  if (transfer->easy)
    curl_easy_cleanup(transfer->easy);
  loop_timer_destroy(&transfer->silence);
  free(transfer);
}

int http_start(Http *http, const HttpRequest *request, const HttpHandler *handler, HttpTransfer **ret) {
  HttpTransfer *transfer = calloc(1, sizeof *transfer);
  int r;

  if (!transfer)
    return -ENOMEM;
  transfer->http = http;
  transfer->handler = *handler;
  transfer->easy = take_easy(http);
  transfer->pauses = request->pauses;
  transfer->limits = request->limits;
  transfer->began_us = clock_monotonic_us();
  r = handle_list_headers(request, transfer->headers);
  if (r == 0 && (!transfer->easy || loop_timer_new(http->loop, on_limit, transfer, &transfer->silence) < 0))
    r = -ENOMEM;
  if (r < 0) {
    drop(transfer);
    return r;
  }
  set_up(transfer, request);
  watch_limits(transfer, transfer->began_us);
  if (!http->inside && curl_multi_add_handle(http->multi, transfer->easy) != CURLM_OK) {
    drop(transfer);
    return -ENOMEM;
  }
  transfer->joined = !http->inside;
  http->joining |= http->inside;
  list_push(&http->transfers, &transfer->in_http);
  *ret = transfer;
  return 0;
}

void http_cancel(HttpTransfer **p) {
  HttpTransfer *transfer = TAKE(*p);

  if (!transfer)
    return;
  transfer->cancelled = true;
  if (transfer->http->inside)
    transfer->http->leaving = true;
  else
    transfer_free(transfer);
}

void http_pause(HttpTransfer *transfer, bool paused) {
  transfer->paused = paused;
  if (paused || !transfer->held)
    return;
  transfer->held = false;
  transfer->heard_us = clock_monotonic_us();
  /* libcurl hands out what it held from inside this call, and goes on reading from its timer. */
  if (!transfer->http->inside) {
    Http *http = transfer->http;

    http->inside = true;
    curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
    http->inside = false;
    sweep(http);
  } else {
    curl_easy_pause(transfer->easy, CURLPAUSE_CONT);
  }
}

uint32_t http_running(const Http *http) {
  uint32_t n = 0;

  for (const List *at = http->transfers.next; at != &http->transfers; at = at->next)
    n++;
  return n;
}

/* --- making --- */

int http_new(Loop *loop, const HttpOptions *options, Http **ret) {
  Http *http = calloc(1, sizeof *http);
  int r;

  if (!http)
    return -ENOMEM;
  http->loop = loop;
  http->options = *options;
  list_init(&http->transfers);
  r = loop_timer_new(loop, on_timer, http, &http->timer);
  http->multi = r == 0 && curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? curl_multi_init() : NULL;
  if (!http->multi) {
    loop_timer_destroy(&http->timer);
    free(http);
    return -ENOMEM;
  }
  curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
  curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
  curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
  curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
  curl_multi_setopt(http->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)options->connections);
  curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)options->connections);
  curl_multi_setopt(http->multi, CURLMOPT_PIPELINING, (long)CURLPIPE_MULTIPLEX);
  *ret = http;
  return 0;
}

void http_destroy(Http **p) {
  Http *http = TAKE(*p);

  if (!http)
    return;
  LIST_EACH (&http->transfers, HttpTransfer, in_http, transfer)
    transfer_free(transfer);
  while (http->spares > 0)
    curl_easy_cleanup(http->spare[--http->spares]);
  curl_multi_cleanup(http->multi);
  loop_timer_destroy(&http->timer);
  free(http);
}
