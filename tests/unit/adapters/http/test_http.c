/* The transport against a real server on loopback that this test plays. Nothing waits but for an event or a limit that is to
   be reached; those are short. */
#include "adapters/http/http.h"
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
  struct Seen *then; /* is begun from inside on_end */
  Scene *scene;
} Seen;

static int set_up(void **state) {
  static Scene scene;

  assert_int_equal(loop_new(&scene.loop), 0);
  assert_int_equal(http_new(scene.loop, 4, &scene.http), 0);
  server_init(&scene.server, scene.loop);
  scene.due_us = clock_monotonic_us() + 3 * SERVER_PATIENCE_US;
  *state = &scene;
  return 0;
}

static int tear_down(void **state) {
  Scene *scene = *state;

  http_destroy(&scene->http);
  server_done(&scene->server);
  loop_destroy(&scene->loop);
  return 0;
}

static void start(Scene *scene, Seen *seen);

static void on_head(void *userdata, const HttpHead *head) {
  Seen *seen = userdata;

  seen->status = head->status;
  snprintf(seen->content_type, sizeof seen->content_type, "%.*s", TEXT_ARG(head->content_type));
  snprintf(seen->retry_after, sizeof seen->retry_after, "%.*s", TEXT_ARG(head->retry_after));
  snprintf(seen->retry_after_ms, sizeof seen->retry_after_ms, "%.*s", TEXT_ARG(head->retry_after_ms));
}

static void on_body(void *userdata, Bytes bytes) {
  Seen *seen = userdata;

  buffer_append(&seen->body, bytes.data, bytes.size);
  if (seen->cancels)
    http_cancel(&seen->transfer);
  else if (seen->pause_at > 0 && seen->body.size >= seen->pause_at)
    http_pause(seen->transfer, true);
}

static void on_end(void *userdata, HttpError error, const char *detail) {
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
static HttpRequest request_to(const char *url) {
  return (HttpRequest){.url = url,
                       .body = {(const uint8_t *)"{}", 2},
                       .connect_ms = 10000,
                       .first_ms = 10000,
                       .idle_ms = 10000,
                       .total_ms = 10000};
}

static void start_with(Scene *scene, Seen *seen, const HttpRequest *request) {
  HttpHandler handler = {on_head, on_body, on_end, seen};

  seen->scene = scene;
  assert_int_equal(http_start(scene->http, request, &handler, &seen->transfer), 0);
  assert_false(seen->is_ended);
}

static const char *url_of(const Scene *scene) {
  static char url[64];

  snprintf(url, sizeof url, "http://127.0.0.1:%u/v1", scene->server.port);
  return url;
}

static void start(Scene *scene, Seen *seen) {
  HttpRequest request = request_to(url_of(scene));

  start_with(scene, seen, &request);
}

static bool is_ended(void *userdata) {
  const Seen *seen = userdata;

  return seen->is_ended;
}

static void until(Scene *scene, bool (*done)(void *), void *userdata) {
  assert_int_equal(loop_run_until(scene->loop, done, userdata, clock_monotonic_us() + SERVER_PATIENCE_US), 0);
}

/* One turn of a loop that does something between two turns; fails when the test has taken too long. */
static void turn(Scene *scene, uint64_t wait_us) {
  assert_true(clock_monotonic_us() < scene->due_us);
  loop_turn(scene->loop, clock_monotonic_us() + wait_us);
}

/* Whether a request has come. */
static bool has_requests(void *userdata) {
  const Scene *scene = userdata;

  return scene->server.requests > 0;
}

static void seen_done(Seen *seen) {
  buffer_done(&seen->body);
}

/* Runs one request that the server answers with answer. */
static void exchange(Scene *scene, Seen *seen, const char *answer) {
  scene->server.answer = answer;
  start(scene, seen);
  until(scene, is_ended, seen);
}

static void assert_body(const Seen *seen, const char *text) {
  assert_int_equal(seen->body.size, strlen(text));
  assert_memory_equal(seen->body.data, text, strlen(text));
}

static void it_posts_and_reads(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};
  static const char *const headers[] = {"Authorization: Bearer sk-1", "Content-Type: application/json", NULL};
  HttpRequest request = request_to(url_of(scene));
  Text heard;

  scene->server.answer = "HTTP/1.1 429 Slow\r\nretry-after: 7 \r\nRetry-After-Ms: 70\r\ncontent-type: a/b\r\n"
                         "Content-Length: 4\r\n\r\nslow";
  request.headers = headers;
  start_with(scene, &seen, &request);
  assert_int_equal(http_running(scene->http), 1);
  until(scene, is_ended, &seen);
  assert_int_equal(http_running(scene->http), 0);
  assert_int_equal(seen.error, HTTP_OK);
  assert_int_equal(seen.status, 429);
  assert_string_equal(seen.retry_after, "7");
  assert_string_equal(seen.retry_after_ms, "70");
  assert_string_equal(seen.content_type, "a/b");
  assert_body(&seen, "slow");
  heard = (Text){(const char *)scene->server.connections[0].heard.data, scene->server.connections[0].heard.size};
  assert_memory_equal(heard.data, "POST /v1 HTTP/1.1\r\n", 19);
  assert_non_null(memmem(heard.data, heard.size, "Authorization: Bearer sk-1\r\n", 28));
  assert_null(memmem(heard.data, heard.size, "Expect", 6));
  assert_memory_equal(heard.data + heard.size - 6, "\r\n\r\n{}", 6);
}

/* One connection for one after the other; four for four at a time; the fifth waits for one of them. */
static void connections_are_used_again_and_bounded(void **state) {
  Scene *scene = *state;
  Seen seen[6] = {{.status = 0}};

  for (size_t i = 0; i < 3; i++) {
    exchange(scene, &seen[i], GOOD);
    assert_int_equal(seen[i].error, HTTP_OK);
  }
  assert_int_equal(scene->server.accepted, 1);
  for (size_t i = 0; i < 6; i++) {
    seen_done(&seen[i]);
    seen[i] = (Seen){.status = 0};
    start(scene, &seen[i]);
  }
  for (size_t i = 0; i < 6; i++) {
    until(scene, is_ended, &seen[i]);
    assert_int_equal(seen[i].error, HTTP_OK);
    seen_done(&seen[i]);
  }
  assert_in_range(scene->server.accepted, 2, 4);
}

/* A connection that the server has closed meanwhile is no failure. */
static void a_stale_connection_is_replaced(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen first = {.status = 0};
  _cleanup_(seen_done) Seen second = {.status = 0};

  exchange(scene, &first, GOOD);
  server_close(&scene->server, 0);
  exchange(scene, &second, GOOD);
  assert_int_equal(second.error, HTTP_OK);
  assert_int_equal(scene->server.accepted, 2);
}

static void nobody_listens(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};

  server_stop(&scene->server);
  start(scene, &seen);
  until(scene, is_ended, &seen);
  assert_int_equal(seen.error, HTTP_CONNECT);
  assert_true(seen.detail[0] != '\0');
}

static void what_is_not_http(void **state) {
  static const struct {
    const char *url;
    HttpError error;
  } cases[] = {{"http://nobody.invalid/", HTTP_RESOLVE}, {"ftp://127.0.0.1/", HTTP_PROTOCOL}};
  Scene *scene = *state;

  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    _cleanup_(seen_done) Seen seen = {.status = 0};
    HttpRequest request = request_to(cases[i].url);

    start_with(scene, &seen, &request);
    until(scene, is_ended, &seen);
    assert_int_equal(seen.error, cases[i].error);
  }
}

/* TLS to who speaks none. */
static void there_is_no_tls(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};
  char url[64];
  HttpRequest request = request_to(url);

  snprintf(url, sizeof url, "https://127.0.0.1:%u/", scene->server.port);
  scene->server.answer = NULL;
  start_with(scene, &seen, &request);
  while (scene->server.accepted == 0 || scene->server.connections[0].heard.size == 0)
    turn(scene, 10000);
  server_say_text(&scene->server, 0, "HTTP/1.1 400 Bad\r\n\r\n");
  until(scene, is_ended, &seen);
  assert_int_equal(seen.error, HTTP_TLS);
}

/* Where the environment names a proxy, it is asked for what is elsewhere. */
static void a_proxy_of_the_environment_is_used(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};
  HttpRequest request = request_to("http://elsewhere.invalid/v1");
  char proxy[64];

  snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", scene->server.port);
  setenv("http_proxy", proxy, 1);
  unsetenv("no_proxy");
  scene->server.answer = GOOD;
  start_with(scene, &seen, &request);
  until(scene, is_ended, &seen);
  unsetenv("http_proxy");
  setenv("no_proxy", "*", 1);
  assert_int_equal(seen.error, HTTP_OK);
  assert_memory_equal(scene->server.connections[0].heard.data, "POST http://elsewhere.invalid/v1 HTTP/1.1\r\n", 43);
}

/* A redirect is an answer: the key does not go elsewhere. */
static void it_follows_nobody(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};

  exchange(scene, &seen, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n");
  assert_int_equal(seen.error, HTTP_OK);
  assert_int_equal(seen.status, 302);
  assert_int_equal(scene->server.requests, 1);
}

static void answers_that_break(void **state) {
  static const struct {
    const char *answer;
    HttpError error;
  } cases[] = {
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", HTTP_CUT},
      {OPEN_END "4\r\npart\r\n", HTTP_CUT},
      {OPEN_END "zz\r\npart\r\n", HTTP_CUT},
      {"", HTTP_CUT},
      {"\x01\x02 nonsense\r\n\r\n", HTTP_PROTOCOL},
  };
  Scene *scene = *state;

  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    _cleanup_(seen_done) Seen seen = {.status = 0};

    scene->server.answer = NULL;
    scene->server.requests = 0;
    start(scene, &seen);
    until(scene, has_requests, scene);
    server_say_text(&scene->server, i, cases[i].answer);
    server_close(&scene->server, i);
    until(scene, is_ended, &seen);
    if (seen.error != cases[i].error)
      fail_msg("case %zu: %d, %s", i, (int)seen.error, seen.detail);
  }
}

/* Each limit by itself: the others are far. */
static void silence_has_its_limits(void **state) {
  Scene *scene = *state;
  static const struct {
    const char *said;
    uint32_t first_ms;
    uint32_t idle_ms;
    uint32_t total_ms;
    HttpError error;
  } cases[] = {
      {"", 30, 10000, 10000, HTTP_NO_ANSWER},
      {"HTTP/1.1 200 OK\r\nContent-", 30, 10000, 10000, HTTP_NO_ANSWER},
      {OPEN_END "4\r\npart\r\n", 10000, 30, 10000, HTTP_IDLE},
      {OPEN_END "4\r\npart\r\n", 10000, 10000, 60, HTTP_TOTAL},
  };

  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    _cleanup_(seen_done) Seen seen = {.status = 0};
    HttpRequest request = request_to(url_of(scene));
    uint64_t began_us = clock_monotonic_us();

    scene->server.requests = 0;
    scene->server.answer = cases[i].said;
    request.first_ms = cases[i].first_ms;
    request.idle_ms = cases[i].idle_ms;
    request.total_ms = cases[i].total_ms;
    start_with(scene, &seen, &request);
    until(scene, is_ended, &seen);
    if (seen.error != cases[i].error)
      fail_msg("case %zu: %d, %s", i, (int)seen.error, seen.detail);
    assert_in_range(clock_monotonic_us() - began_us, 25000, SERVER_PATIENCE_US / 2);
  }
}

/* Bytes that come now and then are no silence, and the limit of all ends it. */
static void a_trickle_is_no_silence(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};
  HttpRequest request = request_to(url_of(scene));

  scene->server.answer = OPEN_END;
  request.idle_ms = 500;
  request.total_ms = 1500;
  start_with(scene, &seen, &request);
  until(scene, has_requests, scene);
  while (!seen.is_ended) {
    server_say(&scene->server, 0, "1\r\nx\r\n", 6);
    turn(scene, 10000);
  }
  assert_int_equal(seen.error, HTTP_TOTAL);
  assert_true(seen.body.size >= 5); /* how many it says in that time is the machine's affair */
}

static bool is_server_told(void *userdata) {
  const Scene *scene = userdata;

  return scene->server.connections[0].is_ended;
}

/* The server sees the connection end at once, and nothing comes any more. */
static void a_cancel_reaches_the_server(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};
  uint64_t began_us;

  scene->server.answer = OPEN_END "4\r\npart\r\n";
  start(scene, &seen);
  while (seen.body.size == 0)
    turn(scene, 10000);
  began_us = clock_monotonic_us();
  http_cancel(&seen.transfer);
  assert_null(seen.transfer);
  assert_int_equal(http_running(scene->http), 0);
  until(scene, is_server_told, scene);
  assert_true(clock_monotonic_us() - began_us < 100000);
  assert_false(seen.is_ended);
}

static void a_cancel_from_inside(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.cancels = true};

  scene->server.answer = OPEN_END "4\r\npart\r\n";
  start(scene, &seen);
  until(scene, is_server_told, scene);
  assert_null(seen.transfer);
  assert_int_equal(http_running(scene->http), 0);
  assert_false(seen.is_ended);
}

/* The next one may be begun by the end of the last, and before it had anything. */
static void one_begins_another(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen second = {.status = 0};
  _cleanup_(seen_done) Seen first = {.then = &second};
  HttpTransfer *none = NULL;

  exchange(scene, &first, GOOD);
  until(scene, is_ended, &second);
  assert_body(&second, "good");
  http_cancel(&none);
}

/* Who does not read stops the server: the kernel's buffers and one of libcurl's are all that fills, and nothing is lost. */
static void a_pause_stops_the_server(void **state) {
  enum { ALL_BYTES = 64 << 20 };
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.pause_at = 1};
  HttpRequest request = request_to(url_of(scene));
  static char zeros[65536];
  size_t said = 0;
  size_t idle_turns = 0;

  request.idle_ms = 100; /* which a pause does not count */
  scene->server.answer = "HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n";
  start_with(scene, &seen, &request);
  until(scene, has_requests, scene);
  for (; idle_turns < 30; turn(scene, 5000)) {
    size_t n = server_say(&scene->server, 0, zeros, sizeof zeros);

    said += n;
    idle_turns = n > 0 ? 0 : idle_turns + 1;
  }
  assert_in_range(seen.body.size, 1, 65536);
  assert_in_range(said, 65536, ALL_BYTES / 2);
  assert_false(seen.is_ended);
  seen.pause_at = 0;
  http_pause(seen.transfer, false);
  while (!seen.is_ended) {
    said += said < ALL_BYTES ? server_say(&scene->server, 0, zeros, min_u64(sizeof zeros, ALL_BYTES - said)) : 0;
    turn(scene, 1000);
  }
  assert_int_equal(seen.error, HTTP_OK);
  assert_int_equal(seen.body.size, ALL_BYTES);
}

/* Whatever is running when it goes. */
static void it_may_go_in_the_middle(void **state) {
  Scene *scene = *state;
  Seen seen[8] = {{.status = 0}};

  scene->server.answer = OPEN_END "4\r\npart\r\n";
  for (size_t i = 0; i < ELEMENTS(seen); i++)
    start(scene, &seen[i]);
  until(scene, has_requests, scene);
  http_destroy(&scene->http);
  for (size_t i = 0; i < ELEMENTS(seen); i++) {
    assert_false(seen[i].is_ended);
    seen_done(&seen[i]);
  }
}

static void each_end_has_its_words(void **state) {
  (void)state;
  for (int error = HTTP_OK; error < HTTP_END; error++)
    assert_true(strlen(http_error_about((HttpError)error)) > 5);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(it_posts_and_reads),
      CASE(connections_are_used_again_and_bounded),
      CASE(a_stale_connection_is_replaced),
      CASE(nobody_listens),
      CASE(what_is_not_http),
      CASE(there_is_no_tls),
      CASE(a_proxy_of_the_environment_is_used),
      CASE(it_follows_nobody),
      CASE(answers_that_break),
      CASE(silence_has_its_limits),
      CASE(a_trickle_is_no_silence),
      CASE(a_cancel_reaches_the_server),
      CASE(a_cancel_from_inside),
      CASE(one_begins_another),
      CASE(a_pause_stops_the_server),
      CASE(it_may_go_in_the_middle),
      CASE(each_end_has_its_words),
  };

  setenv("no_proxy", "*", 1); /* whatever is set where the tests run */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
