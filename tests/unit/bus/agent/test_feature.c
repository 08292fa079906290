/* Whether an agent serves: the flag agent.NAME switches it, and a singleton waits for its lease. */
#include "tests/unit/bus/agent/stage.h"
#include "tests/unit/suspend.h"

static int leases;

static void on_hello(Call *call, const void *request _unused_) {
  call_reply_raw(call, (Bytes){(const uint8_t *)"x", 1}, NULL, TEXT("text/plain"));
}

static void on_cancelled(void *userdata _unused_, Call *call) {
  call_error(call, STATUS_REFUSED, "the lease is lost");
}

static void on_keep(Call *call, const void *request _unused_) {
  call_on_cancel(call, on_cancelled, NULL);
  call_keep(call);
}

static void on_large(Call *call, const void *request _unused_) {
  static const uint8_t large[2 * LIMIT_BODY_BYTES + 5];

  call_reply_raw(call, (Bytes){large, sizeof large}, NULL, TEXT("text/plain"));
}

static void on_lease(Runtime *runtime, bool held) {
  assert_int_equal(runtime_holds(runtime, NULL), held);
  leases += held ? 1 : -1;
}

#define METHODS                                                                                                        \
  AGENT_SERVICES({"test", .methods = AGENT_METHODS({"hello", on_hello, .inline_ = true, .untyped = true},              \
                                                   {"keep", on_keep, .inline_ = true, .untyped = true},                \
                                                   {"large", on_large, .inline_ = true, .untyped = true})})

static const Agent plain = {.name = "plain", .services = METHODS};
static const Agent single = {
    .name = "single", .services = METHODS, .singleton = "hub", .may_double = true, .on_lease = on_lease};

static void tell_flag(Stage *stage, const char *name, const char *value, uint64_t counter, bool removed) {
  _cleanup_(buffer_done) Buffer body = {0};
  char topic[128];
  Header event = {.kind = KIND_EVENT, .flags = FLAG_RETAIN};
  FlagRow row = {.name = text_of(name),
                 .value = text_of(value),
                 .epoch = 2,
                 .counter = counter,
                 .has_removed = removed,
                 .removed = removed};

  snprintf(topic, sizeof topic, "pons.flags.%s", name);
  event.service = text_of(topic);
  assert_int_equal(contract_encode(CONTRACT(FlagRow), &row, &body, NULL), 0);
  fake_send(&stage->fake, &event, buffer_bytes(&body));
}

static void expect_off(Stage *stage) {
  Taken *taken = fake_take(&stage->fake, KIND_DRAIN);

  assert_int_equal(taken->header.flags, FLAG_CLEAN);
  free(taken);
}

static void expect_on(Stage *stage) {
  free(fake_take(&stage->fake, KIND_CREDIT));
}

static void the_flag_switches_it(void **state _unused_) {
  static const char *const offs[] = {"off", "false", "0"};
  uint64_t version = 0;
  Stage stage = {0};

  stage_start(&stage, &plain);
  for (size_t i = 0; i < ELEMENTS(offs); i++) {
    tell_flag(&stage, "agent.plain", offs[i], ++version, false);
    expect_off(&stage);
    tell_flag(&stage, "agent.plain", "on", version, false); /* by who is behind */
    tell_flag(&stage, "agent.other", "on", 100, false);
    tell_flag(&stage, "agent.plain", i == 0 ? "" : "on", ++version, i == 0);
    expect_on(&stage);
  }
  assert_int_equal(fake_count(&stage.fake, KIND_CREDIT), 0);
  assert_int_equal(fake_count(&stage.fake, KIND_DRAIN), 0);
  assert_int_equal(fake_count(&stage.fake, KIND_REQUEST), 0); /* it wants no lease */
  stage_stop(&stage);
}

static void what_it_has_it_finishes(void **state _unused_) {
  Stage stage = {0};
  RequestId id;

  stage_start(&stage, &plain);
  id = stage_ask(&stage, "hello", "");
  tell_flag(&stage, "agent.plain", "off", 1, false);
  stage_expect_reply(&stage, id, "x");
  expect_off(&stage);
  stage_stop(&stage);
}

/* --- with a lease --- */

static void single_start(Stage *stage) {
  leases = 0;
  fake_init(&stage->fake, NULL);
  stage->options = (AgentOptions){.endpoint = stage->fake.endpoint, .name = "single"};
  assert_int_equal(runtime_new(&single, &stage->options, &stage->runtime), 0);
  stage->fake.loop = stage->runtime->loop;
  fake_start(&stage->fake);
  expect_off(stage);
}

static RequestId expect_lease(Stage *stage, const char *method) {
  Taken *taken = fake_take(&stage->fake, KIND_REQUEST);
  RequestId id = taken->header.id;

  assert_true(text_is(taken->header.service, "pons.lease"));
  assert_true(text_is(taken->header.method, method));
  free(taken);
  return id;
}

static void give_lease(Stage *stage, RequestId id, uint64_t counter, uint64_t duration_us) {
  _cleanup_(buffer_done) Buffer body = {0};
  LeaseGiven given = {.name = TEXT("hub"), .epoch = 2, .counter = counter, .duration_us = duration_us};

  assert_int_equal(contract_encode(CONTRACT(LeaseGiven), &given, &body, NULL), 0);
  fake_reply(&stage->fake, id, buffer_bytes(&body));
}

static void a_singleton_serves_while_it_holds_its_lease(void **state _unused_) {
  LeaseToken token;
  Stage stage = {0};
  RequestId id;

  single_start(&stage);
  give_lease(&stage, expect_lease(&stage, "acquire"), 5, 60 * US_PER_S);
  expect_on(&stage);
  assert_int_equal(leases, 1);
  assert_true(runtime_holds(stage.runtime, &token));
  assert_int_equal(token.counter, 5);
  id = stage_ask(&stage, "keep", "");
  tell_flag(&stage, "agent.single", "off", 1, false);
  expect_lease(&stage, "release"); /* another may have it */
  expect_off(&stage);
  stage_expect_error(&stage, id, STATUS_REFUSED, NULL); /* what runs is told to stop */
  assert_int_equal(leases, 0);
  assert_false(runtime_holds(stage.runtime, NULL));
  tell_flag(&stage, "agent.single", "on", 2, false);
  give_lease(&stage, expect_lease(&stage, "acquire"), 6, 60 * US_PER_S);
  expect_on(&stage);
  assert_int_equal(leases, 1);
  stage_stop(&stage);
}

static void without_its_lease_it_stops(void **state _unused_) {
  Stage stage = {0};
  RequestId id;

  single_start(&stage);
  give_lease(&stage, expect_lease(&stage, "acquire"), 5, US_PER_S / 2);
  expect_on(&stage);
  id = stage_ask(&stage, "keep", "");
  expect_lease(&stage, "renew"); /* not answered */
  expect_off(&stage);
  stage_expect_error(&stage, id, STATUS_REFUSED, NULL);
  assert_int_equal(leases, 0);
  expect_lease(&stage, "acquire");
  stage_stop(&stage);
}

static void what_is_done_is_told_to_the_end(void **state _unused_) {
  Header window = {.kind = KIND_WINDOW, .window_bytes = UINT64_MAX};
  Stage stage = {0};
  Taken *taken;

  single_start(&stage);
  give_lease(&stage, expect_lease(&stage, "acquire"), 5, 60 * US_PER_S);
  expect_on(&stage);
  window.id = stage_ask_pieces(&stage, "large", 0, 1);
  free(fake_take(&stage.fake, KIND_CHUNK));
  tell_flag(&stage, "agent.single", "off", 1, false);
  expect_lease(&stage, "release");
  fake_send(&stage.fake, &window, BYTES_NONE);
  taken = fake_take(&stage.fake, KIND_REPLY);
  assert_true(request_id_equal(taken->header.id, window.id));
  assert_int_equal(taken->body.size, 5);
  free(taken);
  stage_stop(&stage);
}

/* What a broker had sent before it heard DRAIN, and what waited in the socket of a machine that was suspended. */
static void who_does_not_hold_its_lease_begins_nothing(void **state _unused_) {
  Stage stage = {0};
  RequestId id;

  single_start(&stage);
  id = expect_lease(&stage, "acquire");
  stage_expect_nack(&stage, stage_ask(&stage, "hello", ""), STATUS_DRAINING);
  give_lease(&stage, id, 5, 60 * US_PER_S);
  expect_on(&stage);
  stage_expect_reply(&stage, stage_ask(&stage, "hello", ""), "x");
  suspend_for(60 * US_PER_S);
  stage_expect_nack(&stage, stage_ask(&stage, "hello", ""), STATUS_DRAINING);
  assert_false(runtime_holds(stage.runtime, NULL));
  stage_stop(&stage);
}

static void the_end_gives_it_back(void **state _unused_) {
  Header drain = {.kind = KIND_DRAIN};
  Stage stage = {0};

  single_start(&stage);
  give_lease(&stage, expect_lease(&stage, "acquire"), 5, 60 * US_PER_S);
  expect_on(&stage);
  runtime_drain(stage.runtime);
  free(fake_take(&stage.fake, KIND_DRAIN));
  fake_send(&stage.fake, &drain, BYTES_NONE);
  expect_lease(&stage, "release");
  free(fake_take(&stage.fake, KIND_BYE));
  assert_int_equal(leases, 0);
  stage_stop(&stage);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_flag_switches_it),
      cmocka_unit_test(what_it_has_it_finishes),
      cmocka_unit_test(a_singleton_serves_while_it_holds_its_lease),
      cmocka_unit_test(without_its_lease_it_stops),
      cmocka_unit_test(what_is_done_is_told_to_the_end),
      cmocka_unit_test(who_does_not_hold_its_lease_begins_nothing),
      cmocka_unit_test(the_end_gives_it_back),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
