/* What:      the transport under test and the server that the test plays, in one loop.
 * Owns:      loop, transport and server, from set_up to tear_down.
 * May use:   http, cmocka; server.h.
 * Threading: the loop thread.
 * Spec:      - */
#ifndef PONS_TESTS_SCENE_H
#define PONS_TESTS_SCENE_H

#include "adapters/http/http-internal.h"
#include "tests/unit/adapters/http/server.h"

#define GOOD "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ngood"
#define OPEN_END "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"

typedef struct Scene {
  Loop *loop;
  Http *http;
  Server server;
  uint64_t due_us; /* of the test */
} Scene;

/* One transfer as its owner sees it. */
typedef struct Seen {
  HttpTransfer *transfer;
  unsigned status;
  char content_type[64];
  char retry_after[64];
  char retry_after_ms[64];
  Buffer body;
  bool is_ended;
  HttpError error;
  char detail[300];
  size_t pause_at;   /* pauses when so many bytes have come; 0: never */
  bool cancels;      /* at the first byte, from inside the callback */
  bool is_dull;      /* what comes is no beginning of an answer */
  struct Seen *then; /* is begun from inside on_end */
  Scene *scene;
} Seen;

static inline int set_up(void **state) {
  static Scene scene;

  assert_int_equal(loop_new(&scene.loop), 0);
  assert_int_equal(http_new(scene.loop, &(HttpOptions){.connections = 4}, &scene.http), 0);
  server_init(&scene.server, scene.loop);
  scene.due_us = clock_monotonic_us() + 3 * SERVER_PATIENCE_US;
  *state = &scene;
  return 0;
}

static inline int tear_down(void **state) {
  Scene *scene = *state;

  http_destroy(&scene->http);
  server_done(&scene->server);
  loop_destroy(&scene->loop);
  return 0;
}

static inline void start(Scene *scene, Seen *seen);

static inline void on_head(void *userdata, const HttpHead *head) {
  Seen *seen = userdata;

  seen->status = head->status;
  snprintf(seen->content_type, sizeof seen->content_type, "%.*s", TEXT_ARG(head->content_type));
  snprintf(seen->retry_after, sizeof seen->retry_after, "%.*s", TEXT_ARG(head->retry_after));
  snprintf(seen->retry_after_ms, sizeof seen->retry_after_ms, "%.*s", TEXT_ARG(head->retry_after_ms));
}

static inline void on_body(void *userdata, Bytes bytes) {
  Seen *seen = userdata;

  buffer_append(&seen->body, bytes.data, bytes.size);
  if (!seen->is_dull)
    http_progress(seen->transfer);
  if (seen->cancels)
    http_cancel(&seen->transfer);
  else if (seen->pause_at > 0 && seen->body.size >= seen->pause_at)
    http_pause(seen->transfer, true);
}

static inline void on_end(void *userdata, HttpError error, const char *detail) {
  Seen *seen = userdata;

  assert_false(seen->is_ended);
  seen->is_ended = true;
  seen->error = error;
  seen->transfer = NULL;
  snprintf(seen->detail, sizeof seen->detail, "%s", detail);
  if (seen->then)
    start(seen->scene, seen->then);
}

/* Limits that are never reached, but for those that a test sets. */
static inline HttpRequest request_to(const char *url) {
  return (HttpRequest){
      .url = url,
      .body = {(const uint8_t *)"{}", 2},
      .limits = {.connect_ms = 10000, .headers_ms = 10000, .first_ms = 10000, .idle_ms = 10000, .total_ms = 10000}};
}

static inline void start_with(Scene *scene, Seen *seen, const HttpRequest *request) {
  HttpHandler handler = {on_head, on_body, on_end, seen};

  seen->scene = scene;
  assert_int_equal(http_start(scene->http, request, &handler, &seen->transfer), 0);
  assert_false(seen->is_ended);
}

static inline const char *url_of(const Scene *scene) {
  static char url[64];

  snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", scene->server.port);
  return url;
}

static inline void start(Scene *scene, Seen *seen) {
  HttpRequest request = request_to(url_of(scene));

  start_with(scene, seen, &request);
}

static inline bool is_ended(void *userdata) {
  const Seen *seen = userdata;

  return seen->is_ended;
}

static inline void until(Scene *scene, bool (*done)(void *), void *userdata) {
  assert_int_equal(loop_run_until(scene->loop, done, userdata, clock_monotonic_us() + SERVER_PATIENCE_US), 0);
}

/* One turn of a loop that does something between two turns; fails when the test has taken too long. */
static inline void turn(Scene *scene, uint64_t wait_us) {
  assert_true(clock_monotonic_us() < scene->due_us);
  loop_turn(scene->loop, clock_monotonic_us() + wait_us);
}

/* Whether a request has come. */
static inline bool has_requests(void *userdata) {
  const Scene *scene = userdata;

  return scene->server.requests > 0;
}

static inline void seen_done(Seen *seen) {
  buffer_done(&seen->body);
}

/* Runs one request that the server answers with answer. */
static inline void exchange(Scene *scene, Seen *seen, const char *answer) {
  scene->server.answer = answer;
  start(scene, seen);
  until(scene, is_ended, seen);
}

#endif
