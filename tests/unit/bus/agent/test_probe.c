/* An instance with a session at each of two brokers: credit, answers that change their broker, PROBE, the end. */
#include "tests/unit/bus/agent/stage.h"

static Stage stage;
static Fake other;
static Call *kept;

static void on_keep(Call *call, const void *request) {
  (void)request;
  call_keep(call);
  kept = call;
}

static void on_echo(Call *call, const void *request) {
  (void)request;
  call_reply_raw(call, call_body(call), NULL, TEXT_NONE);
}

static void on_pass_on(Call *call, const void *request) {
  static const CallTarget target = {{"next", 4}, {"step", 4}};

  (void)request;
  call_forward(call, &target, 1, BYTES_NONE);
}

static void on_stream(Call *call, const void *request) {
  on_keep(call, request);
  assert_int_equal(call_chunk_raw(call, (Bytes){(const uint8_t *)"one", 3}), 0);
}

static const Agent agent = {
    .name = "tester",
    .services = AGENT_SERVICES({"test", .methods = AGENT_METHODS({"keep", on_keep, .inline_ = true, .untyped = true},
                                                                 {"echo", on_echo, .inline_ = true, .untyped = true},
                                                                 {"pass", on_pass_on, .inline_ = true, .untyped = true},
                                                                 {"stream", on_stream, .inline_ = true, .untyped = true,
                                                                  .flags = METHOD_STREAMING})}),
    .concurrency = 2,
};

static int set_up(void **state) {
  static char endpoints[300];
  Taken *credit;

  (void)state;
  memset(&stage, 0, sizeof stage);
  fake_init(&stage.fake, NULL);
  fake_init(&other, NULL);
  other.incarnation = 2000;
  snprintf(endpoints, sizeof endpoints, "%s;%s", stage.fake.endpoint, other.endpoint);
  stage.options = (AgentOptions){.endpoint = endpoints, .name = agent.name};
  assert_int_equal(runtime_new(&agent, &stage.options, &stage.runtime), 0);
  stage.fake.loop = other.loop = stage.runtime->loop;
  fake_start(&stage.fake);
  fake_start(&other);
  credit = fake_take(&stage.fake, KIND_CREDIT);
  stage.credit = credit->header.credit;
  free(credit);
  free(fake_take(&other, KIND_CREDIT));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  fake_done(&other);
  stage_stop(&stage);
  return 0;
}

/* Sends work by a broker. */
static RequestId ask_by(Fake *fake, const char *method, uint32_t flags) {
  Header header = stage_request(&stage, method);

  header.flags = flags;
  header.window_bytes = flags & FLAG_STREAM ? 1000 : 0;
  fake_send(fake, &header, (Bytes){(const uint8_t *)"hi", 2});
  fake_run(fake, 20000);
  return header.id;
}

static void probe_by(Fake *fake, RequestId id, uint32_t attempt, uint64_t age_us, uint64_t chunk) {
  _cleanup_(buffer_done) Buffer body = {0};
  uint8_t bytes[16];
  ProbeItem item = {.id = {bytes, 16},
                    .attempt = attempt,
                    .age_us = age_us,
                    .has_chunk = true,
                    .chunk = chunk,
                    .has_window_bytes = true,
                    .window_bytes = 1000};
  ProbeBody probe = {.requests = {&item, 1}};

  for (int i = 0; i < 8; i++) {
    bytes[i] = (uint8_t)(id.client.value >> (56 - 8 * i));
    bytes[8 + i] = (uint8_t)(id.sequence >> (56 - 8 * i));
  }
  assert_int_equal(contract_encode(CONTRACT(ProbeBody), &probe, &body, NULL), 0);
  fake_send(fake, &(Header){.kind = KIND_PROBE}, buffer_bytes(&body));
}

static void expect_have(Fake *fake, RequestId id, uint32_t attempt, const char *state, uint64_t number) {
  Taken *taken = fake_take(fake, KIND_HAVE);
  HaveBody have;

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.attempt, attempt);
  assert_int_equal(taken->header.number, number);
  assert_int_equal(contract_decode(CONTRACT(HaveBody), taken->body, NULL, &have, NULL), 0);
  assert_int_equal(have.state.size, strlen(state));
  assert_memory_equal(have.state.data, state, have.state.size);
  free(taken);
}

static void expect_pass(Fake *fake, RequestId id, Status status) {
  Taken *taken = fake_take(fake, KIND_PASS);

  assert_true(request_id_equal(taken->header.id, id));
  assert_string_equal(status_name(taken->header.status), status_name(status));
  free(taken);
}

static void expect(Fake *fake, Kind kind, RequestId id, uint32_t attempt, Status status, const char *text) {
  Taken *taken = fake_take(fake, kind);

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.attempt, attempt);
  assert_int_equal(taken->header.status, status);
  if (text)
    assert_int_equal(taken->body.size, strlen(text));
  if (text)
    assert_memory_equal(taken->body.data, text, taken->body.size);
  free(taken);
}

static void answer_kept(const char *text) {
  call_reply_raw(TAKE(kept), (Bytes){(const uint8_t *)text, strlen(text)}, NULL, TEXT_NONE);
}

static void hello_says_that_it_can_be_probed(void **state) {
  Taken *taken = fake_take(&other, KIND_HELLO);
  Arena arena = {0};
  Hello hello;

  (void)state;
  assert_int_equal(contract_decode(CONTRACT(Hello), taken->body, &arena, &hello, NULL), 0);
  assert_int_equal(hello.features, FEATURE_PROBE | FEATURE_CONFIRM);
  arena_done(&arena);
  free(taken);
}

static void an_answer_goes_where_the_work_came_from(void **state) {
  RequestId id = ask_by(&other, "echo", 0);

  (void)state;
  expect(&other, KIND_REPLY, id, 0, STATUS_OK, "hi");
  assert_int_equal(fake_count(&stage.fake, KIND_REPLY), 0);
}

static void an_answer_whose_broker_is_gone_goes_to_the_other(void **state) {
  RequestId id = ask_by(&stage.fake, "keep", 0);

  (void)state;
  fake_stop(&stage.fake);
  fake_run(&other, 50000);
  answer_kept("late");
  expect(&other, KIND_REPLY, id, 0, STATUS_OK, "late");
}

static bool has_nothing(void *userdata) {
  const Runtime *runtime = userdata;

  return runtime->held == 0;
}

/* What was granted before may still be on its way. */
static void take_credit(Fake *fake, uint32_t wanted) {
  uint32_t granted;

  do {
    Taken *credit = fake_take(fake, KIND_CREDIT);

    granted = credit->header.credit;
    free(credit);
  } while (granted != wanted);
}

static void what_is_too_much_is_busy_and_credit_is_shared(void **state) {
  RequestId id;

  (void)state;
  ask_by(&stage.fake, "keep", 0);
  ask_by(&stage.fake, "keep", 0);
  stage.runtime->credit.prefetch = stage.runtime->credit.prefetch_before = 0;
  id = ask_by(&other, "keep", 0);
  expect(&other, KIND_NACK, id, 0, STATUS_BUSY, NULL);
  take_credit(&stage.fake, 1);
  answer_kept("done");
  take_credit(&other, 1);
}

static void a_probe_attaches_what_is_running(void **state) {
  RequestId id = ask_by(&stage.fake, "keep", 0);

  (void)state;
  probe_by(&other, id, 1, US_PER_S, 0);
  expect_have(&other, id, 1, "running", 0);
  expect(&stage.fake, KIND_NACK, id, 0, STATUS_STALE, NULL);
  fake_send(&stage.fake, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE); /* of a lower attempt */
  fake_run(&other, 20000);
  answer_kept("done");
  expect(&other, KIND_REPLY, id, 1, STATUS_OK, "done");
  assert_int_equal(fake_count(&stage.fake, KIND_REPLY), 0);
}

static void a_probe_finds_what_was_done(void **state) {
  RequestId id = ask_by(&stage.fake, "echo", 0);

  (void)state;
  expect(&stage.fake, KIND_REPLY, id, 0, STATUS_OK, "hi");
  probe_by(&other, id, 1, US_PER_S, 0);
  expect_have(&other, id, 1, "done", 0);
  expect(&other, KIND_REPLY, id, 1, STATUS_OK, "hi");
  probe_by(&stage.fake, id, 2, US_PER_S, 0);
  expect_have(&stage.fake, id, 2, "done", 0);
  probe_by(&other, id, 1, US_PER_S, 0);
  expect_pass(&other, id, STATUS_STALE);
}

static void a_probe_finds_what_was_forwarded(void **state) {
  RequestId id = ask_by(&stage.fake, "pass", 0);
  Taken *first = fake_take(&stage.fake, KIND_FORWARD);
  Taken *again;

  (void)state;
  probe_by(&other, id, 1, US_PER_S, 7); /* of whose stream the reader has seven pieces */
  expect_have(&other, id, 1, "forwarded", 0);
  again = fake_take(&other, KIND_FORWARD);
  assert_int_equal(again->header.attempt, 1);
  assert_int_equal(again->body.size, first->body.size);
  assert_memory_equal(again->body.data, first->body.data, first->body.size);
  free(first);
  free(again);
}

static void who_never_began_it_vouches_as_far_as_it_remembers(void **state) {
  RequestId id = stage_id(77);
  Header header = stage_request(&stage, "echo");

  (void)state;
  probe_by(&other, id, 1, 0, 0);
  expect_pass(&other, id, STATUS_OK);
  probe_by(&other, stage_id(78), 1, 3600 * US_PER_S, 0);
  expect_pass(&other, stage_id(78), STATUS_UNKNOWN); /* it was not there yet */
  header.id = id;
  fake_send(&stage.fake, &header, BYTES_NONE); /* what the other broker still sends is refused */
  expect(&stage.fake, KIND_NACK, id, 0, STATUS_STALE, NULL);
  header.attempt = 1;
  fake_send(&other, &header, (Bytes){(const uint8_t *)"hi", 2});
  expect(&other, KIND_REPLY, id, 1, STATUS_OK, "hi");
}

static void a_request_whose_body_was_cut_was_not_begun(void **state) {
  RequestId id = ask_by(&stage.fake, "echo", FLAG_MORE);

  (void)state;
  fake_stop(&stage.fake);
  fake_until(&other, has_nothing, stage.runtime);
  probe_by(&other, id, 1, 0, 0);
  expect_pass(&other, id, STATUS_OK);
  assert_int_equal(fake_count(&other, KIND_ERROR), 0);
}

static void a_stream_goes_on_for_who_asks(void **state) {
  RequestId id = ask_by(&stage.fake, "stream", FLAG_STREAM);

  (void)state;
  expect(&stage.fake, KIND_CHUNK, id, 0, STATUS_OK, "one");
  assert_int_equal(call_chunk_raw(kept, (Bytes){(const uint8_t *)"two", 3}), 0);
  expect(&stage.fake, KIND_CHUNK, id, 0, STATUS_OK, "two");
  fake_stop(&stage.fake);
  fake_run(&other, 20000);
  probe_by(&other, id, 1, US_PER_S, 1);
  expect_have(&other, id, 1, "running", 1);
  expect(&other, KIND_CHUNK, id, 1, STATUS_OK, "two"); /* which the broker took with it */
  assert_int_equal(call_chunk_raw(kept, (Bytes){(const uint8_t *)"three", 5}), 0);
  expect(&other, KIND_CHUNK, id, 1, STATUS_OK, "three");
  answer_kept("end");
  expect(&other, KIND_REPLY, id, 1, STATUS_OK, "end");
}

static void the_end_of_a_stream_is_said_again_with_what_is_wanted(void **state) {
  RequestId id = ask_by(&stage.fake, "stream", FLAG_STREAM);

  (void)state;
  assert_int_equal(call_chunk_raw(kept, (Bytes){(const uint8_t *)"two", 3}), 0);
  fake_run(&other, 20000);
  assert_int_equal(call_chunk_raw(kept, (Bytes){(const uint8_t *)"three", 5}), 0);
  answer_kept("end");
  fake_run(&other, 20000);
  probe_by(&other, id, 1, US_PER_S, 2);
  expect_have(&other, id, 1, "done", 2);
  expect(&other, KIND_CHUNK, id, 1, STATUS_OK, "three");
  expect(&other, KIND_REPLY, id, 1, STATUS_OK, "end");
  probe_by(&other, id, 2, US_PER_S, 9); /* more than there was */
  expect_have(&other, id, 2, "reply_gone", 0);
}

/* The execution that the next message of this kind is of. */
static uint64_t take_execution(Fake *fake, Kind kind) {
  Taken *taken = fake_take(fake, kind);
  uint64_t execution = taken->header.execution;

  free(taken);
  return execution;
}

static void each_execution_has_a_number_of_its_own(void **state) {
  RequestId id = ask_by(&stage.fake, "stream", FLAG_STREAM);
  uint64_t execution = take_execution(&stage.fake, KIND_CHUNK);

  (void)state;
  assert_int_not_equal(execution, 0);
  assert_int_equal(call_chunk_raw(kept, (Bytes){(const uint8_t *)"two", 3}), 0);
  assert_int_equal(take_execution(&stage.fake, KIND_CHUNK), 0); /* the first has said it */
  probe_by(&other, id, 1, US_PER_S, 0);
  assert_int_equal(take_execution(&other, KIND_HAVE), execution);
  assert_int_equal(take_execution(&other, KIND_CHUNK), execution);
  answer_kept("end");
  assert_int_equal(take_execution(&other, KIND_REPLY), execution);
  probe_by(&other, id, 2, US_PER_S, 1);
  assert_int_equal(take_execution(&other, KIND_HAVE), execution); /* from memory */
  assert_int_equal(take_execution(&other, KIND_REPLY), execution);
  ask_by(&stage.fake, "stream", FLAG_STREAM);
  assert_int_not_equal(take_execution(&stage.fake, KIND_CHUNK), execution);
  answer_kept("end");
  ask_by(&stage.fake, "echo", 0);
  free(fake_take(&stage.fake, KIND_REPLY));
  assert_int_equal(take_execution(&stage.fake, KIND_REPLY), 0); /* no chunk went before it */
}

static void what_the_reader_has_is_not_kept(void **state) {
  RequestId id = ask_by(&stage.fake, "stream", FLAG_STREAM);

  (void)state;
  fake_send(&stage.fake, &(Header){.kind = KIND_WINDOW, .id = id, .number = 1, .window_bytes = 2000}, BYTES_NONE);
  fake_run(&other, 20000);
  probe_by(&other, id, 1, US_PER_S, 0); /* a reader that forgot */
  expect_have(&other, id, 1, "running", 1);
  answer_kept("end");
}

static void a_stream_that_nobody_asks_for_is_stopped(void **state) {
  (void)state;
  ask_by(&stage.fake, "stream", FLAG_STREAM);
  fake_stop(&stage.fake);
  fake_run(&other, 100000);
  assert_false(call_cancelled(kept));
  brokers_on_patience(stage.runtime, 0);
  assert_true(call_cancelled(kept));
  answer_kept("for nobody");
}

static void keep_by(Fake *fake, RequestId id, uint32_t attempt) {
  Header request = {.kind = KIND_REQUEST,
                    .id = id,
                    .attempt = attempt,
                    .deadline_us = US_PER_S,
                    .service = TEXT("test"),
                    .method = TEXT("keep")};

  fake_send(fake, &request, BYTES_NONE);
}

/* Its broker thought that nobody waits for it. Who asks for it later has not cancelled it, and does not hear that it was. */
static void what_was_stopped_is_no_answer(void **state) {
  RequestId id = ask_by(&stage.fake, "keep", 0);

  (void)state;
  fake_send(&stage.fake, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE);
  fake_run(&stage.fake, 20000);
  assert_true(call_cancelled(kept));
  probe_by(&other, id, 1, US_PER_S, 0);
  expect_have(&other, id, 1, "reply_gone", 0);
  keep_by(&other, id, 1);
  expect(&other, KIND_NACK, id, 1, STATUS_BUSY, NULL);
  call_error(TAKE(kept), STATUS_CANCELLED, "stopped");
  expect(&stage.fake, KIND_ERROR, id, 0, STATUS_CANCELLED, NULL);
  keep_by(&stage.fake, id, 0); /* the attempt that was asked about stands above it */
  expect(&stage.fake, KIND_NACK, id, 0, STATUS_STALE, NULL);
  probe_by(&other, id, 2, US_PER_S, 0);
  expect_have(&other, id, 2, "reply_gone", 0);
}

static void drain_waits_for_both_echoes(void **state) {
  (void)state;
  runtime_drain(stage.runtime);
  free(fake_take(&stage.fake, KIND_DRAIN));
  free(fake_take(&other, KIND_DRAIN));
  fake_send(&stage.fake, &(Header){.kind = KIND_DRAIN}, BYTES_NONE);
  fake_run(&other, 30000);
  assert_int_equal(fake_count(&stage.fake, KIND_BYE), 0);
  fake_send(&other, &(Header){.kind = KIND_DRAIN}, BYTES_NONE);
  free(fake_take(&stage.fake, KIND_BYE));
  free(fake_take(&other, KIND_BYE));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(hello_says_that_it_can_be_probed),
      CASE(an_answer_goes_where_the_work_came_from),
      CASE(an_answer_whose_broker_is_gone_goes_to_the_other),
      CASE(what_is_too_much_is_busy_and_credit_is_shared),
      CASE(a_probe_attaches_what_is_running),
      CASE(a_probe_finds_what_was_done),
      CASE(a_probe_finds_what_was_forwarded),
      CASE(who_never_began_it_vouches_as_far_as_it_remembers),
      CASE(a_request_whose_body_was_cut_was_not_begun),
      CASE(a_stream_goes_on_for_who_asks),
      CASE(the_end_of_a_stream_is_said_again_with_what_is_wanted),
      CASE(each_execution_has_a_number_of_its_own),
      CASE(what_the_reader_has_is_not_kept),
      CASE(a_stream_that_nobody_asks_for_is_stopped),
      CASE(what_was_stopped_is_no_answer),
      CASE(drain_waits_for_both_echoes),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
