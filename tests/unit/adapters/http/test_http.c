/* The transport against a real server on loopback that this test plays. Nothing waits but for an event or a limit that is to
   be reached; those are short. */
#include <errno.h>

#include "tests/unit/adapters/http/scene.h"

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

/* A handle is used again: nothing of the request before may be said by the next. */
static void nothing_stays_of_the_request_before(void **state) {
  Scene *scene = *state;
  static const char *const headers[] = {"Authorization: Bearer sk-1", NULL};
  HttpRequest requests[] = {request_to(url_of(scene)), request_to(url_of(scene)), request_to(url_of(scene))};
  Buffer *heard = &scene->server.connections[0].heard;

  requests[0].headers = headers;
  requests[1].body = BYTES_NONE;
  scene->server.answer = GOOD;
  for (size_t i = 0; i < ELEMENTS(requests); i++) {
    _cleanup_(seen_done) Seen seen = {.status = 0};

    buffer_clear(heard);
    start_with(scene, &seen, &requests[i]);
    until(scene, is_ended, &seen);
    assert_int_equal(seen.error, HTTP_OK);
    assert_memory_equal(heard->data, i == 1 ? "GET /" : "POST ", 5);
    assert_int_equal(memmem(heard->data, heard->size, "sk-1", 4) != NULL, i == 0);
    assert_int_equal(memmem(heard->data, heard->size, "Content-Length: 2\r\n", 19) != NULL, i != 1);
  }
  assert_int_equal(scene->server.accepted, 1);
}

static void headers_have_a_most(void **state) {
  Scene *scene = *state;
  const char *headers[HTTP_HEADERS_MAX + 2] = {NULL};
  HttpRequest request = request_to(url_of(scene));
  HttpHandler handler = {.userdata = NULL};
  _cleanup_(seen_done) Seen seen = {.status = 0};
  HttpTransfer *transfer = NULL;

  for (size_t i = 0; i <= HTTP_HEADERS_MAX; i++)
    headers[i] = "A: b";
  request.headers = headers;
  request.body = BYTES_NONE;
  assert_int_equal(http_start(scene->http, &request, &handler, &transfer), -E2BIG);
  assert_null(transfer);
  headers[HTTP_HEADERS_MAX] = NULL;
  scene->server.answer = GOOD;
  start_with(scene, &seen, &request);
  until(scene, is_ended, &seen);
  assert_int_equal(seen.error, HTTP_OK);
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

  request.pauses = true;
  request.limits.idle_ms = 100; /* which a pause does not count */
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
      CASE(nothing_stays_of_the_request_before),
      CASE(headers_have_a_most),
      CASE(connections_are_used_again_and_bounded),
      CASE(a_stale_connection_is_replaced),
      CASE(nobody_listens),
      CASE(what_is_not_http),
      CASE(there_is_no_tls),
      CASE(it_follows_nobody),
      CASE(answers_that_break),
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
