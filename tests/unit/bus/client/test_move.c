/* A client with a session at each of two brokers: whom it asks, when it moves, what it sends again, whose word counts. */
#include "tests/unit/bus/client/scene.h"

typedef struct Pair {
  Scene scene; /* its fake is the preferred broker */
  Fake other;
  char text[64]; /* of a stream */
} Pair;

static int set_up(void **state) {
  Pair *pair = calloc(1, sizeof *pair);

  assert_non_null(pair);
  assert_int_equal(loop_new(&pair->scene.loop), 0);
  fake_init(&pair->scene.fake, pair->scene.loop);
  fake_init(&pair->other, pair->scene.loop);
  pair->other.incarnation = 2000;
  *state = pair;
  return 0;
}

static int tear_down(void **state) {
  Pair *pair = *state;

  client_destroy(&pair->scene.client);
  fake_done(&pair->scene.fake);
  fake_done(&pair->other);
  loop_destroy(&pair->scene.loop);
  free(pair);
  return 0;
}

static void begin(Pair *pair) {
  Scene *scene = &pair->scene;
  char endpoints[300];
  ClientOptions options = {
      .endpoint = endpoints, .agent = TEXT("tester"), .on_state = on_scene_state, .userdata = scene};

  snprintf(endpoints, sizeof endpoints, "%s;%s", scene->fake.endpoint, pair->other.endpoint);
  assert_int_equal(client_new(scene->loop, &options, &scene->client), 0);
}

static bool has_both(void *userdata) {
  const Pair *pair = userdata;

  return client_stats(pair->scene.client).sessions == 2;
}

static void connect_both(Pair *pair) {
  begin(pair);
  fake_until(&pair->scene.fake, has_both, pair);
}

/* Asks, and waits until the preferred broker has it. */
static RequestId ask_first(Pair *pair, const Ask *request) {
  RequestId id = scene_ask(&pair->scene, request);
  Taken *taken = fake_take(&pair->scene.fake, KIND_REQUEST);

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.attempt, 0);
  free(taken);
  return id;
}

/* Takes the same request at a broker, with that attempt. */
static void expect_again(Fake *fake, RequestId id, uint32_t attempt) {
  Taken *taken = fake_take(fake, KIND_REQUEST);

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.attempt, attempt);
  free(taken);
}

static void expect_end(Pair *pair, Status status) {
  scene_wait_end(&pair->scene);
  assert_string_equal(status_name(pair->scene.status), status_name(status));
}

static void wrong_lists_are_refused(void **state) {
  Pair *pair = *state;
  Client *client = NULL;
  static const char *const lists[] = {";", "ipc:///x;", ";ipc:///x", "ipc:///x;ipc:///y;ipc:///z", "ipc:///x;,"};

  for (size_t i = 0; i < ELEMENTS(lists); i++)
    assert_int_equal(client_new(pair->scene.loop, &(ClientOptions){.endpoint = lists[i], .agent = TEXT("a")}, &client),
                     -EINVAL);
  assert_null(client);
}

static void the_preferred_broker_is_asked(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");

  connect_both(pair);
  fake_reply(&pair->scene.fake, ask_first(pair, &request), BYTES_NONE);
  expect_end(pair, STATUS_OK);
  assert_int_equal(fake_count(&pair->other, KIND_REQUEST), 0);
  assert_int_equal(pair->scene.states, 1); /* the second session is no news */
}

static void a_lost_session_moves_what_is_unanswered(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  connect_both(pair);
  id = ask_first(pair, &request);
  fake_stop(&pair->scene.fake);
  expect_again(&pair->other, id, 1);
  assert_int_equal(client_state(pair->scene.client), CLIENT_OPEN);
  fake_reply(&pair->other, id, BYTES_NONE);
  expect_end(pair, STATUS_OK);
  assert_int_equal(client_stats(pair->scene.client).resent, 1);
  assert_int_equal(client_stats(pair->scene.client).moves, 1);
}

static void two_losses_in_a_row(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  connect_both(pair);
  id = ask_first(pair, &request);
  fake_stop(&pair->scene.fake);
  expect_again(&pair->other, id, 1);
  fake_start(&pair->scene.fake);
  free(fake_take(&pair->scene.fake, KIND_HELLO));
  free(fake_take(&pair->scene.fake, KIND_HELLO));
  fake_stop(&pair->other);
  expect_again(&pair->scene.fake, id, 2);
  fake_reply(&pair->scene.fake, id, BYTES_NONE);
  expect_end(pair, STATUS_OK);
}

static void both_gone_is_unknown_or_unavailable(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");

  connect_both(pair);
  request.deadline_us = 150000;
  ask_first(pair, &request);
  fake_stop(&pair->scene.fake);
  fake_stop(&pair->other);
  expect_end(pair, STATUS_UNKNOWN);
  scene_ask(&pair->scene, &request);
  expect_end(pair, STATUS_UNAVAILABLE);
}

static void a_silent_broker_is_left(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  pair->scene.fake.ping_interval_us = 20000;
  pair->scene.fake.ping_timeout_us = 40000;
  connect_both(pair);
  pair->scene.fake.mute = true;
  id = ask_first(pair, &request);
  expect_again(&pair->other, id, 1);
  assert_int_equal(pair->other.pings, 0); /* nobody waits there until now */
}

static void a_loss_is_not_forgiven_at_once(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  connect_both(pair);
  free(fake_take(&pair->scene.fake, KIND_HELLO));
  fake_stop(&pair->scene.fake);
  fake_start(&pair->scene.fake);
  free(fake_take(&pair->scene.fake, KIND_HELLO));
  fake_run(&pair->scene.fake, 30000);
  id = scene_ask(&pair->scene, &request);
  expect_again(&pair->other, id, 0);
}

static void who_came_late_is_returned_to_when_idle(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  fake_stop(&pair->scene.fake);
  begin(pair);
  assert_int_equal(client_wait_open(pair->scene.client, FAKE_PATIENCE_US), 0);
  id = scene_ask(&pair->scene, &request);
  expect_again(&pair->other, id, 0);
  fake_start(&pair->scene.fake);
  fake_until(&pair->scene.fake, has_both, pair);
  assert_int_equal(client_stats(pair->scene.client).moves, 0); /* one is outstanding */
  fake_reply(&pair->other, id, BYTES_NONE);
  expect_end(pair, STATUS_OK);
  assert_int_equal(client_stats(pair->scene.client).moves, 1);
  ask_first(pair, &request);
}

/* --- what a broker says of itself --- */

static void goaway_moves_at_once(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  connect_both(pair);
  id = ask_first(pair, &request);
  fake_send(&pair->scene.fake, &(Header){.kind = KIND_GOAWAY}, BYTES_NONE);
  expect_again(&pair->other, id, 1);
  assert_int_equal(client_state(pair->scene.client), CLIENT_OPEN);
  fake_error(&pair->scene.fake, id, STATUS_WORKER_LOST, "by a lower attempt", 0);
  fake_run(&pair->scene.fake, 20000);
  assert_int_equal(pair->scene.ends, 0);
  fake_reply(&pair->other, id, BYTES_NONE);
  expect_end(pair, STATUS_OK);
  assert_int_equal(fake_count(&pair->scene.fake, KIND_CANCEL), 0); /* the instance frees what is held there */
}

static void the_first_reply_is_the_answer(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  connect_both(pair);
  id = ask_first(pair, &request);
  fake_send(&pair->scene.fake, &(Header){.kind = KIND_GOAWAY}, BYTES_NONE);
  expect_again(&pair->other, id, 1);
  fake_reply(&pair->scene.fake, id, (Bytes){(const uint8_t *)"first", 5});
  expect_end(pair, STATUS_OK);
  assert_string_equal(pair->scene.body, "first");
  fake_reply(&pair->other, id, (Bytes){(const uint8_t *)"second", 6});
  fake_run(&pair->other, 20000);
  assert_int_equal(pair->scene.ends, 0);
}

static void goaway_of_both_lets_them_finish(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  connect_both(pair);
  id = ask_first(pair, &request);
  fake_send(&pair->other, &(Header){.kind = KIND_GOAWAY}, BYTES_NONE);
  fake_run(&pair->other, 20000);
  fake_send(&pair->scene.fake, &(Header){.kind = KIND_GOAWAY}, BYTES_NONE);
  fake_run(&pair->other, 20000);
  assert_int_equal(client_state(pair->scene.client), CLIENT_GOING_AWAY);
  assert_int_equal(fake_count(&pair->other, KIND_REQUEST), 0);
  fake_reply(&pair->scene.fake, id, BYTES_NONE);
  expect_end(pair, STATUS_OK);
}

static void no_is_final_when_both_have_said_it(void **state) {
  static const Status cases[] = {STATUS_NO_SERVICE, STATUS_OVERLOADED};
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  request.attempts = 1;
  connect_both(pair);
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    id = ask_first(pair, &request);
    fake_error(&pair->scene.fake, id, cases[i], "not here", 0);
    expect_again(&pair->other, id, 1);
    assert_int_equal(pair->scene.ends, 0);
    fake_error(&pair->other, id, cases[i], "nor here", 0);
    expect_end(pair, cases[i]);
    assert_string_equal(pair->scene.text, "nor here");
  }
}

static void the_other_may_have_what_one_has_not(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  connect_both(pair);
  id = ask_first(pair, &request);
  fake_error(&pair->scene.fake, id, STATUS_OTHER_BROKER, "it is warming", 0);
  expect_again(&pair->other, id, 1);
  fake_reply(&pair->other, id, BYTES_NONE);
  expect_end(pair, STATUS_OK);
}

/* Whom one broker has lost the other may still have: it finds out, and if it can't, that is UNKNOWN and no longer "lost". */
static void a_worker_that_one_has_lost(void **state) {
  static const Status ends[] = {STATUS_OK, STATUS_UNKNOWN, STATUS_WORKER_LOST};
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  request.attempts = 1;
  connect_both(pair);
  for (size_t i = 0; i < ELEMENTS(ends); i++) {
    id = ask_first(pair, &request);
    fake_error(&pair->scene.fake, id, STATUS_WORKER_LOST, "it went away", 0);
    expect_again(&pair->other, id, 1);
    assert_int_equal(pair->scene.ends, 0);
    if (ends[i] == STATUS_OK)
      fake_reply(&pair->other, id, BYTES_NONE);
    else
      fake_error(&pair->other, id, ends[i], "it went away here too", 0);
    expect_end(pair, ends[i]);
  }
}

static void a_warming_broker_is_not_preferred(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  RequestId id;

  fake_stop(&pair->scene.fake);
  begin(pair);
  assert_int_equal(client_wait_open(pair->scene.client, FAKE_PATIENCE_US), 0);
  pair->scene.fake.warming = true;
  fake_start(&pair->scene.fake);
  fake_until(&pair->scene.fake, has_both, pair);
  id = scene_ask(&pair->scene, &request);
  expect_again(&pair->other, id, 0);
  fake_send(&pair->scene.fake, &(Header){.kind = KIND_WARM}, BYTES_NONE);
  fake_reply(&pair->other, id, BYTES_NONE);
  expect_end(pair, STATUS_OK);
  fake_run(&pair->other, 20000);
  ask_first(pair, &request);
}

/* --- streams --- */

static void on_chunk(void *userdata, const AskChunk *chunk) {
  Pair *pair = userdata;

  strncat(pair->text, (const char *)chunk->body.data, chunk->body.size);
}

static void on_stream_end(void *userdata, const Answer *answer) {
  Pair *pair = userdata;

  on_scene_end(&pair->scene, answer);
}

enum { ITS_OWN = 7001, ANOTHER = 7002 }; /* executions */

static void send_chunk(Fake *fake, RequestId id, uint32_t attempt, uint64_t number, const char *text) {
  Header header = {.kind = KIND_CHUNK, .id = id, .attempt = attempt, .number = number};

  header.execution = number == 0 ? ITS_OWN : 0;

  fake_send(fake, &header, (Bytes){(const uint8_t *)text, strlen(text)});
}

static RequestId ask_stream(Pair *pair) {
  Ask request = scene_say("x");
  AskHandler handler = {.on_chunk = on_chunk, .on_end = on_stream_end, .userdata = pair};
  RequestId id;

  request.stream = true;
  request.window_bytes = 1000;
  assert_int_equal(client_ask(pair->scene.client, &request, &handler, &id), 0);
  free(fake_take(&pair->scene.fake, KIND_REQUEST));
  return id;
}

static void a_stream_goes_on_where_it_was(void **state) {
  Pair *pair = *state;
  Taken *again;
  RequestId id;

  pair->other.features = FEATURE_PROBE;
  connect_both(pair);
  id = ask_stream(pair);
  send_chunk(&pair->scene.fake, id, 0, 0, "a");
  send_chunk(&pair->scene.fake, id, 0, 1, "b");
  fake_run(&pair->other, 20000);
  fake_stop(&pair->scene.fake);
  again = fake_take(&pair->other, KIND_REQUEST);
  assert_int_equal(again->header.attempt, 1);
  assert_int_equal(again->header.number, 2);
  assert_int_equal(again->header.execution, ITS_OWN);
  assert_int_equal(again->header.window_bytes, 1000);
  assert_true(again->header.age_us >= 20000);
  send_chunk(&pair->other, id, 1, 1, "B"); /* it is here already */
  send_chunk(&pair->other, id, 0, 2, "C"); /* of a lower attempt */
  send_chunk(&pair->other, id, 1, 2, "c");
  fake_send(&pair->other, &(Header){.kind = KIND_REPLY, .id = id, .attempt = 1, .number = 3}, BYTES_NONE);
  expect_end(pair, STATUS_OK);
  assert_string_equal(pair->text, "abc");
  free(again);
}

static void send_end(Fake *fake, RequestId id, uint32_t attempt, uint64_t number, uint64_t execution) {
  Header header = {.kind = KIND_REPLY, .id = id, .attempt = attempt, .number = number, .execution = execution};

  fake_send(fake, &header, BYTES_NONE);
  fake_run(fake, 20000);
}

/* The broker that was left, and came back, says the end of what it has begun: as many chunks, or more, and others. */
static void the_end_of_another_execution_is_none(void **state) {
  Pair *pair = *state;
  RequestId id;

  pair->other.features = FEATURE_PROBE;
  connect_both(pair);
  id = ask_stream(pair);
  fake_send(&pair->scene.fake, &(Header){.kind = KIND_GOAWAY}, BYTES_NONE);
  expect_again(&pair->other, id, 1);
  send_chunk(&pair->other, id, 1, 0, "a");
  fake_run(&pair->other, 20000);
  send_end(&pair->scene.fake, id, 0, 1, ANOTHER);
  send_end(&pair->other, id, 0, 2, 0);
  assert_int_equal(pair->scene.ends, 0);
  send_end(&pair->scene.fake, id, 0, 1, ITS_OWN);
  expect_end(pair, STATUS_OK);
  assert_string_equal(pair->text, "a");
}

/* No broker says so of the attempt that it has; one that does gets a named end. */
static void the_wrong_end_of_an_attempt_loses_it(void **state) {
  Pair *pair = *state;
  RequestId id;

  connect_both(pair);
  id = ask_stream(pair);
  send_chunk(&pair->scene.fake, id, 0, 0, "a");
  send_end(&pair->scene.fake, id, 0, 1, ANOTHER);
  expect_end(pair, STATUS_STREAM_LOST);
}

static void without_probes_a_stream_is_lost(void **state) {
  Pair *pair = *state;
  RequestId id;

  connect_both(pair);
  id = ask_stream(pair);
  send_chunk(&pair->scene.fake, id, 0, 0, "a");
  fake_run(&pair->other, 20000);
  fake_stop(&pair->scene.fake);
  expect_end(pair, STATUS_STREAM_LOST);
  assert_int_equal(fake_count(&pair->other, KIND_REQUEST), 0);
}

static void cancel_carries_the_attempt(void **state) {
  Pair *pair = *state;
  Ask request = scene_say("x");
  Taken *taken;
  RequestId id;

  connect_both(pair);
  id = ask_first(pair, &request);
  fake_stop(&pair->scene.fake);
  expect_again(&pair->other, id, 1);
  client_cancel(pair->scene.client, id);
  taken = fake_take(&pair->other, KIND_CANCEL);
  assert_int_equal(taken->header.attempt, 1);
  free(taken);
  expect_end(pair, STATUS_CANCELLED);
}

static bool is_told_twice(void *userdata) {
  const Pair *pair = userdata;

  return pair->scene.states == 2;
}

static void a_second_broker_that_refuses_is_told_once(void **state) {
  Pair *pair = *state;

  pair->other.refuse = STATUS_LIMIT;
  begin(pair);
  fake_until(&pair->scene.fake, is_told_twice, pair);
  assert_int_equal(pair->scene.state, CLIENT_OPEN);
  assert_int_equal(pair->scene.why, STATUS_LIMIT);
}

static void who_leaves_says_so_to_both(void **state) {
  Pair *pair = *state;

  connect_both(pair);
  client_destroy(&pair->scene.client);
  free(fake_take(&pair->scene.fake, KIND_BYE));
  free(fake_take(&pair->other, KIND_BYE));
}

/* --- events --- */

static void count_event(void *userdata, const BusEvent *event) {
  int *events = userdata;

  (void)event;
  ++*events;
}

static void send_event(Fake *fake, uint64_t sequence) {
  Header header = {.kind = KIND_EVENT, .id = {{5}, sequence}, .service = TEXT("a.x")};

  fake_send(fake, &header, BYTES_NONE);
}

static void events_are_heard_from_both_and_come_once(void **state) {
  Pair *pair = *state;
  int events = 0;

  connect_both(pair);
  assert_int_equal(client_subscribe(pair->scene.client, TEXT("a.x"), count_event, &events, NULL), 0);
  free(fake_take(&pair->scene.fake, KIND_SUBSCRIBE));
  free(fake_take(&pair->other, KIND_SUBSCRIBE));
  send_event(&pair->scene.fake, 1);
  send_event(&pair->other, 1);
  send_event(&pair->other, 2);
  fake_run(&pair->other, 20000);
  assert_int_equal(events, 2);
  assert_int_equal(client_stats(pair->scene.client).events_dropped, 1);
  fake_stop(&pair->scene.fake);
  send_event(&pair->other, 3);
  fake_run(&pair->other, 20000);
  assert_int_equal(events, 3);
}

static void events_are_published_by_one(void **state) {
  Pair *pair = *state;
  Taken *taken;

  connect_both(pair);
  assert_int_equal(client_publish(pair->scene.client, TEXT("a.x"), BYTES_NONE, false), 0);
  free(fake_take(&pair->scene.fake, KIND_PUBLISH));
  fake_run(&pair->other, 10000);
  assert_int_equal(fake_count(&pair->other, KIND_PUBLISH), 0);
  fake_stop(&pair->scene.fake);
  fake_run(&pair->other, 20000);
  assert_int_equal(client_publish(pair->scene.client, TEXT("a.x"), BYTES_NONE, false), 0);
  taken = fake_take(&pair->other, KIND_PUBLISH);
  assert_int_equal(taken->header.id.sequence, 2);
  free(taken);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(wrong_lists_are_refused),
      CASE(the_preferred_broker_is_asked),
      CASE(a_lost_session_moves_what_is_unanswered),
      CASE(two_losses_in_a_row),
      CASE(both_gone_is_unknown_or_unavailable),
      CASE(a_silent_broker_is_left),
      CASE(a_loss_is_not_forgiven_at_once),
      CASE(who_came_late_is_returned_to_when_idle),
      CASE(goaway_moves_at_once),
      CASE(the_first_reply_is_the_answer),
      CASE(goaway_of_both_lets_them_finish),
      CASE(no_is_final_when_both_have_said_it),
      CASE(the_other_may_have_what_one_has_not),
      CASE(a_worker_that_one_has_lost),
      CASE(a_warming_broker_is_not_preferred),
      CASE(a_stream_goes_on_where_it_was),
      CASE(the_end_of_another_execution_is_none),
      CASE(the_wrong_end_of_an_attempt_loses_it),
      CASE(without_probes_a_stream_is_lost),
      CASE(cancel_carries_the_attempt),
      CASE(a_second_broker_that_refuses_is_told_once),
      CASE(who_leaves_says_so_to_both),
      CASE(events_are_heard_from_both_and_come_once),
      CASE(events_are_published_by_one),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);

  return failed;
}
