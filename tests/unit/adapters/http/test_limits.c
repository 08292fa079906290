/* What a transfer has to wait for: a name, a connection, a proxy, the headers, the first token, the next byte, the end. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>

#include "tests/unit/adapters/http/scene.h"

/* Each limit by itself: the others are far. */
static void silence_has_its_limits(void **state) {
  Scene *scene = *state;
  static const char part[] = OPEN_END "4\r\npart\r\n";
  static const struct {
    const char *said;
    HttpLimits limits;
    HttpError error;
    const char *name;
  } cases[] = {
      {"", {9000, 30, 9000, 9000, 9000}, HTTP_NO_HEAD, "headers_timeout"},
      {"HTTP/1.1 200 OK\r\nContent-", {9000, 30, 9000, 9000, 9000}, HTTP_NO_HEAD, "headers_timeout"},
      {"", {9000, 9000, 30, 9000, 9000}, HTTP_NO_FIRST, "first_token_timeout"},
      {OPEN_END, {9000, 9000, 30, 9000, 9000}, HTTP_NO_FIRST, "first_token_timeout"},
      {part, {9000, 9000, 9000, 30, 9000}, HTTP_IDLE, "idle_timeout"},
      {part, {9000, 9000, 9000, 9000, 60}, HTTP_TOTAL, "total_timeout"},
      {OPEN_END, {9000, 9000, 9000, 9000, 60}, HTTP_TOTAL, "total_timeout"},
  };

  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    _cleanup_(seen_done) Seen seen = {.status = 0};
    HttpRequest request = request_to(url_of(scene));
    uint64_t began_us = clock_monotonic_us();

    scene->server.requests = 0;
    scene->server.answer = cases[i].said;
    request.limits = cases[i].limits;
    start_with(scene, &seen, &request);
    until(scene, is_ended, &seen);
    if (seen.error != cases[i].error)
      fail_msg("case %zu: %d, %s", i, (int)seen.error, seen.detail);
    assert_string_equal(http_error_name(seen.error), cases[i].name);
    assert_in_range(clock_monotonic_us() - began_us, 25000, SERVER_PATIENCE_US / 2);
  }
}

/* A server may send comments for as long as it likes: that is no beginning. */
static void comments_are_no_beginning(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.is_dull = true};
  HttpRequest request = request_to(url_of(scene));

  scene->server.answer = OPEN_END;
  request.limits.first_ms = 300;
  start_with(scene, &seen, &request);
  until(scene, has_requests, scene);
  while (!seen.is_ended) {
    server_say(&scene->server, 0, "3\r\n: \n\r\n", 8);
    turn(scene, 10000);
  }
  assert_int_equal(seen.error, HTTP_NO_FIRST);
  assert_true(seen.body.size > 0);
}

/* Nobody takes the connection: the queue of a listener of length 0 is full with two. */
static void connecting_has_its_limit(void **state) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};
  int fds[6];
  char url[64];
  HttpRequest request = request_to(url);

  for (size_t i = 0; i < ELEMENTS(fds); i++)
    fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_int_equal(bind(fds[0], (struct sockaddr *)&address, size), 0);
  assert_int_equal(listen(fds[0], 0), 0);
  assert_int_equal(getsockname(fds[0], (struct sockaddr *)&address, &size), 0);
  for (size_t i = 1; i < ELEMENTS(fds); i++)
    connect(fds[i], (struct sockaddr *)&address, size);
  snprintf(url, sizeof url, "http://127.0.0.1:%u/", ntohs(address.sin_port));
  request.limits.connect_ms = 50;
  start_with(scene, &seen, &request);
  until(scene, is_ended, &seen);
  assert_int_equal(seen.error, HTTP_CONNECT_SLOW);
  for (size_t i = 0; i < ELEMENTS(fds); i++)
    close(fds[i]);
}

/* Bytes that come now and then are no silence, and the limit of all ends it. */
static void a_trickle_is_no_silence(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};
  HttpRequest request = request_to(url_of(scene));

  scene->server.answer = OPEN_END;
  request.limits.idle_ms = 500;
  request.limits.total_ms = 1500;
  start_with(scene, &seen, &request);
  until(scene, has_requests, scene);
  while (!seen.is_ended) {
    server_say(&scene->server, 0, "1\r\nx\r\n", 6);
    turn(scene, 10000);
  }
  assert_int_equal(seen.error, HTTP_TOTAL);
  assert_true(seen.body.size >= 5); /* how many it says in that time is the machine's affair */
}

static void heard(const Scene *scene, size_t connection, const char *line) {
  const Buffer *bytes = &scene->server.connections[connection].heard;

  assert_true(bytes->size >= strlen(line));
  assert_memory_equal(bytes->data, line, strlen(line));
}

static const char *proxy_of(const Scene *scene) {
  static char proxy[64];

  snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", scene->server.port);
  return proxy;
}

/* Where the environment names a proxy, it is asked for what is elsewhere, and not for what is here. */
static void a_proxy_of_the_environment_is_used(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen seen = {.status = 0};
  _cleanup_(seen_done) Seen here = {.status = 0};
  HttpRequest request = request_to("http://elsewhere.invalid/v1");
  HttpRequest own = request_to(url_of(scene));

  setenv("http_proxy", proxy_of(scene), 1);
  unsetenv("no_proxy");
  scene->server.answer = GOOD;
  start_with(scene, &seen, &request);
  until(scene, is_ended, &seen);
  start_with(scene, &here, &own);
  until(scene, is_ended, &here);
  unsetenv("http_proxy");
  setenv("no_proxy", "*", 1);
  assert_int_equal(seen.error, HTTP_OK);
  assert_int_equal(here.error, HTTP_OK);
  heard(scene, 0, "POST http://elsewhere.invalid/v1 HTTP/1.1\r\n");
  heard(scene, 1, "POST /v1 HTTP/1.1\r\n");
}

/* A proxy of one's own leads everywhere. TLS goes through it untouched, and the key is not for the proxy. */
static void a_proxy_that_is_named(void **state) {
  static const char *const headers[] = {"Authorization: Bearer sk-1", NULL};
  Scene *scene = *state;
  _cleanup_(http_destroy) Http *http = NULL;
  _cleanup_(seen_done) Seen seen = {.scene = scene};
  HttpHandler handler = {on_head, on_body, on_end, &seen};
  HttpRequest request = request_to("https://elsewhere.invalid/v1");
  const Buffer *bytes = &scene->server.connections[0].heard;

  assert_int_equal(http_new(scene->loop, &(HttpOptions){.connections = 1, .proxy = proxy_of(scene)}, &http), 0);
  scene->server.answer = "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n";
  request.headers = headers;
  assert_int_equal(http_start(http, &request, &handler, &seen.transfer), 0);
  until(scene, is_ended, &seen);
  assert_int_equal(seen.error, HTTP_PROXY);
  assert_non_null(strstr(seen.detail, "403"));
  heard(scene, 0, "CONNECT elsewhere.invalid:443 HTTP/1.1\r\n");
  assert_null(memmem(bytes->data, bytes->size, "sk-1", 4));
}

/* --- names --- */

static _Atomic int resolving;
static int stuck[2] = {-1, -1};

/* In place of the C library's, for one name: does not come back before the test says so. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **ret) {
  static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
  char byte;

  if (node && strcmp(node, "stuck.invalid") == 0) {
    resolving++;
    (void)!read(stuck[0], &byte, 1);
    resolving--;
    return EAI_NONAME;
  }
  if (!real)
    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
  return real(node, service, hints, ret);
}

/* While a name is being resolved the loop serves others, and it does not wait for it either when the transfer is taken back. */
static void names_are_resolved_elsewhere(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen slow = {.status = 0};
  _cleanup_(seen_done) Seen quick = {.status = 0};
  HttpRequest request = request_to("http://stuck.invalid/");

  assert_int_equal(pipe2(stuck, O_CLOEXEC), 0);
  start_with(scene, &slow, &request);
  while (resolving == 0)
    turn(scene, 1000);
  exchange(scene, &quick, GOOD);
  assert_int_equal(quick.error, HTTP_OK);
  http_cancel(&slow.transfer);
  assert_int_equal(resolving, 1);
  assert_int_equal(http_running(scene->http), 0);
  close(stuck[1]);
  while (resolving > 0)
    turn(scene, 1000);
  close(stuck[0]);
}

/* That of a connection includes its name. */
static void a_name_has_its_limit(void **state) {
  Scene *scene = *state;
  _cleanup_(seen_done) Seen slow = {.status = 0};
  HttpRequest request = request_to("http://stuck.invalid/");

  assert_int_equal(pipe2(stuck, O_CLOEXEC), 0);
  request.limits.connect_ms = 50;
  start_with(scene, &slow, &request);
  until(scene, is_ended, &slow);
  assert_int_equal(slow.error, HTTP_CONNECT_SLOW);
  close(stuck[1]);
  while (resolving > 0)
    turn(scene, 1000);
  close(stuck[0]);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(silence_has_its_limits),
      CASE(comments_are_no_beginning),
      CASE(connecting_has_its_limit),
      CASE(a_trickle_is_no_silence),
      CASE(a_proxy_of_the_environment_is_used),
      CASE(a_proxy_that_is_named),
      CASE(names_are_resolved_elsewhere),
      CASE(a_name_has_its_limit),
  };

  setenv("no_proxy", "*", 1); /* whatever is set where the tests run */
  return cmocka_run_group_tests(tests, NULL, NULL);
}
