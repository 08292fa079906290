/* The runtime against a fake broker: from HELLO to BYE. */
#include <assert.h>

#include "tests/unit/bus/agent/stage.h"

enum { CONCURRENCY = 2 };

static _Atomic int executed;
static _Atomic int cancelled_seen;
static sem_t gate;
static Call *kept;

static void on_copy(Call *call, const void *request) {
  assert(request == NULL);
  executed++;
  call_reply_raw(call, call_body(call), NULL, call_content_type(call));
}

static void on_nothing(Call *call, const void *request) {
  (void)call;
  (void)request;
}

static void on_twice(Call *call, const void *request) {
  on_copy(call, request);
  call_error(call, STATUS_INTERNAL, "too late");
}

static void on_kept(Call *call, const void *request) {
  (void)request;
  executed++;
  call_keep(call);
  kept = call;
}

/* Waits at the gate, which opens for a cancel too. */
static void on_gate(Call *call, const void *request) {
  (void)request;
  executed++;
  while (sem_trywait(&gate) != 0 && call_wait(call, 1000))
    continue;
  if (call_cancelled(call)) {
    cancelled_seen++;
    call_error(call, STATUS_CANCELLED, "taken back");
  } else {
    call_reply_raw(call, call_body(call), NULL, TEXT_NONE);
  }
}

static void on_forward(Call *call, const void *request) {
  static const CallTarget targets[] = {{{"other", 5}, {"one", 3}}, {{"other@x", 7}, {"two", 3}}};
  size_t count = call_body(call).size ? 9 : 2;

  (void)request;
  assert(call_forward(call, targets, count, call_annotations(call)) == (count == 2 ? 0 : -EINVAL));
}

/* Fails with all that can be said; a body asks for more than fits. */
static void on_fail(Call *call, const void *request) {
  static char endless[4000];
  bool overlong = call_body(call).size > 0;

  (void)request;
  memset(endless, 'x', sizeof endless);
  call_fail(call, &(CallFault){.status = overlong ? STATUS_FAILED : STATUS_REFUSED,
                               .message = overlong ? (Text){endless, sizeof endless} : TEXT("too long"),
                               .path = TEXT("messages"),
                               .code = TEXT("context_length_exceeded"),
                               .http_status = 422,
                               .retry_after_us = overlong ? UINT64_MAX : 5});
}

static void on_large(Call *call, const void *request) {
  uint8_t *bytes = calloc(1, LIMIT_BODY_BYTES + 1);
  Bytes body = call_body(call);

  (void)request;
  executed++;
  assert(bytes);
  if (body.size)
    assert(call_reply_raw(call, (Bytes){bytes, LIMIT_BODY_BYTES + 1}, NULL, TEXT_NONE) == -EMSGSIZE);
  else
    assert(call_reply_raw(call, (Bytes){bytes, LIMIT_BODY_BYTES}, NULL, TEXT_NONE) == 0);
  free(bytes);
}

static void on_annotation(Call *call, const void *request) {
  Text text = call_annotation(call, "key");

  (void)request;
  call_reply_raw(call, (Bytes){(const uint8_t *)text.data, text.size}, NULL, TEXT_NONE);
}

/* Says what it was told of the call, out of memory that lives as long as that. */
static void on_about(Call *call, const void *request) {
  const Trace *trace = call_trace(call);
  Text service = call_service(call), method = call_method(call);
  char *text = call_take(call, 64);

  (void)request;
  assert(text && *text == '\0' && !call_take(call, (size_t)5 << 20));
  snprintf(text, 64, "%.*s.%.*s %d %02x%02x", TEXT_ARG(service), TEXT_ARG(method), call_hop(call), trace->bytes[0],
           trace->bytes[sizeof trace->bytes - 1]);
  call_reply_raw(call, (Bytes){(const uint8_t *)text, strlen(text)}, NULL, TEXT_NONE);
}

AGENT_HANDLER(on_say, Call *call, const EchoSay *say) {
  if (say->has_repeat) /* what the contract of the reply does not allow */
    assert(call_reply(call, &(EchoSaid){.text = say->text}) == CONTRACT_E_RANGE);
  else
    assert(call_reply(call, &(EchoSaid){.text = say->text, .instance = call_instance(call)}) == 0);
}

#define UNTYPED .inline_ = true, .untyped = true
static const Agent agent = {
    .name = "tested",
    .concurrency = CONCURRENCY,
    .services = AGENT_SERVICES(
        {.name = "test",
         .methods = AGENT_METHODS(
             {"copy", on_copy, UNTYPED, .flags = METHOD_IDEMPOTENT}, {"once", on_copy, UNTYPED, .flags = METHOD_ONCE},
             {"nothing", on_nothing, UNTYPED}, {"twice", on_twice, UNTYPED}, {"kept", on_kept, UNTYPED},
             {"gate", on_gate, .untyped = true}, {"forward", on_forward, UNTYPED}, {"large", on_large, UNTYPED},
             {"fail", on_fail, UNTYPED}, {"annotation", on_annotation, UNTYPED}, {"about", on_about, UNTYPED})},
        {.name = "echo", .methods = AGENT_METHODS({"say", on_say, .inline_ = true})})};

static _Atomic bool slow_may_end;

/* Takes two milliseconds, so that nothing is prefetched, and more until it may end. */
static void on_slow(Call *call, const void *request) {
  (void)request;
  executed++;
  while (!slow_may_end && call_wait(call, 1000))
    continue;
  call_wait(call, 2000);
  call_reply_raw(call, BYTES_NONE, NULL, TEXT_NONE);
}

static const Agent slow_agent = {
    .name = "slow",
    .concurrency = CONCURRENCY,
    .services =
        AGENT_SERVICES({.name = "test", .methods = AGENT_METHODS({"slow", .handler = on_slow, .untyped = true})})};

static int set_up_with(void **state, const Agent *table) {
  Stage *stage = calloc(1, sizeof *stage);

  assert_non_null(stage);
  executed = 0;
  cancelled_seen = 0;
  kept = NULL;
  sem_init(&gate, 0, 0);
  stage_start(stage, table);
  *state = stage;
  return 0;
}

static int set_up(void **state) {
  return set_up_with(state, &agent);
}

static int set_up_slow(void **state) {
  return set_up_with(state, &slow_agent);
}

static int tear_down(void **state) {
  Stage *stage = *state;

  for (int i = 0; i < 100; i++)
    sem_post(&gate);
  stage_stop(stage);
  sem_destroy(&gate);
  free(stage);
  return 0;
}

static void it_says_what_it_offers(void **state) {
  Stage *stage = *state;
  Taken *taken = fake_take(&stage->fake, KIND_HELLO);
  Arena arena = {0};
  Hello hello;

  assert_int_equal(stage->credit, CONCURRENCY + CREDIT_PREFETCH_MAX);
  assert_int_equal(stage->session.value, stage->fake.session);
  assert_int_equal(contract_decode(CONTRACT(Hello), taken->body, &arena, &hello, NULL), 0);
  assert_int_equal(hello.services.count, 2);
  assert_int_equal(hello.services.items[0].methods.count, 11);
  assert_true(text_is(hello.services.items[0].methods.items[0].method, "copy"));
  assert_int_equal(hello.services.items[0].methods.items[0].flags, METHOD_IDEMPOTENT);
  assert_int_equal(hello.services.items[0].methods.items[0].hash, 0);
  assert_true(text_is(hello.services.items[1].service, "echo"));
  assert_true(hello.services.items[1].methods.items[0].hash ==
              method_contract_hash(contract_find(TEXT("echo"), TEXT("say"))));
  arena_done(&arena);
  free(taken);
}

static void bytes_in_bytes_out(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "copy");
  Taken *taken;

  header.content_type = TEXT("text/plain");
  fake_send(&stage->fake, &header, (Bytes){(const uint8_t *)"hello", 5});
  taken = fake_take(&stage->fake, KIND_REPLY);
  assert_true(text_is(taken->header.content_type, "text/plain"));
  assert_memory_equal(taken->body.data, "hello", 5);
  free(taken);
}

static void structs_in_structs_out(void **state) {
  Stage *stage = *state;
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = stage_request(stage, "say");
  Taken *taken;
  EchoSaid said;

  header.service = TEXT("echo");
  assert_int_equal(contract_encode(CONTRACT(EchoSay), &(EchoSay){.text = TEXT("hi")}, &body, NULL), 0);
  fake_send(&stage->fake, &header, buffer_bytes(&body));
  taken = fake_take(&stage->fake, KIND_REPLY);
  assert_int_equal(contract_decode(CONTRACT(EchoSaid), taken->body, NULL, &said, NULL), 0);
  assert_true(text_is(said.text, "hi"));
  assert_memory_equal(said.instance.data, "tested:", 7);
  free(taken);
}

static void what_does_not_fit_the_contract_is_invalid(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "say");

  header.service = TEXT("echo");
  fake_send(&stage->fake, &header, (Bytes){(const uint8_t *)"\x81\xa4text\x07", 7});
  stage_expect_error(stage, header.id, STATUS_INVALID, "text");
  header.id.sequence++;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_INVALID, "");
}

static void a_reply_that_does_not_fit_is_our_fault(void **state) {
  Stage *stage = *state;
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = stage_request(stage, "say");
  EchoSay say = {.text = TEXT("hi"), .has_repeat = true, .repeat = 1};

  header.service = TEXT("echo");
  assert_int_equal(contract_encode(CONTRACT(EchoSay), &say, &body, NULL), 0);
  fake_send(&stage->fake, &header, buffer_bytes(&body));
  stage_expect_error(stage, header.id, STATUS_INTERNAL, "instance");
}

static void what_is_not_offered_is_refused(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "copy");

  stage_expect_error(stage, stage_ask(stage, "absent", ""), STATUS_NO_METHOD, NULL);
  header.service = TEXT("absent");
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_NO_SERVICE, NULL);
}

static void no_answer_is_internal_and_a_second_is_dropped(void **state) {
  Stage *stage = *state;

  stage_expect_error(stage, stage_ask(stage, "nothing", ""), STATUS_INTERNAL, NULL);
  stage_expect_reply(stage, stage_ask(stage, "twice", "x"), "x");
  fake_run(&stage->fake, 10000);
  assert_int_equal(fake_count(&stage->fake, KIND_ERROR), 0);
}

static void too_large_a_reply_is_named(void **state) {
  Stage *stage = *state;

  stage_expect_error(stage, stage_ask(stage, "large", "x"), STATUS_TOO_LARGE, NULL);
}

static bool has_kept(void *userdata) {
  (void)userdata;
  return kept != NULL;
}

static void a_kept_call_is_answered_later(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask(stage, "kept", "later");

  fake_until(&stage->fake, has_kept, NULL);
  fake_run(&stage->fake, 10000);
  assert_int_equal(fake_count(&stage->fake, KIND_REPLY) + fake_count(&stage->fake, KIND_ERROR), 0);
  call_reply_raw(kept, call_body(kept), NULL, TEXT_NONE);
  stage_expect_reply(stage, id, "later");
}

static void on_cancelled(void *userdata, Call *call) {
  int *seen = userdata;

  (*seen)++;
  assert_true(call_cancelled(call));
  call_error(call, STATUS_CANCELLED, "taken back");
}

static void a_kept_call_hears_of_its_cancel(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask(stage, "kept", "");
  int seen = 0;

  fake_until(&stage->fake, has_kept, NULL);
  call_on_cancel(kept, on_cancelled, &seen);
  fake_send(&stage->fake, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE);
  stage_expect_error(stage, id, STATUS_CANCELLED, NULL);
  assert_int_equal(seen, 1);
}

static void annotations_are_found(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "annotation");
  _cleanup_(buffer_done) Buffer map = {0};

  msgpack_put_map(&map, 2);
  msgpack_put_text(&map, TEXT("a"));
  msgpack_put_array(&map, 0);
  msgpack_put_text(&map, TEXT("key"));
  msgpack_put_text(&map, TEXT("value"));
  header.annotations = buffer_bytes(&map);
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_reply(stage, header.id, "value");
}

static void a_handler_is_told_of_its_call(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "about");

  header.hop = 3;
  memset(header.trace.bytes, 0xab, sizeof header.trace.bytes);
  header.trace.bytes[sizeof header.trace.bytes - 1] = 1;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_reply(stage, header.id, "test.about 3 ab01");
  stage_expect_reply(stage, stage_ask(stage, "about", ""), "test.about 0 0000");
}

static void a_request_is_handed_on(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask(stage, "forward", "");
  Taken *taken = fake_take(&stage->fake, KIND_FORWARD);
  Arena arena = {0};
  ForwardBody body;

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(contract_decode(CONTRACT(ForwardBody), taken->body, &arena, &body, NULL), 0);
  assert_int_equal(body.targets.count, 2);
  assert_true(text_is(body.targets.items[1].service, "other@x"));
  arena_done(&arena);
  free(taken);
  stage_expect_error(stage, stage_ask(stage, "forward", "too many"), STATUS_INTERNAL, NULL);
}

static void a_body_in_pieces_is_put_together(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "copy");
  Header part = {.kind = KIND_CHUNK, .id = header.id, .number = 1, .flags = FLAG_MORE};

  header.flags = FLAG_MORE;
  fake_send(&stage->fake, &header, (Bytes){(const uint8_t *)"one ", 4});
  fake_send(&stage->fake, &part, (Bytes){(const uint8_t *)"two ", 4});
  part.number = 2;
  part.flags = 0;
  fake_send(&stage->fake, &part, (Bytes){(const uint8_t *)"three", 5});
  stage_expect_reply(stage, header.id, "one two three");
  header.id.sequence++;
  fake_send(&stage->fake, &header, BYTES_NONE);
  part.id = header.id;
  fake_send(&stage->fake, &part, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_MALFORMED, NULL);
}

/* --- threads, credit, cancel, deadlines --- */

/* Turns until both threads are at work, of which nobody tells the loop. */
static void wait_for_two(Stage *stage) {
  uint64_t until_us = clock_monotonic_us() + FAKE_PATIENCE_US;

  while (executed < CONCURRENCY && clock_monotonic_us() < until_us)
    fake_run(&stage->fake, 1000);
  assert_int_equal(executed, CONCURRENCY);
}

static void so_many_run_at_a_time_as_may(void **state) {
  Stage *stage = *state;
  for (int i = 0; i < 5; i++)
    stage_ask(stage, "gate", "x");
  wait_for_two(stage);
  fake_run(&stage->fake, 20000);
  assert_int_equal(executed, CONCURRENCY);
  for (int i = 0; i < 5; i++)
    sem_post(&gate);
  for (int i = 0; i < 5; i++)
    free(fake_take(&stage->fake, KIND_REPLY));
  assert_int_equal(executed, 5);
}

static void the_excess_is_refused_until_there_is_room(void **state) {
  Stage *stage = *state;
  int most = CONCURRENCY + CREDIT_PREFETCH_MAX;
  RequestId last = {{0}, 0};
  Taken *credit;

  assert_int_equal(stage->credit, CONCURRENCY);
  slow_may_end = false;
  for (int i = 0; i <= most; i++)
    last = stage_ask(stage, "slow", "");
  stage_expect_nack(stage, last, STATUS_BUSY);
  assert_int_equal(fake_count(&stage->fake, KIND_CREDIT), 0);
  slow_may_end = true;
  credit = fake_take(&stage->fake, KIND_CREDIT);
  assert_int_equal(credit->header.credit, CONCURRENCY);
  assert_true(stage->runtime->held < CONCURRENCY);
  for (int i = 0; i < most; i++)
    free(fake_take(&stage->fake, KIND_REPLY));
  assert_int_equal(executed, most);
  free(credit);
}

static void a_queued_call_is_cancelled_at_once(void **state) {
  Stage *stage = *state;
  RequestId queued;

  stage_ask(stage, "gate", "");
  stage_ask(stage, "gate", "");
  wait_for_two(stage);
  queued = stage_ask(stage, "gate", "");
  fake_send(&stage->fake, &(Header){.kind = KIND_CANCEL, .id = queued}, BYTES_NONE);
  stage_expect_error(stage, queued, STATUS_CANCELLED, NULL);
  assert_int_equal(executed, 2);
}

static void a_running_call_is_told(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask(stage, "gate", "");
  RequestId other = stage_ask(stage, "gate", "");

  wait_for_two(stage);
  fake_send(&stage->fake, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE);
  stage_expect_error(stage, id, STATUS_CANCELLED, NULL);
  assert_int_equal(cancelled_seen, 1);
  sem_post(&gate);
  stage_expect_reply(stage, other, "");
}

static void work_past_its_deadline_is_not_begun(void **state) {
  Stage *stage = *state;
  Header header;

  stage_ask(stage, "gate", "");
  stage_ask(stage, "gate", "");
  wait_for_two(stage);
  header = stage_request(stage, "gate");
  header.deadline_us = 20000;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_DEADLINE, NULL);
  assert_int_equal(executed, 2);
}

/* --- done once --- */

static void what_was_done_is_answered_again(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "once");
  Bytes body = {(const uint8_t *)"x", 1};
  Taken *taken;

  header.attempt = 1;
  fake_send(&stage->fake, &header, body);
  stage_expect_reply(stage, header.id, "x");
  header.attempt = 2;
  fake_send(&stage->fake, &header, body);
  taken = fake_take(&stage->fake, KIND_REPLY);
  assert_int_equal(taken->header.attempt, 2);
  assert_memory_equal(taken->body.data, "x", 1);
  free(taken);
  assert_int_equal(executed, 1);
  header.attempt = 0;
  fake_send(&stage->fake, &header, body);
  stage_expect_nack(stage, header.id, STATUS_STALE);
  header.hop = 1; /* another visit, of the attempt that counts */
  header.attempt = 2;
  fake_send(&stage->fake, &header, body);
  stage_expect_reply(stage, header.id, "x");
  assert_int_equal(executed, 2);
}

static void what_is_idempotent_is_done_again(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "copy");

  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_reply(stage, header.id, "");
  header.attempt = 1;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_reply(stage, header.id, "");
  assert_int_equal(executed, 2);
}

static void expect_fault(Stage *stage, RequestId id, Status status, size_t message_size, uint64_t retry_after_us) {
  Taken *taken = fake_take(&stage->fake, KIND_ERROR);
  ErrorBody body;

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.status, status);
  assert_int_equal(contract_decode(CONTRACT(ErrorBody), taken->body, NULL, &body, NULL), 0);
  assert_int_equal(body.message.size, message_size);
  assert_true(text_is(body.path, "messages"));
  assert_true(text_is(body.code, "context_length_exceeded"));
  assert_int_equal(body.http_status, 422);
  assert_int_equal(body.retry_after_us, retry_after_us);
  free(taken);
}

static void a_fault_is_told_whole(void **state) {
  Stage *stage = *state;

  expect_fault(stage, stage_ask(stage, "fail", ""), STATUS_REFUSED, 8, 5);
  expect_fault(stage, stage_ask(stage, "fail", "overlong"), STATUS_FAILED, 1024, 3600 * US_PER_S);
}

static void what_is_running_is_not_begun_again(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "kept");
  Taken *taken;

  fake_send(&stage->fake, &header, BYTES_NONE);
  fake_until(&stage->fake, has_kept, NULL);
  header.attempt = 3;
  fake_send(&stage->fake, &header, BYTES_NONE);
  fake_run(&stage->fake, 10000);
  assert_int_equal(executed, 1);
  header.attempt = 2;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_nack(stage, header.id, STATUS_STALE);
  call_reply_raw(kept, BYTES_NONE, NULL, TEXT_NONE);
  taken = fake_take(&stage->fake, KIND_REPLY);
  assert_int_equal(taken->header.attempt, 3);
  assert_int_equal(fake_count(&stage->fake, KIND_REPLY), 0);
  free(taken);
}

static void an_answer_that_is_not_kept_is_gone(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "large");

  fake_send(&stage->fake, &header, BYTES_NONE);
  free(fake_take(&stage->fake, KIND_REPLY));
  header.attempt = 1;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_GONE, NULL);
  assert_int_equal(executed, 1);
}

/* One of the session that was lost may still be on its way. */
static void take_credit_of_next_session(Stage *stage) {
  SessionId session;

  do {
    Taken *credit = fake_take(&stage->fake, KIND_CREDIT);

    session = credit->header.session;
    free(credit);
  } while (session.value == stage->session.value);
}

static void an_answer_goes_into_the_next_session(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask(stage, "kept", "late");

  fake_until(&stage->fake, has_kept, NULL);
  socket_hang_up(stage->fake.socket, stage->fake.peer);
  take_credit_of_next_session(stage);
  assert_int_equal(stage->fake.hellos, 2);
  call_reply_raw(kept, call_body(kept), NULL, TEXT_NONE);
  stage_expect_reply(stage, id, "late");
}

/* --- the end --- */

static bool is_leaving(void *userdata) {
  const Stage *stage = userdata;

  return stage->runtime->phase == PHASE_LEAVING;
}

static void a_drain_finishes_what_it_has(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask(stage, "kept", "last");
  Taken *bye;

  fake_until(&stage->fake, has_kept, NULL);
  runtime_drain(stage->runtime);
  free(fake_take(&stage->fake, KIND_DRAIN));
  fake_send(&stage->fake, &(Header){.kind = KIND_DRAIN}, BYTES_NONE);
  fake_run(&stage->fake, 10000);
  assert_int_equal(stage->runtime->phase, PHASE_DRAINED);
  stage_expect_nack(stage, stage_ask(stage, "copy", ""), STATUS_DRAINING); /* the echo was the last thing dispatched */
  call_reply_raw(kept, call_body(kept), NULL, TEXT_NONE);
  stage_expect_reply(stage, id, "last");
  bye = fake_take(&stage->fake, KIND_BYE);
  assert_int_equal(bye->header.flags, FLAG_CLEAN);
  fake_until(&stage->fake, is_leaving, stage);
  socket_hang_up(stage->fake.socket, stage->fake.peer);
  assert_int_equal(loop_run(stage->runtime->loop), 0);
  free(bye);
}

static void work_that_is_no_call_is_finished_too(void **state) {
  Stage *stage = *state;

  runtime_begin_work(stage->runtime);
  runtime_begin_work(stage->runtime);
  runtime_drain(stage->runtime);
  free(fake_take(&stage->fake, KIND_DRAIN));
  fake_send(&stage->fake, &(Header){.kind = KIND_DRAIN}, BYTES_NONE);
  runtime_end_work(stage->runtime);
  fake_run(&stage->fake, 10000);
  assert_int_equal(stage->runtime->phase, PHASE_DRAINED);
  runtime_end_work(stage->runtime);
  assert_int_equal(stage->runtime->phase, PHASE_LEAVING);
  free(fake_take(&stage->fake, KIND_BYE));
}

static void a_drain_without_a_broker_ends_at_once(void **state) {
  Stage *stage = *state;

  socket_hang_up(stage->fake.socket, stage->fake.peer);
  fake_stop(&stage->fake);
  runtime_drain(stage->runtime);
  assert_int_equal(loop_run(stage->runtime->loop), 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(it_says_what_it_offers),
      CASE(bytes_in_bytes_out),
      CASE(structs_in_structs_out),
      CASE(what_does_not_fit_the_contract_is_invalid),
      CASE(a_reply_that_does_not_fit_is_our_fault),
      CASE(what_is_not_offered_is_refused),
      CASE(no_answer_is_internal_and_a_second_is_dropped),
      CASE(too_large_a_reply_is_named),
      CASE(a_fault_is_told_whole),
      CASE(a_kept_call_is_answered_later),
      CASE(a_kept_call_hears_of_its_cancel),
      CASE(annotations_are_found),
      CASE(a_handler_is_told_of_its_call),
      CASE(a_request_is_handed_on),
      CASE(a_body_in_pieces_is_put_together),
      CASE(so_many_run_at_a_time_as_may),
      cmocka_unit_test_setup_teardown(the_excess_is_refused_until_there_is_room, set_up_slow, tear_down),
      CASE(a_queued_call_is_cancelled_at_once),
      CASE(a_running_call_is_told),
      CASE(work_past_its_deadline_is_not_begun),
      CASE(what_was_done_is_answered_again),
      CASE(what_is_idempotent_is_done_again),
      CASE(what_is_running_is_not_begun_again),
      CASE(an_answer_that_is_not_kept_is_gone),
      CASE(an_answer_goes_into_the_next_session),
      CASE(a_drain_finishes_what_it_has),
      CASE(work_that_is_no_call_is_finished_too),
      CASE(a_drain_without_a_broker_ends_at_once),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
