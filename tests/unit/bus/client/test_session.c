/* Sessions against the fake broker: life signs, losses, what becomes of requests. */
#include "tests/unit/bus/client/scene.h"

static void lose(Scene *scene) {
  socket_hang_up(scene->fake.socket, scene->fake.peer);
  fake_until(&scene->fake, scene_is_connecting, scene);
}

static void the_same_broker_is_asked_the_same_request_again(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  Taken *taken;
  RequestId id;

  scene_connect(scene);
  id = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  lose(scene);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.attempt, 1);
  assert_int_equal(scene->fake.hellos, 2);
  assert_int_equal(client_stats(scene->client).resent, 1);
  fake_reply(&scene->fake, id, BYTES_NONE);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  free(taken);
}

static void a_new_broker_says_that_nobody_can_know(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  Taken *taken;

  scene_connect(scene);
  scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_stop(&scene->fake);
  fake_start(&scene->fake);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  assert_int_equal(taken->header.attempt, 1);
  fake_error(&scene->fake, taken->header.id, STATUS_UNKNOWN, "nobody can know", 0);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_UNKNOWN);
  free(taken);
}

static void a_new_broker_is_asked_what_is_idempotent(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  Taken *taken;
  RequestId id;

  request.idempotent = true;
  scene_connect(scene);
  id = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_stop(&scene->fake);
  fake_start(&scene->fake);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.attempt, 1);
  free(taken);
}

static void asked_twice_and_refused_is_unknown_not_retried(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  Taken *taken;

  scene_connect(scene);
  scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  lose(scene);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  fake_error(&scene->fake, taken->header.id, STATUS_NO_SERVICE, "nobody", 0);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_UNKNOWN);
  assert_int_equal(scene->attempts, 1);
  free(taken);
}

static void lost_and_not_back_before_the_deadline(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");

  scene_connect(scene);
  request.deadline_us = 100000;
  scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_stop(&scene->fake);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_UNKNOWN);
  request.idempotent = true;
  scene_ask(scene, &request);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_UNAVAILABLE);
}

static void who_waits_asks_and_gives_up(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  uint64_t began_us;

  scene->fake.ping_interval_us = 20000;
  scene->fake.ping_timeout_us = 60000;
  scene_connect(scene);
  scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_run(&scene->fake, 100000);
  assert_true(scene->fake.pings >= 2);
  assert_int_equal(client_state(scene->client), CLIENT_OPEN);
  scene->fake.mute = true;
  began_us = clock_monotonic_us();
  fake_until(&scene->fake, scene_is_connecting, scene);
  assert_true(clock_monotonic_us() - began_us >= 40000);
  assert_int_equal(scene->why, STATUS_UNAVAILABLE);
}

static void who_waits_for_nothing_is_quiet(void **state) {
  Scene *scene = *state;

  scene->fake.ping_interval_us = 10000;
  scene->fake.ping_timeout_us = 30000;
  scene->fake.mute = true;
  scene_connect(scene);
  fake_run(&scene->fake, 150000);
  assert_int_equal(scene->fake.pings, 0);
  assert_int_equal(client_state(scene->client), CLIENT_OPEN);
}

static void ping_of_the_broker_is_answered(void **state) {
  Scene *scene = *state;
  Header ping = {.kind = KIND_PING, .number = 42};
  Taken *taken;

  scene_connect(scene);
  fake_send(&scene->fake, &ping, BYTES_NONE);
  taken = fake_take(&scene->fake, KIND_PONG);
  assert_int_equal(taken->header.number, 42);
  free(taken);
}

/* What a PING about a request is answered: 0, or STALE. */
static Status asked_about(Scene *scene, RequestId id, uint32_t attempt) {
  Header ping = {.kind = KIND_PING, .number = 43, .id = id, .attempt = attempt};
  Taken *taken;
  Status status;

  fake_send(&scene->fake, &ping, BYTES_NONE);
  taken = fake_take(&scene->fake, KIND_PONG);
  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.attempt, attempt);
  assert_int_equal(taken->header.number, 43);
  status = taken->header.status;
  free(taken);
  return status;
}

static void a_ping_about_a_request_is_answered_by_whether_it_waits(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("x");
  RequestId other;
  RequestId id;

  scene_connect(scene);
  id = scene_ask(scene, &request);
  other = (RequestId){id.client, id.sequence + 1};
  free(fake_take(&scene->fake, KIND_REQUEST));
  assert_int_equal(asked_about(scene, id, 0), STATUS_OK);
  assert_int_equal(asked_about(scene, id, 1), STATUS_STALE);
  assert_int_equal(asked_about(scene, other, 0), STATUS_STALE);
}

static void a_refusal_is_told_by_name(void **state) {
  Scene *scene = *state;

  scene->fake.refuse = STATUS_UNSUPPORTED_VERSION;
  scene_begin(scene);
  assert_int_equal(client_wait_open(scene->client, FAKE_PATIENCE_US), -EPERM);
  assert_int_equal(scene->state, CLIENT_REFUSED);
  assert_int_equal(scene->why, STATUS_UNSUPPORTED_VERSION);
}

static void a_session_that_the_broker_does_not_know_is_made_anew(void **state) {
  Scene *scene = *state;

  scene_connect(scene);
  fake_error(&scene->fake, (RequestId){{0}, 0}, STATUS_NO_HELLO, "who are you?", 0);
  fake_until(&scene->fake, scene_is_connecting, scene);
  fake_until(&scene->fake, scene_is_open, scene);
  assert_int_equal(scene->fake.hellos, 2);
}

static void goaway_holds_back_what_is_new(void **state) {
  Scene *scene = *state;
  Header goaway = {.kind = KIND_GOAWAY};
  Header bye = {.kind = KIND_BYE};
  Ask request = scene_say("old");
  RequestId old;
  Taken *taken;

  scene_connect(scene);
  old = scene_ask(scene, &request);
  free(fake_take(&scene->fake, KIND_REQUEST));
  fake_send(&scene->fake, &goaway, BYTES_NONE);
  fake_reply(&scene->fake, old, BYTES_NONE);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(client_state(scene->client), CLIENT_GOING_AWAY);
  request = scene_say("new");
  scene_ask(scene, &request);
  fake_run(&scene->fake, 20000);
  assert_int_equal(fake_count(&scene->fake, KIND_REQUEST), 0);
  fake_send(&scene->fake, &bye, BYTES_NONE);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  assert_memory_equal(taken->body.data, "new", 3);
  assert_int_equal(taken->header.attempt, 0);
  assert_int_equal(scene->fake.hellos, 2);
  free(taken);
}

/* It was on its way when the broker said GOAWAY: many at once are no retries, for which there is a budget. */
static void what_a_stopping_broker_did_not_take_waits_for_the_next_session(void **state) {
  enum { MANY = 64 };
  Scene *scene = *state;
  Ask request = scene_say("old");
  RequestId ids[MANY];

  request.attempts = 1;
  scene_connect(scene);
  for (int i = 0; i < MANY; i++)
    ids[i] = scene_ask(scene, &request);
  for (int i = 0; i < MANY; i++)
    free(fake_take(&scene->fake, KIND_REQUEST));
  fake_send(&scene->fake, &(Header){.kind = KIND_GOAWAY}, BYTES_NONE);
  for (int i = 0; i < MANY; i++)
    fake_error(&scene->fake, ids[i], STATUS_DRAINING, "takes nothing new", 0);
  fake_run(&scene->fake, 20000);
  assert_int_equal(scene->ends, 0);
  fake_send(&scene->fake, &(Header){.kind = KIND_BYE}, BYTES_NONE);
  for (int i = 0; i < MANY; i++) {
    Taken *taken = fake_take(&scene->fake, KIND_REQUEST);

    assert_int_equal(taken->header.attempt, 0); /* nobody has begun it */
    fake_reply(&scene->fake, taken->header.id, BYTES_NONE);
    free(taken);
    scene_wait_end(scene);
    assert_int_equal(scene->status, STATUS_OK);
  }
}

/* Turns away whatever comes, and whoever. */
static void turn_away(Scene *scene, uint32_t *requests) {
  Fake *fake = &scene->fake;

  while (fake_count(fake, KIND_REQUEST) > 0) {
    Taken *taken = fake_take(fake, KIND_REQUEST);

    fake_send(fake, &(Header){.kind = KIND_GOAWAY}, BYTES_NONE);
    fake_error(fake, taken->header.id, STATUS_DRAINING, "takes nothing new", 0);
    free(taken);
    (*requests)++;
  }
  fake_send(fake, &(Header){.kind = KIND_BYE}, BYTES_NONE);
  fake_until(fake, scene_is_connecting, scene);
  fake_until(fake, scene_is_open, scene);
  fake_run(fake, 2000);
}

/* Brokers that come and go are not asked as fast as they do, and nobody is told that it failed while there is time. */
static void who_is_turned_away_again_and_again_waits_in_between(void **state) {
  enum { SESSIONS = 40 };
  Scene *scene = *state;
  Ask request = scene_say("old");
  uint32_t requests = 0;
  Taken *taken;

  request.attempts = 1;
  scene_connect(scene);
  scene_ask(scene, &request);
  fake_run(&scene->fake, 2000);
  while (scene->fake.hellos < SESSIONS)
    turn_away(scene, &requests);
  assert_in_range(requests, 3, SESSIONS / 2);
  assert_int_equal(scene->ends, 0);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  fake_reply(&scene->fake, taken->header.id, BYTES_NONE);
  free(taken);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
}

static void the_deadline_ends_a_pause(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("old");
  uint32_t requests = 0;

  request.attempts = 1;
  request.deadline_us = 300000;
  scene_connect(scene);
  scene_ask(scene, &request);
  fake_run(&scene->fake, 2000);
  while (scene->ends == 0)
    turn_away(scene, &requests);
  scene_wait_end(scene);
  /* Nobody has it, or somebody just has; or a session was lost with it. */
  assert_true(scene->status == STATUS_UNAVAILABLE || scene->status == STATUS_DEADLINE ||
              scene->status == STATUS_UNKNOWN);
  assert_true(requests > 0);
}

static void rubbish_is_counted(void **state) {
  Scene *scene = *state;
  uint64_t before;

  scene_connect(scene);
  before = client_stats(scene->client).dropped;
  assert_int_equal(
      socket_send(scene->fake.socket, scene->fake.peer, (Bytes){(const uint8_t *)"rubbish", 7}, BYTES_NONE, NULL), 0);
  fake_send(&scene->fake, &(Header){.kind = KIND_PACK}, (Bytes){(const uint8_t *)"rubbish", 7});
  fake_send(&scene->fake, &(Header){.kind = KIND_HELLO}, BYTES_NONE);
  fake_send(&scene->fake, &(Header){.kind = KIND_WELCOME, .session = {9}}, BYTES_NONE);
  fake_run(&scene->fake, 20000);
  assert_int_equal(client_stats(scene->client).dropped - before, 4);
  assert_int_equal(client_state(scene->client), CLIENT_OPEN);
}

static void a_large_request_waits_for_room(void **state) {
  Scene *scene = *state;
  uint8_t *bytes = calloc(1, LIMIT_REQUEST_BYTES);
  Ask request = {.service = TEXT("echo"), .method = TEXT("say"), .body = {bytes, LIMIT_REQUEST_BYTES}};
  size_t got = 0;
  Taken *taken;

  assert_non_null(bytes);
  scene_connect(scene);
  scene_ask(scene, &request);
  free(bytes); /* it was copied */
  taken = fake_take(&scene->fake, KIND_REQUEST);
  got = taken->body.size;
  free(taken);
  while (got < LIMIT_REQUEST_BYTES) {
    taken = fake_take(&scene->fake, KIND_CHUNK);
    got += taken->body.size;
    free(taken);
  }
  assert_int_equal(got, LIMIT_REQUEST_BYTES);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(the_same_broker_is_asked_the_same_request_again),
      CASE(a_new_broker_says_that_nobody_can_know),
      CASE(a_new_broker_is_asked_what_is_idempotent),
      CASE(asked_twice_and_refused_is_unknown_not_retried),
      CASE(lost_and_not_back_before_the_deadline),
      CASE(who_waits_asks_and_gives_up),
      CASE(who_waits_for_nothing_is_quiet),
      CASE(ping_of_the_broker_is_answered),
      CASE(a_ping_about_a_request_is_answered_by_whether_it_waits),
      CASE(a_refusal_is_told_by_name),
      CASE(a_session_that_the_broker_does_not_know_is_made_anew),
      CASE(goaway_holds_back_what_is_new),
      CASE(what_a_stopping_broker_did_not_take_waits_for_the_next_session),
      CASE(who_is_turned_away_again_and_again_waits_in_between),
      CASE(the_deadline_ends_a_pause),
      CASE(rubbish_is_counted),
      CASE(a_large_request_waits_for_room),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);

  return failed;
}
