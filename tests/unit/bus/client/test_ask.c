/* Requests against the fake broker: how they are sent, how they end. */
#include "tests/unit/bus/client/scene.h"

static void hello_says_who_it_is(void **state) {
  Scene *scene = *state;
  Arena arena = {0};
  Taken *taken;
  Hello hello;

  scene->fake.mismatches = 1;
  scene_connect(scene);
  taken = fake_take(&scene->fake, KIND_HELLO);
  assert_int_equal(contract_decode(CONTRACT(Hello), taken->body, &arena, &hello, NULL), 0);
  assert_true(text_is(hello.agent, "tester"));
  assert_true(hello.client == client_id(scene->client).value);
  assert_int_equal(hello.version, PROTOCOL_VERSION);
  assert_int_equal(hello.features, FEATURE_CONFIRM); /* it moves, so it must be asked whether it still waits */
  assert_int_equal(client_state(scene->client), CLIENT_OPEN);
  assert_true(text_is(client_broker(scene->client), "fake"));
  size_t count = 0;
  assert_true(text_is(client_mismatches(scene->client, &count)->method, "say"));
  assert_int_equal(count, 1);
  free(taken);
  arena_done(&arena);
}

static void new_refuses_what_is_no_name_and_no_endpoint(void **state) {
  Scene *scene = *state;
  Client *client = NULL;

  assert_int_equal(client_new(scene->loop, &(ClientOptions){.endpoint = "ipc:///x", .agent = TEXT("a b")}, &client),
                   -EINVAL);
  assert_int_equal(client_new(scene->loop, &(ClientOptions){.endpoint = "", .agent = TEXT("a")}, &client), -EINVAL);
  assert_int_equal(client_new(scene->loop, &(ClientOptions){.agent = TEXT("a")}, &client), -EINVAL);
  assert_null(client);
}

static void a_request_is_answered(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("hello");
  RequestId id;
  Taken *taken;

  scene_connect(scene);
  request.priority = ASK_BATCH;
  request.idempotent = true;
  request.deadline_us = US_PER_S;
  id = scene_ask(scene, &request);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  assert_true(request_id_equal(taken->header.id, id));
  assert_true(text_is(taken->header.service, "echo"));
  assert_true(text_is(taken->header.method, "say"));
  assert_memory_equal(taken->body.data, "hello", 5);
  assert_int_equal(taken->header.priority, PRIORITY_BATCH);
  assert_int_equal(taken->header.flags, FLAG_IDEMPOTENT);
  assert_true(taken->header.deadline_us > US_PER_S / 2 && taken->header.deadline_us <= US_PER_S);
  assert_int_equal(taken->header.attempt, 0);
  fake_reply(&scene->fake, id, (Bytes){(const uint8_t *)"back", 4});
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  assert_string_equal(scene->body, "back");
  /* A second answer is nobody's. */
  fake_reply(&scene->fake, id, (Bytes){(const uint8_t *)"again", 5});
  fake_run(&scene->fake, 20000);
  assert_int_equal(scene->ends, 0);
  assert_true(client_stats(scene->client).dropped == 1);
  free(taken);
}

/* In how many messages n requests of one turn come. */
static uint32_t frames_of(Scene *scene, int n) {
  Ask request = scene_say("x");
  uint32_t before = scene->fake.frames;

  for (int i = 0; i < n; i++)
    scene_ask(scene, &request);
  for (int i = 0; i < n; i++)
    free(fake_take(&scene->fake, KIND_REQUEST));
  return scene->fake.frames - before;
}

/* The first 24, the next 48, the rest: the broker begins while more is asked. */
static void requests_of_one_turn_travel_together(void **state) {
  Scene *scene = *state;

  scene_connect(scene);
  assert_int_equal(frames_of(scene, 24), 1);
  assert_int_equal(frames_of(scene, 25), 2);
  assert_int_equal(frames_of(scene, 100), 3);
  assert_int_equal(frames_of(scene, 24), 1);
}

static void an_error_has_its_status_and_words(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  RequestId id;

  scene_connect(scene);
  id = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_error(&scene->fake, id, STATUS_NO_METHOD, "no such method", 0);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_NO_METHOD);
  assert_string_equal(scene->text, "no such method");
}

static void wrong_requests_end_by_name(void **state) {
  Scene *scene = *state;
  static const struct {
    Ask ask;
    Status status;
  } cases[] = {
      {{.service = {"echo", 4}, .method = {"say", 3}, .deadline_us = LIMIT_DEADLINE_US + UINT64_C(1)},
       STATUS_NO_DEADLINE},
      {{.service = {"echo", 4}, .method = {"say", 3}, .body = {NULL, LIMIT_REQUEST_BYTES + 1}}, STATUS_TOO_LARGE},
      {{.service = {"echo", 4}, .method = {"s y", 3}}, STATUS_BAD_NAME},
      {{.service = {"", 0}, .method = {"say", 3}}, STATUS_BAD_NAME},
  };

  scene_connect(scene);
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    scene_ask(scene, &cases[i].ask);
    scene_wait_end(scene);
    assert_int_equal(scene->status, cases[i].status);
    assert_true(scene->text[0] != '\0');
  }
  assert_int_equal(fake_count(&scene->fake, KIND_REQUEST), 0);
}

static void the_deadline_ends_what_nobody_answers(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");

  scene_connect(scene);
  request.deadline_us = 30000;
  scene_ask(scene, &request);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_DEADLINE);
}

static void without_a_broker_it_is_unavailable(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  ClientOptions options = {.endpoint = "ipc:///nonexistent/bus", .agent = TEXT("tester")};

  assert_int_equal(client_new(scene->loop, &options, &scene->client), 0);
  assert_int_equal(client_wait_open(scene->client, 20000), -ETIMEDOUT);
  request.deadline_us = 30000;
  scene_ask(scene, &request);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_UNAVAILABLE);
}

static void what_is_asked_before_the_session_is_sent_when_it_opens(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("early");
  ClientOptions options = {.endpoint = scene->fake.endpoint, .agent = TEXT("tester")};
  Taken *taken;

  assert_int_equal(client_new(scene->loop, &options, &scene->client), 0);
  scene_ask(scene, &request);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  assert_int_equal(taken->header.attempt, 0);
  fake_reply(&scene->fake, taken->header.id, BYTES_NONE);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  free(taken);
}

static void the_second_endpoint_is_tried(void **state) {
  Scene *scene = *state;
  char endpoints[256];
  ClientOptions options = {.endpoint = endpoints, .agent = TEXT("tester")};

  snprintf(endpoints, sizeof endpoints, "ipc:///nonexistent/bus,%s", scene->fake.endpoint);
  assert_int_equal(client_new(scene->loop, &options, &scene->client), 0);
  assert_int_equal(client_wait_open(scene->client, FAKE_PATIENCE_US), 0);
}

static void cancel_ends_it_and_tells_the_broker(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  Taken *taken;
  RequestId id;

  scene_connect(scene);
  id = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  client_cancel(scene->client, id);
  assert_int_equal(scene->ends, 0);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_CANCELLED);
  taken = fake_take(&scene->fake, KIND_CANCEL);
  assert_true(request_id_equal(taken->header.id, id));
  client_cancel(scene->client, id); /* it has ended: nothing */
  fake_run(&scene->fake, 10000);
  assert_int_equal(fake_count(&scene->fake, KIND_CANCEL), 0);
  free(taken);
}

static void a_large_body_travels_in_pieces(void **state) {
  Scene *scene = *state;
  size_t size = LIMIT_BODY_BYTES * 2 + 5;
  uint8_t *bytes = malloc(size);
  Ask request = {.service = TEXT("echo"), .method = TEXT("say"), .body = {bytes, size}};
  size_t at = 0;
  uint32_t number = 0;
  bool more = true;

  assert_non_null(bytes);
  for (size_t i = 0; i < size; i++)
    bytes[i] = (uint8_t)(i * 31 >> 3);
  scene_connect(scene);
  scene_ask(scene, &request);
  while (more) {
    Taken *taken = fake_take(&scene->fake, number == 0 ? KIND_REQUEST : KIND_CHUNK);

    assert_int_equal(taken->header.number, number++);
    assert_true(taken->body.size <= LIMIT_BODY_BYTES && at + taken->body.size <= size);
    assert_memory_equal(taken->body.data, bytes + at, taken->body.size);
    at += taken->body.size;
    more = (taken->header.flags & FLAG_MORE) != 0;
    free(taken);
  }
  assert_int_equal(at, size);
  assert_int_equal(number, 3);
  free(bytes);
}

static void over_the_quota_is_refused_here(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  AskHandler nobody = {.on_end = NULL};

  scene_connect(scene);
  for (int i = 0; i < LIMIT_CLIENT_REQUESTS; i++)
    assert_int_equal(client_ask(scene->client, &request, &nobody, NULL), 0);
  scene_ask(scene, &request);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_QUOTA);
  assert_int_equal(client_stats(scene->client).outstanding, LIMIT_CLIENT_REQUESTS);
}

/* Both ways: a broker may keep less than CLIENT_BYTES for one client, and more. */
static void over_the_quota_of_bytes_is_what_the_broker_says(void **state) {
  enum { BODY_BYTES = 12 << 20 };
  static const uint64_t said[] = {0, 20 << 20, 40 << 20};
  static const unsigned fit[] = {2, 1, 3};
  Scene *scene = *state;
  uint8_t *bytes = calloc(1, BODY_BYTES);
  _cleanup_(block_unref) Block *block = block_adopt((Bytes){bytes, BODY_BYTES}, bytes, free);
  Ask request = {.service = TEXT("echo"), .method = TEXT("say"), .body = block_bytes(block), .block = block};
  AskHandler nobody = {.on_end = NULL};

  for (size_t i = 0; i < ELEMENTS(said); i++) {
    unsigned before = 0;

    scene->fake.kept_max_bytes = said[i];
    scene_connect(scene);
    for (; before < fit[i]; before++)
      assert_int_equal(client_ask(scene->client, &request, &nobody, NULL), 0);
    scene_ask(scene, &request);
    scene_wait_end(scene);
    assert_int_equal(scene->status, STATUS_QUOTA);
    assert_int_equal(client_stats(scene->client).outstanding, fit[i]);
    if (i + 1 < ELEMENTS(said)) {
      scene_tear_down(state);
      scene_set_up(state);
      scene = *state;
    }
  }
}

static void destroy_ends_what_is_unanswered(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  Taken *taken;

  scene_connect(scene);
  scene_ask(scene, &request);
  client_destroy(&scene->client);
  assert_int_equal(scene->ends, 1);
  assert_int_equal(scene->status, STATUS_CANCELLED);
  taken = fake_take(&scene->fake, KIND_BYE);
  assert_int_equal(taken->header.flags, FLAG_CLEAN);
  free(taken);
}

/* --- retries --- */

static void a_refusal_without_effect_is_asked_again(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  RequestId first;
  Taken *taken;

  scene_connect(scene);
  first = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_error(&scene->fake, first, STATUS_NO_SERVICE, "nobody", 0);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  assert_false(request_id_equal(taken->header.id, first));
  assert_int_equal(taken->header.attempt, 0);
  fake_reply(&scene->fake, taken->header.id, BYTES_NONE);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(scene->attempts, 2);
  assert_true(request_id_equal(scene->id, taken->header.id));
  free(taken);
}

static void retries_are_counted(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");

  scene_connect(scene);
  scene_ask(scene, &request);
  for (int i = 0; i < 3; i++) {
    Taken *taken = fake_take(&scene->fake, KIND_REQUEST);

    assert_int_equal(scene->ends, 0);
    fake_error(&scene->fake, taken->header.id, STATUS_NO_SERVICE, "nobody", 0);
    free(taken);
  }
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_NO_SERVICE);
  assert_int_equal(scene->attempts, 3);
}

static void worker_lost_is_asked_again_only_when_idempotent(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  RequestId id;

  scene_connect(scene);
  id = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_error(&scene->fake, id, STATUS_WORKER_LOST, "gone", 0);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_WORKER_LOST);
  assert_int_equal(scene->attempts, 1);
  request.idempotent = true;
  id = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_error(&scene->fake, id, STATUS_WORKER_LOST, "gone", 0);
  free(fake_take(&scene->fake, KIND_REQUEST));
}

static void a_retried_request_is_cancelled_by_its_first_id(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  RequestId first;
  Taken *taken;
  Taken *cancel;

  scene_connect(scene);
  first = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_error(&scene->fake, first, STATUS_DRAINING, "draining", 0);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  client_cancel(scene->client, first);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_CANCELLED);
  cancel = fake_take(&scene->fake, KIND_CANCEL);
  assert_true(request_id_equal(cancel->header.id, taken->header.id));
  free(cancel);
  free(taken);
}

static void retry_after_beyond_the_deadline_is_an_end(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  RequestId id;

  scene_connect(scene);
  request.deadline_us = US_PER_S;
  id = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_error(&scene->fake, id, STATUS_OVERLOADED, "full", 5 * US_PER_S);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OVERLOADED);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(hello_says_who_it_is),
      CASE(new_refuses_what_is_no_name_and_no_endpoint),
      CASE(a_request_is_answered),
      CASE(requests_of_one_turn_travel_together),
      CASE(an_error_has_its_status_and_words),
      CASE(wrong_requests_end_by_name),
      CASE(the_deadline_ends_what_nobody_answers),
      CASE(without_a_broker_it_is_unavailable),
      CASE(what_is_asked_before_the_session_is_sent_when_it_opens),
      CASE(the_second_endpoint_is_tried),
      CASE(cancel_ends_it_and_tells_the_broker),
      CASE(a_large_body_travels_in_pieces),
      CASE(over_the_quota_is_refused_here),
      CASE(over_the_quota_of_bytes_is_what_the_broker_says),
      CASE(destroy_ends_what_is_unanswered),
      CASE(a_refusal_without_effect_is_asked_again),
      CASE(retries_are_counted),
      CASE(worker_lost_is_asked_again_only_when_idempotent),
      CASE(a_retried_request_is_cancelled_by_its_first_id),
      CASE(retry_after_beyond_the_deadline_is_an_end),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);

  return failed;
}
