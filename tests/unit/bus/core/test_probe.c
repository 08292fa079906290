/* A request that is sent again: all instances that may have it are asked, and what each answer brings about. */
#include "bus/wire/pack.h"
#include "tests/unit/bus/core/moved.h"

static void test_all_instances_are_asked_and_told_what_is_wanted(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  _cleanup_(arena_done) Arena arena = {0};
  ProbeBody probe;
  RequestId id;

  moved_instance(h, other, "other", 33, NULL);
  id = moved_ask(h, (Header){.method = TEXT("stream"), .flags = FLAG_STREAM, .number = 9, .window_bytes = 5000000});
  assert_int_equal(harness_count(&h->worker, KIND_PROBE), 1);
  probe = moved_probe(other, 0, &arena);
  assert_int_equal(probe.requests.count, 1);
  assert_int_equal(probe.requests.items[0].id.size, REQUEST_ID_WIRE_SIZE);
  assert_int_equal(probe.requests.items[0].id.data[7], 11);
  assert_int_equal(probe.requests.items[0].id.data[15], id.sequence);
  assert_int_equal(probe.requests.items[0].attempt, 1);
  assert_int_equal(probe.requests.items[0].hop, 0);
  assert_int_equal(probe.requests.items[0].chunk, 9);
  assert_int_equal(probe.requests.items[0].window_bytes, 5000000);
  assert_in_range(probe.requests.items[0].age_us, MOVED_AGE_US + MOVED_AGE_US / 64, MOVED_AGE_US + 300000);
  assert_int_equal(harness_count(&h->worker, KIND_REQUEST) + harness_count(other, KIND_REQUEST), 0);
  harness_open(&h->client, id);
  assert_int_equal(core_counter(h->core, COUNTER_PROBES), 2);
}

/* n requests sent again, in one PACK. */
static void ask_packed(Harness *h, int n) {
  Pack pack = {0};
  Bytes header;
  Bytes body;

  for (int i = 0; i < n; i++) {
    Header ask = {.kind = KIND_REQUEST, .id = {h->client.client, ++h->client.sequence}, .attempt = 1};

    ask.service = TEXT("echo");
    ask.method = TEXT("once");
    ask.deadline_us = 1000000;
    ask.age_us = 1000;
    pack_add(&pack, &ask, BYTES_NONE);
  }
  pack_frames(&pack, &header, &body);
  core_receive(h->core, h->client.session, 2, header, body, NULL, h->now_us);
  pack_done(&pack);
}

static void test_what_is_asked_in_one_turn_goes_in_one_probe(void **state) {
  Harness *h = *state;
  _cleanup_(arena_done) Arena arena = {0};

  ask_packed(h, 200);
  assert_int_equal(harness_count(&h->worker, KIND_PROBE), 1);
  assert_int_equal(moved_probe(&h->worker, 0, &arena).requests.count, 200);
}

/* Who has it goes on with it; nobody is given it. */
static void test_who_has_it_answers_for_this_broker(void **state) {
  Harness *h = *state;
  RequestId id = moved_ask_once(h);

  moved_have(h, &h->worker, (Header){.id = id}, "running");
  harness_open(&h->client, id);
  assert_int_equal(core_counter(h->core, COUNTER_TAKEN_OVER), 1);
  moved_reply(h, &h->worker, id);
  harness_ended(&h->client, id, STATUS_OK);
  assert_int_equal(harness_count(&h->worker, KIND_REQUEST), 0);
}

static void test_what_was_done_is_answered_again(void **state) {
  Harness *h = *state;
  RequestId id = moved_ask_once(h);

  moved_have(h, &h->worker, (Header){.id = id}, "done");
  harness_say(h, &h->worker, KIND_ERROR, id, STATUS_INVALID);
  harness_ended(&h->client, id, STATUS_INVALID);
}

/* Cancel and deadline reach the instance with the attempt; its credit is in use until it answers. */
static void test_what_is_taken_over_can_be_cancelled(void **state) {
  Harness *h = *state;
  RequestId late;
  RequestId id = moved_ask_once(h);

  late = moved_ask(h, (Header){.deadline_us = 100000});
  moved_have(h, &h->worker, (Header){.id = id}, "queued");
  moved_have(h, &h->worker, (Header){.id = late}, "queued");
  harness_give(h, &h->client, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE);
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 0); /* of an attempt that the client has left behind */
  moved_cancel(h, id);
  assert_int_equal(harness_find(&h->worker, KIND_CANCEL, 0)->header.attempt, 1);
  harness_wait(h, 100000);
  harness_ended(&h->client, late, STATUS_DEADLINE);
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 2);
}

static void test_a_stream_goes_on_where_the_client_is(void **state) {
  Harness *h = *state;
  Header ask = {.method = TEXT("stream"), .flags = FLAG_STREAM, .number = 9, .window_bytes = 3000000};
  RequestId id = moved_ask(h, ask);

  moved_have(h, &h->worker, (Header){.id = id, .number = 9, .window_bytes = 2500000}, "running");
  assert_int_equal(harness_find(&h->worker, KIND_WINDOW, 0)->header.window_bytes, 3000000);
  harness_chunk(h, &h->worker, id, 9, 0, moved_bytes("more"));
  assert_int_equal(harness_last(&h->client)->header.number, 9);
  harness_chunk(h, &h->worker, id, 10, 0, moved_bytes("end"));
  moved_reply(h, &h->worker, id);
  harness_ended(&h->client, id, STATUS_OK);
  assert_int_equal(harness_last(&h->client)->header.number, 11);
}

static void test_a_stream_of_which_a_part_is_gone_is_lost(void **state) {
  Harness *h = *state;
  Header ask = {.method = TEXT("stream"), .flags = FLAG_STREAM, .number = 9, .window_bytes = 3000000};
  RequestId nobody;
  RequestId gap = moved_ask(h, ask);

  moved_have(h, &h->worker, (Header){.id = gap, .number = 12}, "running");
  harness_ended(&h->client, gap, STATUS_STREAM_LOST);
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 1);
  nobody = moved_ask(h, ask);
  moved_pass(h, &h->worker, nobody, 0, STATUS_OK);
  harness_ended(&h->client, nobody, STATUS_STREAM_LOST); /* idempotent, but a part of it has been seen */
  assert_int_equal(harness_count(&h->worker, KIND_REQUEST), 0);
}

/* Who asked it before got the first of it. */
static void test_a_stream_that_was_begun_for_another_has_a_hole(void **state) {
  Harness *h = *state;
  Header ask = {.method = TEXT("stream"), .flags = FLAG_STREAM, .window_bytes = 3000000};
  RequestId id = moved_ask(h, ask);

  moved_have(h, &h->worker, (Header){.id = id}, "running");
  harness_chunk(h, &h->worker, id, 1, 0, moved_bytes("two"));
  harness_ended(&h->client, id, STATUS_STREAM_LOST);
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 1);
  assert_int_equal(core_counter(h->core, COUNTER_MALFORMED), 0);
}

static void test_a_reply_that_is_gone(void **state) {
  Harness *h = *state;
  RequestId idempotent;
  RequestId once = moved_ask_once(h);

  moved_have(h, &h->worker, (Header){.id = once}, "reply_gone");
  harness_ended(&h->client, once, STATUS_UNKNOWN);
  assert_int_equal(core_counter(h->core, COUNTER_UNKNOWN), 1);
  idempotent = moved_ask(h, (Header){.attempt = 1});
  moved_have(h, &h->worker, (Header){.id = idempotent}, "reply_gone");
  harness_work(&h->worker, idempotent);
}

/* The FORWARD comes again, and all that it names are asked at the next hop before one of them gets it. */
static void test_what_was_forwarded_is_asked_for_further_on(void **state) {
  Harness *h = *state;
  TestPeer *a = &h->other;
  TestPeer *b = &h->third;
  static const ForwardTarget targets[] = {
      {TEXT("gone"), TEXT("once")}, {TEXT("a"), TEXT("once")}, {TEXT("b"), TEXT("once")}};
  _cleanup_(arena_done) Arena arena = {0};
  RequestId id;

  moved_instance(h, a, "a", 33, "a");
  moved_instance(h, b, "b", 44, "b");
  id = moved_ask(h, (Header){.method = TEXT("once"), .number = 2, .window_bytes = 100});
  moved_have(h, &h->worker, (Header){.id = id}, "forwarded");
  harness_forward(h, &h->worker, id, targets, 3);
  assert_int_equal(moved_probe(a, 0, &arena).requests.items[0].hop, 1);
  assert_int_equal(moved_probe(b, 0, &arena).requests.items[0].hop, 1);
  moved_pass(h, a, id, 1, STATUS_OK);
  moved_have(h, b, (Header){.id = id, .hop = 1, .number = 2}, "running");
  moved_reply(h, b, id);
  harness_ended(&h->client, id, STATUS_OK);
  assert_int_equal(harness_count(a, KIND_REQUEST) + harness_count(b, KIND_REQUEST), 0);
}

static void test_what_nobody_has_is_handed_on(void **state) {
  Harness *h = *state;
  TestPeer *a = &h->other;
  static const ForwardTarget targets[] = {{TEXT("a"), TEXT("once")}};
  RequestId id;

  moved_instance(h, a, "a", 33, "a");
  id = moved_ask_once(h);
  moved_pass(h, &h->worker, id, 1, STATUS_OK); /* of another hop: not what was asked */
  assert_int_equal(harness_count(&h->worker, KIND_REQUEST), 0);
  moved_pass(h, &h->worker, id, 0, STATUS_OK);
  assert_int_equal(harness_work(&h->worker, id)->header.attempt, 1);
  harness_forward(h, &h->worker, id, targets,
                  1); /* and what it forwards is asked for, too: its like may have done that before */
  moved_pass(h, a, id, 1, STATUS_OK);
  moved_pong(h, &h->client); /* this one came after the client */
  assert_int_equal(harness_work(a, id)->header.hop, 1);
}

static void test_who_cannot_vouch(void **state) {
  Harness *h = *state;
  RequestId idempotent;
  RequestId once = moved_ask_once(h);

  moved_pass(h, &h->worker, once, 0, STATUS_UNKNOWN);
  harness_ended(&h->client, once, STATUS_UNKNOWN);
  idempotent = moved_ask(h, (Header){.attempt = 1});
  moved_pass(h, &h->worker, idempotent, 0, STATUS_UNKNOWN);
  harness_work(&h->worker, idempotent);
}

static void test_who_has_seen_a_higher_attempt(void **state) {
  Harness *h = *state;
  RequestId given;
  RequestId asked = moved_ask_once(h);

  moved_pass(h, &h->worker, asked, 0, STATUS_STALE);
  harness_ended(&h->client, asked, STATUS_STALE);
  given = harness_ask(h, &h->client, "echo", "say", BYTES_NONE);
  harness_say(h, &h->worker, KIND_NACK, given, STATUS_STALE);
  harness_ended(&h->client, given, STATUS_STALE);
  assert_int_equal(harness_count(&h->worker, KIND_REQUEST), 1); /* nobody else is tried */
}

/* It was given it twice, and the first time comes back as too old: the second is what it works on. */
static void test_a_refusal_of_an_older_attempt(void **state) {
  Harness *h = *state;
  RequestId id = moved_ask(h, (Header){.method = TEXT("say"), .attempt = 2});

  harness_give(h, &h->worker, &(Header){.kind = KIND_PASS, .id = id, .attempt = 2, .status = STATUS_UNKNOWN},
               BYTES_NONE);
  assert_int_equal(harness_work(&h->worker, id)->header.attempt, 2);
  harness_give(h, &h->worker, &(Header){.kind = KIND_NACK, .id = id, .status = STATUS_STALE}, BYTES_NONE);
  harness_open(&h->client, id);
  harness_reply(h, &h->worker, id);
  harness_ended(&h->client, id, STATUS_OK);
}

/* Who does not answer in time can't vouch; who then says that it has it is told to stop. */
static void test_who_does_not_answer(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  RequestId once;
  RequestId idempotent;

  moved_instance(h, other, "other", 33, NULL);
  once = moved_ask_once(h);
  idempotent = moved_ask(h, (Header){.attempt = 1});
  moved_pass(h, other, once, 0, STATUS_OK);
  moved_pass(h, other, idempotent, 0, STATUS_OK);
  harness_wait(h, TIME_PING_TIMEOUT_US - 1);
  harness_open(&h->client, once);
  harness_wait(h, 1);
  harness_ended(&h->client, once, STATUS_UNKNOWN);
  assert_int_equal(harness_count(&h->worker, KIND_REQUEST) + harness_count(other, KIND_REQUEST), 1);
  moved_have(h, &h->worker, (Header){.id = once}, "running");
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 0); /* its client may ask for it at the other broker */
}

static void test_only_one_goes_on_with_it(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  RequestId id;

  moved_instance(h, other, "other", 33, NULL);
  id = moved_ask(h, (Header){.attempt = 1});
  moved_have(h, &h->worker, (Header){.id = id}, "running");
  moved_have(h, &h->worker, (Header){.id = id}, "running");
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 0);
  moved_have(h, other, (Header){.id = id}, "running");
  assert_int_equal(harness_count(other, KIND_CANCEL), 0); /* it may execute a later hop of the same request */
  harness_reply(h, &h->worker, id);
  harness_ended(&h->client, id, STATUS_OK);
  id = moved_ask(h, (Header){.method = TEXT("stream"), .flags = FLAG_STREAM, .window_bytes = 1000});
  moved_have(h, &h->worker, (Header){.id = id}, "running");
  moved_have(h, other, (Header){.id = id}, "running");
  assert_int_equal(harness_count(other, KIND_CANCEL),
                   0); /* nor is a stream stopped: the client may go on with it at the other broker */
}

/* A client that wants it no more says so to all who may have it. */
static void test_who_was_asked_is_told_that_nobody_wants_it(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  RequestId id;

  moved_instance(h, other, "other", 33, NULL);
  id = moved_ask(h, (Header){.attempt = 1});
  moved_pass(h, other, id, 0, STATUS_OK);
  moved_cancel(h, id);
  assert_int_equal(harness_find(&h->worker, KIND_CANCEL, 0)->header.attempt, 1);
  assert_int_equal(harness_count(other, KIND_CANCEL), 0); /* which has said that it does not have it */
  moved_have(h, &h->worker, (Header){.id = id}, "running");
  assert_int_equal(harness_count(&h->worker, KIND_CANCEL), 1);
}

/* One that dies is waited for; back with its memory, it is asked again. */
static void test_who_dies_while_it_is_asked(void **state) {
  Harness *h = *state;
  RequestId gone;
  RequestId back = moved_ask_once(h);

  harness_cut(h, &h->worker);
  harness_open(&h->client, back);
  harness_wait(h, 50000);
  moved_instance(h, &h->worker, "worker", 22, NULL);
  assert_int_equal(harness_count(&h->worker, KIND_PROBE), 2);
  moved_pass(h, &h->worker, back, 0, STATUS_OK);
  harness_wait(h, TIME_READMIT_FIRST_US);
  moved_pong(h, &h->client);
  harness_work(&h->worker, back);
  harness_cut(h, &h->worker);
  gone = moved_ask_once(h);
  harness_wait(h, TIME_PING_TIMEOUT_US);
  harness_ended(&h->client, gone, STATUS_UNKNOWN);
}

static void test_a_basic_instance_is_not_asked_and_cannot_vouch(void **state) {
  Harness *h = *state;
  TestPeer *basic = &h->other;
  RequestId id;

  harness_worker(h, basic, "basic", 33, 4);
  id = moved_ask_once(h);
  assert_int_equal(harness_count(basic, KIND_PROBE), 0);
  moved_pass(h, &h->worker, id, 0, STATUS_OK);
  harness_ended(&h->client, id, STATUS_UNKNOWN);
}

/* Cancel, deadline and the end of the client while it is asked for; the answers are stray. */
static void test_its_end_while_it_is_asked_for(void **state) {
  Harness *h = *state;
  RequestId expired;
  RequestId cancelled = moved_ask_once(h);

  expired = moved_ask(h, (Header){.deadline_us = 50000});
  moved_cancel(h, cancelled);
  harness_wait(h, 50000);
  harness_ended(&h->client, expired, STATUS_DEADLINE);
  moved_pass(h, &h->worker, cancelled, 0, STATUS_OK);
  assert_int_equal(core_counter(h->core, COUNTER_STRAY), 1);
  moved_ask_once(h);
  harness_say(h, &h->client, KIND_BYE, (RequestId){{0}, 0}, STATUS_OK);
  assert_true(core_is_idle(h->core));
}

/* A client that was elsewhere between two attempts: what this broker has of it may be old. */
static void test_what_was_elsewhere_meanwhile_is_asked_for_anew(void **state) {
  Harness *h = *state;
  RequestId queued;
  RequestId next;
  RequestId first;

  harness_credit(h, &h->worker, 1);
  first = harness_ask(h, &h->client, "echo", "once", BYTES_NONE);
  queued = harness_ask(h, &h->client, "echo", "once", BYTES_NONE);
  next = harness_ask(h, &h->client, "echo", "once", BYTES_NONE);
  moved_ask(h, (Header){.id = next, .method = TEXT("once"), .attempt = 1});
  assert_int_equal(harness_count(&h->worker, KIND_PROBE), 0); /* it was nowhere else */
  moved_ask(h, (Header){.id = queued, .method = TEXT("once"), .attempt = 2});
  moved_ask(h, (Header){.id = first, .method = TEXT("once"), .attempt = 2});
  assert_int_equal(harness_count(&h->worker, KIND_PROBE), 2);
  moved_have(h, &h->worker, (Header){.id = first, .attempt = 2}, "running");
  moved_have(h, &h->worker, (Header){.id = queued, .attempt = 2}, "done");
  harness_reply(h, &h->worker, queued);
  harness_ended(&h->client, queued, STATUS_OK);
  harness_reply(h, &h->worker, first);
  harness_ended(&h->client, first, STATUS_OK);
}

/* The client has lost a chunk with its old session, and comes back to the same broker: the stream goes on where it is. */
static void test_a_chunk_that_went_with_the_session_comes_again(void **state) {
  Harness *h = *state;
  Header ask = {.method = TEXT("stream"), .flags = FLAG_STREAM, .window_bytes = 1000, .deadline_us = 9000000};
  RequestId id = harness_request(h, &h->client, ask, BYTES_NONE);

  harness_chunk(h, &h->worker, id, 0, 0, moved_bytes("one"));
  harness_chunk(h, &h->worker, id, 1, 0, moved_bytes("two"));
  harness_cut(h, &h->client);
  harness_chunk(h, &h->worker, id, 2, 0, moved_bytes("three"));
  moved_client(h, &h->client, FEATURE_CONFIRM);
  harness_open(&h->client, id); /* nothing is lost yet */
  ask.id = id;
  ask.number = 1;
  moved_ask(h, ask);
  moved_have(h, &h->worker, (Header){.id = id, .number = 1, .window_bytes = 3}, "running");
  harness_chunk(h, &h->worker, id, 1, 0, moved_bytes("two"));
  assert_int_equal(harness_last(&h->client)->header.number, 1);
  harness_chunk(h, &h->worker, id, 2, 0, moved_bytes("three"));
  harness_chunk(h, &h->worker, id, 1, 0, moved_bytes("two")); /* twice: it was asked and given the same */
  assert_int_equal(harness_last(&h->client)->header.number, 2);
  moved_reply(h, &h->worker, id);
  harness_ended(&h->client, id, STATUS_OK);
}

/* A basic instance keeps nothing: what was lost stays lost. */
static void test_a_chunk_of_a_basic_instance_is_lost(void **state) {
  Harness *h = *state;
  TestPeer *basic = &h->other;
  Header ask = {.service = TEXT("plain"), .method = TEXT("stream"), .flags = FLAG_STREAM, .deadline_us = 9000000};
  RequestId id;

  harness_instance(h, basic, &(TestInstance){.name = "basic", .client = 33, .credit = 4, .service = "plain"});
  ask.window_bytes = 1000;
  id = harness_request(h, &h->client, ask, BYTES_NONE);
  harness_chunk(h, basic, id, 0, 0, moved_bytes("one"));
  harness_cut(h, &h->client);
  moved_client(h, &h->client, FEATURE_CONFIRM);
  ask.id = id;
  moved_ask(h, ask);
  harness_ended(&h->client, id, STATUS_STREAM_LOST);
  assert_int_equal(harness_count(basic, KIND_CANCEL), 1);
}

/* One that runs it too, but is not as far, is another execution: the one that is there goes on with it. */
static void test_of_two_executions_the_one_that_is_as_far_goes_on(void **state) {
  Harness *h = *state;
  TestPeer *other = &h->other;
  Header ask = {.method = TEXT("stream"), .flags = FLAG_STREAM, .number = 9, .window_bytes = 3000000};
  RequestId id;

  moved_instance(h, other, "other", 33, NULL);
  id = moved_ask(h, ask);
  moved_have(h, other, (Header){.id = id, .number = 2}, "running");
  assert_int_equal(harness_count(other, KIND_CANCEL), 1);
  harness_open(&h->client, id);
  moved_have(h, &h->worker, (Header){.id = id, .number = 9, .window_bytes = 2500000}, "running");
  harness_chunk(h, &h->worker, id, 9, 0, moved_bytes("more"));
  assert_int_equal(harness_last(&h->client)->header.number, 9);
}

/* An answer to a question of before is none to that of now. */
static void test_an_answer_to_an_older_attempt(void **state) {
  Harness *h = *state;
  RequestId id = moved_ask_once(h);

  moved_ask(h, (Header){.id = id, .method = TEXT("once"), .attempt = 3});
  moved_pass(h, &h->worker, id, 0, STATUS_STALE); /* says attempt 1 */
  harness_open(&h->client, id);
  harness_give(h, &h->worker, &(Header){.kind = KIND_PASS, .id = id, .attempt = 3}, BYTES_NONE);
  harness_work(&h->worker, id);
}

/* service@* can't be attached: each instance knows for itself what it has answered. */
static void test_all_of_a_service_are_not_probed(void **state) {
  Harness *h = *state;
  RequestId idempotent;
  RequestId broker;
  RequestId once = moved_ask(h, (Header){.service = TEXT("echo@*"), .method = TEXT("once")});

  harness_ended(&h->client, once, STATUS_UNKNOWN);
  idempotent = moved_ask(h, (Header){.service = TEXT("echo@*")});
  harness_work(&h->worker, idempotent);
  broker = moved_ask(h, (Header){.service = TEXT("pons"), .method = TEXT("ping")});
  harness_ended(&h->client, broker, STATUS_OK);
  assert_int_equal(harness_count(&h->worker, KIND_PROBE), 0);
}

/* An instance that lost its broker answers here; its client is here, so it gets it. */
static void test_an_answer_to_a_request_of_the_other_broker(void **state) {
  Harness *h = *state;
  RequestId id = {{11}, 77};
  RequestId stranger = {{12}, 77};

  harness_chunk(h, &h->worker, id, 0, FLAG_PART, moved_bytes("part"));
  assert_int_equal(harness_last(&h->client)->header.flags, FLAG_PART);
  harness_give(h, &h->worker, &(Header){.kind = KIND_REPLY, .id = id, .number = 1}, BYTES_NONE);
  harness_ended(&h->client, id, STATUS_OK);
  assert_int_equal(harness_last(&h->client)->header.number, 1);
  harness_reply(h, &h->worker, stranger);
  assert_int_equal(core_counter(h->core, COUNTER_PASSED_ON), 2);
  assert_int_equal(core_counter(h->core, COUNTER_STRAY), 1);
  id = moved_ask_once(h);
  harness_reply(h, &h->worker, id); /* this broker has asked for it: HAVE and the answer come */
  harness_open(&h->client, id);
}

/* Bytes that are no HAVE body: such an instance can't vouch for anything. */
static void test_a_have_that_cannot_be_read(void **state) {
  Harness *h = *state;
  RequestId id = moved_ask_once(h);

  harness_give(h, &h->worker, &(Header){.kind = KIND_HAVE, .id = id, .attempt = 1}, moved_bytes("x"));
  harness_ended(&h->client, id, STATUS_UNKNOWN);
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, moved_set_up, moved_tear_down)
  const struct CMUnitTest tests[] = {
      TEST(test_all_instances_are_asked_and_told_what_is_wanted),
      TEST(test_what_is_asked_in_one_turn_goes_in_one_probe),
      TEST(test_who_has_it_answers_for_this_broker),
      TEST(test_what_was_done_is_answered_again),
      TEST(test_what_is_taken_over_can_be_cancelled),
      TEST(test_a_stream_goes_on_where_the_client_is),
      TEST(test_a_stream_of_which_a_part_is_gone_is_lost),
      TEST(test_a_stream_that_was_begun_for_another_has_a_hole),
      TEST(test_a_reply_that_is_gone),
      TEST(test_what_was_forwarded_is_asked_for_further_on),
      TEST(test_what_nobody_has_is_handed_on),
      TEST(test_who_cannot_vouch),
      TEST(test_who_has_seen_a_higher_attempt),
      TEST(test_a_refusal_of_an_older_attempt),
      TEST(test_who_does_not_answer),
      TEST(test_only_one_goes_on_with_it),
      TEST(test_who_was_asked_is_told_that_nobody_wants_it),
      TEST(test_who_dies_while_it_is_asked),
      TEST(test_a_basic_instance_is_not_asked_and_cannot_vouch),
      TEST(test_its_end_while_it_is_asked_for),
      TEST(test_what_was_elsewhere_meanwhile_is_asked_for_anew),
      TEST(test_a_chunk_that_went_with_the_session_comes_again),
      TEST(test_a_chunk_of_a_basic_instance_is_lost),
      TEST(test_of_two_executions_the_one_that_is_as_far_goes_on),
      TEST(test_an_answer_to_an_older_attempt),
      TEST(test_all_of_a_service_are_not_probed),
      TEST(test_an_answer_to_a_request_of_the_other_broker),
      TEST(test_a_have_that_cannot_be_read),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
