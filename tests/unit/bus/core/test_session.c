/* A connection's life: HELLO and every way it is refused, life signs to the microsecond, CREDIT and re-admission, DRAIN. */
#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

/* A peer that is connected and has said nothing. */
static TestPeer *stranger(Harness *h) {
  TestPeer *peer = calloc(1, sizeof *peer);

  assert_non_null(peer);
  peer->session = core_connect(h->core, peer, h->now_us);
  return peer;
}

static void forget(TestPeer *peer) {
  harness_forget(peer);
  free(peer);
}

/* Says HELLO and is refused with this status, hung up on, counted and soon forgotten. */
static void refused(Harness *h, const Hello *hello, Status status, const char *path) {
  TestPeer *peer = calloc(1, sizeof *peer);
  uint64_t before = core_counter(h->core, COUNTER_SESSIONS_REFUSED);

  harness_hello(h, peer, hello);
  assert_null(peer->session);
  assert_int_equal(peer->n_heard, 1);
  assert_string_equal(status_name(harness_last(peer)->header.status), status_name(status));
  if (path)
    assert_true(text_is(harness_error_body(harness_last(peer)).path, path));
  assert_int_equal(core_counter(h->core, COUNTER_SESSIONS_REFUSED), before + 1);
  forget(peer);
}

static Hello plain(uint64_t client) {
  return (Hello){.version = 1, .client = client, .agent = TEXT("peer"), .incarnation = 5};
}

static void test_welcome_dictates(void **state) {
  TestPeer *peer = calloc(1, sizeof *peer);
  _cleanup_(arena_done) Arena arena = {0};
  Harness h;
  Hello hello = plain(77);
  Welcome welcome;

  (void)state;
  harness_start(&h, NULL);
  hello.version = 9; /* min(both highest) is in force */
  hello.has_min_version = true;
  hello.min_version = 1;
  harness_hello(&h, peer, &hello);
  assert_int_equal(contract_decode(CONTRACT(Welcome), buffer_bytes(&harness_last(peer)->body), &arena, &welcome, NULL),
                   0);
  assert_int_equal(welcome.version, 1);
  assert_int_equal(welcome.session, harness_last(peer)->header.session.value);
  assert_int_equal(welcome.ping_interval_us, 50000);
  assert_int_equal(welcome.ping_timeout_us, 150000);
  assert_int_equal(welcome.idle_interval_us, 5000000);
  assert_int_equal(welcome.body_max_bytes, LIMIT_BODY_BYTES);
  assert_int_equal(welcome.kept_max_bytes, LIMIT_CLIENT_BYTES);
  assert_int_equal(welcome.mismatches.count, 0);
  assert_int_equal(core_counter(h.core, COUNTER_SESSIONS_OPENED), 3);
  forget(peer);
  harness_stop(&h);
}

static void test_unknown_fields_of_hello_are_passed_over(void **state) {
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_HELLO};
  Harness h;
  TestPeer *peer;

  (void)state;
  harness_start(&h, NULL);
  peer = stranger(&h);
  msgpack_put_map(&body, 5);
  msgpack_put_text(&body, TEXT("version"));
  msgpack_put_uint(&body, 1);
  msgpack_put_text(&body, TEXT("mood"));
  msgpack_put_array(&body, 1);
  msgpack_put_text(&body, TEXT("sunny"));
  msgpack_put_text(&body, TEXT("client"));
  msgpack_put_uint(&body, 5);
  msgpack_put_text(&body, TEXT("agent"));
  msgpack_put_text(&body, TEXT("newer"));
  msgpack_put_text(&body, TEXT("incarnation"));
  msgpack_put_uint(&body, 5);
  harness_give(&h, peer, &header, buffer_bytes(&body));
  assert_int_equal(harness_last(peer)->header.kind, KIND_WELCOME);
  forget(peer);
  harness_stop(&h);
}

static void test_hello_that_does_not_fit(void **state) {
  Harness h;
  TestPeer *peer;
  Header header = {.kind = KIND_HELLO};

  (void)state;
  harness_start(&h, NULL);
  peer = stranger(&h);
  harness_give(&h, peer, &header, (Bytes){(const uint8_t *)"\x81\xa7version\x01", 10});
  assert_int_equal(harness_last(peer)->header.status, STATUS_INVALID);
  assert_true(text_is(harness_error_body(harness_last(peer)).path, "client"));
  assert_null(peer->session);
  forget(peer);
  harness_stop(&h);
}

static void test_versions_that_have_nothing_in_common(void **state) {
  Harness h;
  Hello hello = plain(77);

  (void)state;
  harness_start(&h, NULL);
  hello.version = 3;
  refused(&h, &hello, STATUS_UNSUPPORTED_VERSION, NULL);
  hello.has_min_version = true;
  hello.min_version = 2;
  refused(&h, &hello, STATUS_UNSUPPORTED_VERSION, NULL);
  harness_stop(&h);
}

static void test_the_name_of_the_broker_and_a_service_twice(void **state) {
  static const HelloMethod method = {.method = TEXT("say")};
  HelloService services[] = {{.service = TEXT("a"), .methods = {&method, 1}},
                             {.service = TEXT("pons"), .methods = {&method, 1}}};
  Harness h;
  Hello hello = plain(77);

  (void)state;
  harness_start(&h, NULL);
  hello.has_services = true;
  hello.services.items = services;
  hello.services.count = 2;
  refused(&h, &hello, STATUS_BAD_NAME, "services");
  services[1].service = TEXT("pons.lease");
  refused(&h, &hello, STATUS_BAD_NAME, "services");
  services[1].service = TEXT("a");
  refused(&h, &hello, STATUS_INVALID, "services");
  harness_stop(&h);
}

static void test_a_session_of_the_same_process_may_offer_what_is_below_the_broker(void **state) {
  static const HelloMethod method = {.method = TEXT("say")};
  HelloService services[] = {{.service = TEXT("pons.lease"), .methods = {&method, 1}}};
  TestPeer *inside = calloc(1, sizeof *inside);
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_HELLO};
  Harness h;
  Hello hello = plain(77);

  (void)state;
  harness_start(&h, NULL);
  hello.has_services = true;
  hello.services.items = services;
  hello.services.count = 1;
  inside->session = core_connect(h.core, inside, h.now_us);
  core_trust(inside->session);
  assert_int_equal(contract_encode(CONTRACT(Hello), &hello, &body, NULL), 0);
  harness_give(&h, inside, &header, buffer_bytes(&body));
  assert_int_equal(harness_last(inside)->header.kind, KIND_WELCOME);
  harness_forget(inside);
  harness_stop(&h);
  free(inside);
}

static void test_too_many_sessions(void **state) {
  CoreOptions options = core_options_default();
  Harness h;
  Hello hello = plain(77);

  (void)state;
  options.limits.sessions = 2;
  harness_start(&h, &options);
  refused(&h, &hello, STATUS_LIMIT, NULL);
  harness_stop(&h);
}

static void test_of_one_client_id_the_higher_incarnation_stays(void **state) {
  TestPeer *newer = calloc(1, sizeof *newer);
  Harness h;
  Hello hello = plain(22); /* as the worker, whose incarnation is 22 */

  (void)state;
  harness_start(&h, NULL);
  hello.incarnation = 21;
  refused(&h, &hello, STATUS_STALE, NULL);
  assert_non_null(h.worker.session);
  hello.incarnation = 22;
  harness_hello(&h, newer, &hello);
  assert_int_equal(harness_last(newer)->header.kind, KIND_WELCOME);
  assert_null(h.worker.session); /* the older session was hung up on */
  forget(newer);
  harness_stop(&h);
}

/* Two processes with one id would have one name, and each the other's answers. */
static void test_a_living_client_id_is_no_other_process_s(void **state _unused_) {
  TestPeer *first = calloc(1, sizeof *first);
  TestPeer *again = calloc(1, sizeof *again);
  Harness h;
  Hello hello = plain(99);

  harness_start(&h, NULL);
  hello.has_pid = hello.has_site = true;
  hello.pid = 700;
  hello.site = TEXT("desk");
  harness_hello(&h, first, &hello);
  hello.pid = 701;
  refused(&h, &hello, STATUS_FOREIGN_ID, "client");
  hello.pid = 700;
  hello.site = TEXT("attic");
  refused(&h, &hello, STATUS_FOREIGN_ID, "client");
  assert_non_null(first->session);
  hello.site = TEXT("desk");
  harness_hello(&h, again, &hello);
  assert_int_equal(harness_last(again)->header.kind, KIND_WELCOME);
  assert_null(first->session);
  forget(first);
  forget(again);
  harness_stop(&h);
}

static void test_before_hello_all_is_dropped_and_told_once(void **state) {
  Harness h;
  TestPeer *peer;
  Header ask = {.kind = KIND_REQUEST, .id = {{5}, 1}, .service = TEXT("echo"), .method = TEXT("say"), .deadline_us = 1};

  (void)state;
  harness_start(&h, NULL);
  peer = stranger(&h);
  for (int i = 0; i < 5; i++)
    harness_give(&h, peer, &ask, BYTES_NONE);
  assert_int_equal(peer->n_heard, 1);
  assert_int_equal(harness_last(peer)->header.status, STATUS_NO_HELLO);
  assert_int_equal(core_counter(h.core, COUNTER_BEFORE_HELLO), 5);
  assert_true(core_is_idle(h.core));
  forget(peer);
  harness_stop(&h);
}

static void test_a_second_hello_is_malformed(void **state) {
  Harness h;
  Header hello = {.kind = KIND_HELLO};

  (void)state;
  harness_start(&h, NULL);
  harness_give(&h, &h.client, &hello, BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_MALFORMED);
  assert_non_null(h.client.session);
  harness_stop(&h);
}

static void test_who_says_no_hello_is_hung_up_on_after_10_s(void **state) {
  Harness h;
  TestPeer *peer;

  (void)state;
  harness_start(&h, NULL);
  peer = stranger(&h);
  harness_wait(&h, TIME_HELLO_TIMEOUT_US - 1);
  assert_non_null(peer->session);
  harness_wait(&h, 1);
  assert_null(peer->session);
  forget(peer);
  harness_stop(&h);
}

/* --- life signs --- */

static void test_no_ping_while_nothing_is_outstanding(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_wait(&h, 10 * US_PER_S);
  assert_int_equal(harness_count(&h.worker, KIND_PING), 0);
  harness_stop(&h);
}

static void test_ping_after_50_ms_lost_150_ms_later(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_wait(&h, 49999);
  assert_int_equal(harness_count(&h.worker, KIND_PING), 0);
  harness_wait(&h, 1);
  assert_int_equal(harness_count(&h.worker, KIND_PING), 1);
  harness_wait(&h, 149999);
  harness_open(&h.client, id);
  harness_wait(&h, 1);
  assert_null(h.worker.session);
  harness_ended(&h.client, id, STATUS_WORKER_LOST);
  assert_int_equal(core_counter(h.core, COUNTER_SESSIONS_LOST), 1);
  harness_stop(&h);
}

static void test_after_a_pong_the_next_look_is_one_interval_away(void **state) {
  Header pong = {.kind = KIND_PONG};
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_wait(&h, 50000);
  harness_wait(&h, 700);
  harness_give(&h, &h.worker, &pong, BYTES_NONE);
  harness_wait(&h, 49999);
  assert_int_equal(harness_count(&h.worker, KIND_PING), 1);
  harness_wait(&h, 1);
  assert_int_equal(harness_count(&h.worker, KIND_PING), 2);
  harness_stop(&h);
}

static void test_any_message_is_a_sign_of_life(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_request(&h, &h.client, (Header){.method = TEXT("stream"), .flags = FLAG_STREAM, .window_bytes = 100},
                       BYTES_NONE);
  for (uint64_t i = 0; i < 10; i++) {
    harness_wait(&h, 49000);
    harness_chunk(&h, &h.worker, id, i, 0, BYTES_NONE);
  }
  assert_int_equal(harness_count(&h.worker, KIND_PING), 0);
  harness_stop(&h);
}

static void test_a_late_turn_of_the_broker_loses_nobody(void **state) {
  Harness h;
  RequestId id;

  (void)state;
  harness_start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_wait(&h, 50000);
  harness_wait(&h, 900000); /* we slept; its PONG may lie in our socket */
  assert_non_null(h.worker.session);
  harness_open(&h.client, id);
  assert_int_equal(harness_count(&h.worker, KIND_PING), 2); /* it is asked anew */
  harness_wait(&h, 150000);
  assert_null(h.worker.session);
  harness_stop(&h);
}

static void test_a_broker_that_is_always_late_gives_up_its_dead_too(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_ask(&h, &h.client, "echo", "once", BYTES_NONE);
  harness_wait(&h, 50000);
  for (int late = 0; late < 3; late++) {
    harness_wait(&h, 900000);
    assert_non_null(h.worker.session);
  }
  harness_wait(&h, 900000);
  assert_null(h.worker.session);
  harness_stop(&h);
}

static void test_an_idle_peer_is_given_up_after_16_s_of_silence(void **state) {
  Header ping = {.kind = KIND_PING, .number = 42};
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_give(&h, &h.worker, &ping, BYTES_NONE);
  assert_int_equal(harness_last(&h.worker)->header.kind, KIND_PONG);
  assert_int_equal(harness_last(&h.worker)->header.number, 42);
  harness_wait(&h, 15 * US_PER_S);
  harness_give(&h, &h.client, &ping, BYTES_NONE);
  harness_wait(&h, US_PER_S - 1);
  assert_non_null(h.worker.session);
  harness_wait(&h, 1);
  assert_null(h.worker.session);
  assert_non_null(h.client.session);
  harness_stop(&h);
}

/* --- CREDIT, re-admission, DRAIN --- */

static void test_credit_of_another_session_is_stray(void **state) {
  Harness h;
  Header credit = {.kind = KIND_CREDIT, .session = {1}, .credit = 0};

  (void)state;
  harness_start(&h, NULL);
  harness_give(&h, &h.worker, &credit, BYTES_NONE);
  assert_int_equal(core_counter(h.core, COUNTER_STRAY), 1);
  harness_work(&h.worker, harness_ask(&h, &h.client, "echo", "say", BYTES_NONE));
  harness_stop(&h);
}

/* The worker is lost, comes back as the same process and gives credit; returns how long it got no work. */
static uint64_t readmission(Harness *h) {
  uint64_t waited = 0;
  RequestId id;

  harness_cut(h, &h->worker);
  harness_clear(&h->worker);
  harness_worker(h, &h->worker, "worker", 22, 4);
  id = harness_request(h, &h->client, (Header){.deadline_us = 30 * US_PER_S}, BYTES_NONE);
  while (!harness_find(&h->worker, KIND_REQUEST, 0)) {
    harness_wait(h, 1000);
    waited += 1000;
  }
  harness_reply(h, &h->worker, id);
  harness_clear(&h->client);
  return waited;
}

static void test_who_was_lost_is_readmitted_after_a_back_off(void **state) {
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  for (uint64_t wait = 100000; wait < 5000000; wait *= 2)
    assert_int_equal(readmission(&h), wait);
  assert_int_equal(readmission(&h), 5000000);
  assert_int_equal(readmission(&h), 5000000);
  harness_stop(&h);
}

static void test_losses_are_forgotten_after_a_minute(void **state) {
  Header ping = {.kind = KIND_PING};
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  assert_int_equal(readmission(&h), 100000);
  assert_int_equal(readmission(&h), 200000);
  for (int i = 0; i < 7; i++) {
    harness_wait(&h, 10 * US_PER_S);
    harness_give(&h, &h.worker, &ping, BYTES_NONE);
    harness_give(&h, &h.client, &ping, BYTES_NONE);
  }
  assert_int_equal(readmission(&h), 100000);
  harness_stop(&h);
}

static void test_who_said_bye_comes_back_at_once(void **state) {
  Header bye = {.kind = KIND_BYE};
  Harness h;

  (void)state;
  harness_start(&h, NULL);
  harness_give(&h, &h.worker, &bye, BYTES_NONE);
  harness_clear(&h.worker);
  harness_worker(&h, &h.worker, "worker", 22, 4);
  harness_work(&h.worker, harness_ask(&h, &h.client, "echo", "say", BYTES_NONE));
  harness_stop(&h);
}

static void test_the_echo_of_drain_is_the_last_thing_dispatched(void **state) {
  Header drain = {.kind = KIND_DRAIN};
  Harness h;
  RequestId running;

  (void)state;
  harness_start(&h, NULL);
  running = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  harness_give(&h, &h.worker, &drain, BYTES_NONE);
  harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  assert_int_equal(harness_last(&h.worker)->header.kind, KIND_DRAIN);
  harness_reply(&h, &h.worker, running);
  harness_ended(&h.client, running, STATUS_OK);
  assert_int_equal(harness_count(&h.worker, KIND_REQUEST), 1);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_welcome_dictates),
      cmocka_unit_test(test_unknown_fields_of_hello_are_passed_over),
      cmocka_unit_test(test_hello_that_does_not_fit),
      cmocka_unit_test(test_versions_that_have_nothing_in_common),
      cmocka_unit_test(test_the_name_of_the_broker_and_a_service_twice),
      cmocka_unit_test(test_a_session_of_the_same_process_may_offer_what_is_below_the_broker),
      cmocka_unit_test(test_too_many_sessions),
      cmocka_unit_test(test_of_one_client_id_the_higher_incarnation_stays),
      cmocka_unit_test(test_a_living_client_id_is_no_other_process_s),
      cmocka_unit_test(test_before_hello_all_is_dropped_and_told_once),
      cmocka_unit_test(test_a_second_hello_is_malformed),
      cmocka_unit_test(test_who_says_no_hello_is_hung_up_on_after_10_s),
      cmocka_unit_test(test_no_ping_while_nothing_is_outstanding),
      cmocka_unit_test(test_ping_after_50_ms_lost_150_ms_later),
      cmocka_unit_test(test_after_a_pong_the_next_look_is_one_interval_away),
      cmocka_unit_test(test_any_message_is_a_sign_of_life),
      cmocka_unit_test(test_a_late_turn_of_the_broker_loses_nobody),
      cmocka_unit_test(test_a_broker_that_is_always_late_gives_up_its_dead_too),
      cmocka_unit_test(test_an_idle_peer_is_given_up_after_16_s_of_silence),
      cmocka_unit_test(test_credit_of_another_session_is_stray),
      cmocka_unit_test(test_who_was_lost_is_readmitted_after_a_back_off),
      cmocka_unit_test(test_losses_are_forgotten_after_a_minute),
      cmocka_unit_test(test_who_said_bye_comes_back_at_once),
      cmocka_unit_test(test_the_echo_of_drain_is_the_last_thing_dispatched),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
