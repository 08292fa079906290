/* Topics: who hears what, last values, limits, what may not be said. */
#include <stdio.h>

#include "bus/core/core-internal.h"
#include "tests/unit/bus/core/harness.h"

static void subscribe(Harness *h, TestPeer *peer, const char *pattern) {
  Header header = {.kind = KIND_SUBSCRIBE, .service = text_of(pattern)};

  harness_give(h, peer, &header, BYTES_NONE);
}

static void unsubscribe(Harness *h, TestPeer *peer, const char *pattern) {
  Header header = {.kind = KIND_UNSUBSCRIBE, .service = text_of(pattern)};

  harness_give(h, peer, &header, BYTES_NONE);
}

static void publish(Harness *h, TestPeer *peer, const char *topic, uint32_t flags, const char *body) {
  Header header = {
      .kind = KIND_PUBLISH, .id = {peer->client, ++peer->sequence}, .service = text_of(topic), .flags = flags};

  harness_give(h, peer, &header, (Bytes){(const uint8_t *)body, strlen(body)});
}

/* The worker hears, the client speaks. */
static void start(Harness *h, const CoreOptions *options) {
  harness_start(h, options);
  harness_clear(&h->worker);
}

static void test_who_hears_what(void **state) {
  static const struct {
    const char *pattern;
    const char *topic;
    bool heard;
  } rows[] = {{"a.b", "a.b", true},      {"a.b", "a.c", false},   {"a.b", "a.b.c", false}, {"a.b", "a", false},
              {"*", "a", true},          {"*", "a.b", false},     {"a.*", "a.b", true},    {"a.*", "a", false},
              {"a.*", "a.b.c", false},   {"*.b", "a.b", true},    {"*.b", "a.c", false},   {"a.*.c", "a.b.c", true},
              {"a.*.c", "a.b.d", false}, {">", "a", true},        {">", "a.b.c", true},    {"a.>", "a.b", true},
              {"a.>", "a.b.c.d", true},  {"a.>", "a", false},     {"a.>", "b.c", false},   {"*.>", "a.b", true},
              {"*.>", "a", false},       {"a.*.>", "a.b", false}, {"a.*.>", "a.b.c", true}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Harness h;

    start(&h, NULL);
    subscribe(&h, &h.worker, rows[i].pattern);
    publish(&h, &h.client, rows[i].topic, 0, "x");
    if (harness_count(&h.worker, KIND_EVENT) != (rows[i].heard ? 1 : 0))
      fail_msg("%s of %s", rows[i].topic, rows[i].pattern);
    harness_stop(&h);
  }
}

static void test_an_event_as_it_arrives(void **state) {
  static const uint8_t annotations[] = {0x81, 0xa1, 'a', 1};
  Harness h;
  Header said = {.kind = KIND_PUBLISH, .service = TEXT("a.b"), .annotations = {annotations, 4}};
  Header heard;

  (void)state;
  start(&h, NULL);
  said.id = (RequestId){h.client.client, 7};
  said.content_type = TEXT("text/plain");
  subscribe(&h, &h.worker, "a.*");
  harness_give(&h, &h.client, &said, (Bytes){(const uint8_t *)"news", 4});
  heard = harness_last(&h.worker)->header;
  assert_int_equal(heard.kind, KIND_EVENT);
  assert_true(text_is(heard.service, "a.b"));
  assert_true(request_id_equal(heard.id, said.id)); /* publisher and sequence: a hole in it is a gap */
  assert_true(text_is(heard.content_type, "text/plain"));
  assert_memory_equal(heard.annotations.data, annotations, 4);
  assert_int_equal(heard.flags, 0);
  assert_int_equal(core_counter(h.core, COUNTER_EVENTS_IN), 1);
  assert_int_equal(core_counter(h.core, COUNTER_EVENTS_OUT), 1);
  harness_stop(&h);
}

static void test_once_per_session_whichever_patterns_fit(void **state) {
  Harness h;

  (void)state;
  start(&h, NULL);
  subscribe(&h, &h.worker, "a.b");
  subscribe(&h, &h.worker, "a.*");
  subscribe(&h, &h.worker, ">");
  subscribe(&h, &h.client, "a.>");
  publish(&h, &h.client, "a.b", 0, "x");
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  assert_int_equal(harness_count(&h.client, KIND_EVENT), 1); /* its own too */
  publish(&h, &h.client, "a.b", 0, "y");
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 2);
  harness_stop(&h);
}

static void test_unsubscribed_means_silence(void **state) {
  Harness h;

  (void)state;
  start(&h, NULL);
  subscribe(&h, &h.worker, "a.b");
  subscribe(&h, &h.worker, "a.*");
  unsubscribe(&h, &h.worker, "a.b");
  unsubscribe(&h, &h.worker, "never.said");
  publish(&h, &h.client, "a.b", 0, "x");
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  unsubscribe(&h, &h.worker, "a.*");
  publish(&h, &h.client, "a.b", 0, "x");
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  harness_stop(&h);
}

/* --- last values --- */

static void test_the_last_value_is_kept_and_given_to_who_comes_later(void **state) {
  Harness h;
  Heard *kept;

  (void)state;
  start(&h, NULL);
  publish(&h, &h.client, "a.b", FLAG_RETAIN, "old");
  publish(&h, &h.client, "a.b", FLAG_RETAIN, "new");
  publish(&h, &h.client, "a.b", 0, "passing");
  publish(&h, &h.client, "a.c", FLAG_RETAIN, "other");
  subscribe(&h, &h.worker, "a.b");
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  kept = harness_last(&h.worker);
  assert_int_equal(kept->header.flags, FLAG_RETAIN);
  assert_int_equal(kept->header.id.sequence, 2);
  assert_memory_equal(kept->body.data, "new", 3);
  subscribe(&h, &h.worker, "a.*");
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 3);
  harness_stop(&h);
}

static void test_said_again_it_gives_the_last_values_again(void **state) {
  CoreOptions options = core_options_default();
  Harness h;

  (void)state;
  options.limits.subscriptions = 1;
  start(&h, &options);
  publish(&h, &h.client, "a.b", FLAG_RETAIN, "x");
  subscribe(&h, &h.worker, "a.b");
  subscribe(&h, &h.worker, "a.b"); /* at the limit too: this is how a gap is filled */
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 2);
  harness_stop(&h);
}

static void test_an_empty_value_is_forgotten(void **state) {
  Harness h;

  (void)state;
  start(&h, NULL);
  publish(&h, &h.client, "a.b", FLAG_RETAIN, "x");
  publish(&h, &h.client, "a.b", FLAG_RETAIN, "");
  publish(&h, &h.client, "a.c", FLAG_RETAIN, "");
  subscribe(&h, &h.worker, ">");
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 0);
  harness_stop(&h);
}

/* --- what is refused --- */

/* The last thing the peer heard: an ERROR without an id that names the topic. */
static void refused(TestPeer *peer, const char *topic, Status status) {
  Header error = harness_last(peer)->header;

  assert_int_equal(error.kind, KIND_ERROR);
  assert_string_equal(status_name(error.status), status_name(status));
  assert_true(request_id_is_none(error.id));
  assert_true(text_is(error.service, topic));
}

static void test_what_is_no_topic(void **state) {
  static const char *const topics[] = {"a..b", ".a", "a.", "a.*", ">", "a b", "a/b", "pons.news"};
  Harness h;

  (void)state;
  start(&h, NULL);
  subscribe(&h, &h.worker, ">");
  for (size_t i = 0; i < ELEMENTS(topics); i++) {
    publish(&h, &h.client, topics[i], 0, "x");
    refused(&h.client, topics[i], STATUS_BAD_NAME);
  }
  publish(&h, &h.client, "ponsy", 0, "x");
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  harness_stop(&h);
}

static void test_what_is_no_pattern(void **state) {
  static const char *const patterns[] = {"a..b", ".", "a.>.b", "a*", "a.b*", "> "};
  Harness h;

  (void)state;
  start(&h, NULL);
  for (size_t i = 0; i < ELEMENTS(patterns); i++) {
    subscribe(&h, &h.worker, patterns[i]);
    refused(&h.worker, patterns[i], STATUS_BAD_NAME);
  }
  harness_stop(&h);
}

static void test_a_refused_event_ends_no_request_of_the_same_number(void **state) {
  Harness h;
  RequestId id;
  Header bad = {.kind = KIND_PUBLISH, .service = TEXT("a..b")};

  (void)state;
  start(&h, NULL);
  id = harness_ask(&h, &h.client, "echo", "say", BYTES_NONE);
  bad.id = id; /* events are counted apart from requests */
  harness_give(&h, &h.client, &bad, BYTES_NONE);
  harness_open(&h.client, id);
  bad.service = (Text){"x123456789x123456789x123456789x123456789x123456789x123456789x123456789"
                       "x123456789x123456789x123456789x123456789x123456789x123456789x",
                       131};
  harness_give(&h, &h.client, &bad, BYTES_NONE);
  assert_int_equal(harness_last(&h.client)->header.status, STATUS_TOO_LARGE);
  harness_open(&h.client, id);
  harness_reply(&h, &h.worker, id);
  harness_ended(&h.client, id, STATUS_OK);
  harness_stop(&h);
}

static void test_the_name_of_another_publisher(void **state) {
  Harness h;
  Header event = {.kind = KIND_PUBLISH, .id = {{22}, 1}, .service = TEXT("a.b")};

  (void)state;
  start(&h, NULL);
  harness_give(&h, &h.client, &event, BYTES_NONE);
  refused(&h.client, "a.b", STATUS_FOREIGN_ID);
  harness_stop(&h);
}

/* One message may ask for all that is kept many times over: the broker does some of it, and goes on with others meanwhile. */
static void test_last_values_are_told_some_at_a_time(void **state) {
  enum { TOPICS = 100, PATTERNS = 64, LOOKS = 4096, EVERY_US = 20000 };
  Harness h;
  int before;

  (void)state;
  start(&h, NULL);
  for (int i = 0; i < TOPICS; i++) {
    char topic[32];

    snprintf(topic, sizeof topic, "a.b.c.d.e.n%d", i);
    publish(&h, &h.client, topic, FLAG_RETAIN, "x");
  }
  before = h.worker.n_heard;
  for (unsigned i = 0; i < PATTERNS; i++) {
    char pattern[16] = "a.b.c.d.e.*";

    for (unsigned k = 0; k < 5; k++)
      if (i >> k & 1)
        pattern[2 * k] = '*';
    if (i >> 5 & 1)
      pattern[10] = '>';
    subscribe(&h, &h.worker, pattern);
  }
  assert_int_equal(h.worker.n_heard - before, LOOKS);
  for (int i = 0; i < 10; i++)
    subscribe(&h, &h.worker, "*.*.*.*.*.>");                  /* it waits already, and is told once */
  publish(&h, &h.client, "a.b.c.d.e.n0", FLAG_RETAIN, "new"); /* and this as it is published */
  assert_int_equal(h.worker.n_heard - before, LOOKS + 1);
  harness_wait(&h, EVERY_US);
  /* of the one that was interrupted what lacked; of those that waited all but the one that was published meanwhile */
  assert_int_equal(h.worker.n_heard - before,
                   LOOKS + 1 + (TOPICS - LOOKS % TOPICS) + (PATTERNS - LOOKS / TOPICS - 1) * (TOPICS - 1));
  harness_stop(&h);
}

static void test_limits_of_patterns_and_topics(void **state) {
  CoreOptions options = core_options_default();
  Harness h;

  (void)state;
  options.limits.subscriptions = 2;
  options.limits.topics = 2;
  start(&h, &options);
  subscribe(&h, &h.worker, "a");
  subscribe(&h, &h.worker, "b");
  subscribe(&h, &h.worker, "c");
  refused(&h.worker, "c", STATUS_LIMIT);
  unsubscribe(&h, &h.worker, "a");
  subscribe(&h, &h.worker, "c");
  publish(&h, &h.client, "a", FLAG_RETAIN, "x");
  publish(&h, &h.client, "b", FLAG_RETAIN, "x");
  publish(&h, &h.client, "c", FLAG_RETAIN, "x");
  refused(&h.client, "c", STATUS_LIMIT);
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 2); /* who listens hears it all the same */
  publish(&h, &h.client, "a", FLAG_RETAIN, "");
  publish(&h, &h.client, "c", FLAG_RETAIN, "x");
  assert_int_equal(harness_count(&h.client, KIND_ERROR), 1);
  harness_stop(&h);
}

static void test_last_values_together_have_a_limit(void **state) {
  static char big[LIMIT_BODY_BYTES + 1];
  Harness h;
  char topic[16];

  (void)state;
  start(&h, NULL);
  memset(big, 'x', LIMIT_BODY_BYTES);
  for (int i = 0; i < LIMIT_TOPIC_BYTES / LIMIT_BODY_BYTES; i++) {
    snprintf(topic, sizeof topic, "t%d", i);
    publish(&h, &h.client, topic, FLAG_RETAIN, big);
  }
  assert_int_equal(harness_count(&h.client, KIND_ERROR), 0);
  publish(&h, &h.client, "more", FLAG_RETAIN, big);
  refused(&h.client, "more", STATUS_LIMIT);
  publish(&h, &h.client, "t0", FLAG_RETAIN, big); /* in the place of the old one */
  assert_int_equal(harness_count(&h.client, KIND_ERROR), 1);
  harness_stop(&h);
}

/* --- what the broker itself says --- */

static void test_instances_come_and_go_aloud(void **state) {
  TestPeer *other = calloc(1, sizeof *other);
  Header bye = {.kind = KIND_BYE};
  Harness h;

  (void)state;
  start(&h, NULL);
  subscribe(&h, &h.client, "pons.instance.*");
  harness_worker(&h, other, "other", 33, 1);
  assert_true(text_is(harness_find(&h.client, KIND_EVENT, 0)->header.service, "pons.instance.up"));
  assert_non_null(
      memmem(harness_last(&h.client)->body.data, harness_last(&h.client)->body.size, "other:0000000000000021", 22));
  harness_credit(&h, &h.client, 5); /* offers nothing: that is no instance */
  assert_int_equal(harness_count(&h.client, KIND_EVENT), 1);
  harness_give(&h, other, &bye, BYTES_NONE);
  assert_true(text_is(harness_find(&h.client, KIND_EVENT, 1)->header.service, "pons.instance.down"));
  harness_forget(other);
  harness_stop(&h);
  free(other);
}

static void test_contracts_that_differ_are_told(void **state) {
  static const HelloCall call = {.service = TEXT("typed"), .method = TEXT("say"), .has_hash = true, .hash = 1};
  static const HelloMethod method = {.method = TEXT("say"), .has_hash = true, .hash = 2};
  TestPeer *caller = calloc(1, sizeof *caller);
  TestPeer *callee = calloc(1, sizeof *callee);
  _cleanup_(arena_done) Arena arena = {0};
  Hello hello = {.version = 1, .client = 66, .agent = TEXT("caller"), .incarnation = 1, .has_calls = true};
  Harness h;
  Welcome welcome;

  (void)state;
  hello.calls.items = &call;
  hello.calls.count = 1;
  start(&h, NULL);
  subscribe(&h, &h.client, "pons.contract.mismatch");
  harness_hello(&h, caller, &hello);
  assert_int_equal(harness_count(&h.client, KIND_EVENT), 0);
  harness_instance(
      &h, callee,
      &(TestInstance){.name = "callee", .client = 67, .service = "typed", .methods = &method, .n_methods = 1});
  assert_int_equal(contract_decode(CONTRACT(Welcome), buffer_bytes(&callee->heard[0].body), &arena, &welcome, NULL), 0);
  assert_int_equal(welcome.mismatches.count, 1);
  assert_true(text_is(welcome.mismatches.items[0].caller, "caller"));
  assert_int_equal(welcome.mismatches.items[0].caller_hash, 1);
  assert_int_equal(welcome.mismatches.items[0].callee_hash, 2);
  assert_int_equal(harness_count(&h.client, KIND_EVENT), 1);
  harness_forget(caller);
  harness_forget(callee);
  harness_stop(&h);
  free(caller);
  free(callee);
}

static void test_the_process_itself_publishes_what_it_likes(void **state) {
  CoreOptions options = core_options_default();
  Harness h;

  (void)state;
  options.limits.topics = 1;
  start(&h, &options);
  subscribe(&h, &h.worker, "pons.flags.>");
  assert_true(core_publish(h.core, TEXT("pons.flags.a"), (Bytes){(const uint8_t *)"on", 2}, h.now_us));
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  assert_false(core_publish(h.core, TEXT("pons.flags.b"), (Bytes){(const uint8_t *)"on", 2}, h.now_us));
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 2);
  subscribe(&h, &h.client, "pons.flags.>");
  assert_int_equal(harness_count(&h.client, KIND_EVENT), 1);
  assert_int_equal(harness_last(&h.client)->header.flags, FLAG_RETAIN);
  harness_stop(&h);
}

static void count_event(void *userdata, const Header *header, Bytes body) {
  assert_true(text_is(header->service, "a.b"));
  assert_int_equal(body.size, 2);
  ++*(int *)userdata;
}

static void test_the_other_broker_is_told_and_tells(void **state) {
  CoreOptions options = core_options_default();
  Bytes body = {(const uint8_t *)"on", 2};
  Header other = {.id = {{99}, 7}, .service = TEXT("a.b"), .flags = FLAG_RETAIN};
  int told = 0;
  Harness h;

  (void)state;
  options.has_peer = true;
  start(&h, &options);
  h.core->sink.event = count_event;
  h.core->sink.userdata = &told;
  publish(&h, &h.client, "a.b", 0, "on");
  assert_int_equal(told, 1);
  h.core->sink.userdata = NULL;
  subscribe(&h, &h.worker, "a.b");
  core_peer_event(h.core, &other, body, h.now_us);
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  assert_true(request_id_equal(harness_last(&h.worker)->header.id, other.id));
  assert_int_equal(told, 1); /* not passed back */
  subscribe(&h, &h.client, "a.b");
  assert_int_equal(harness_count(&h.client, KIND_EVENT), 1); /* it was kept */
  other.service = TEXT("no topic");
  core_peer_event(h.core, &other, body, h.now_us);
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_who_hears_what),
      cmocka_unit_test(test_an_event_as_it_arrives),
      cmocka_unit_test(test_once_per_session_whichever_patterns_fit),
      cmocka_unit_test(test_unsubscribed_means_silence),
      cmocka_unit_test(test_the_last_value_is_kept_and_given_to_who_comes_later),
      cmocka_unit_test(test_said_again_it_gives_the_last_values_again),
      cmocka_unit_test(test_an_empty_value_is_forgotten),
      cmocka_unit_test(test_what_is_no_topic),
      cmocka_unit_test(test_what_is_no_pattern),
      cmocka_unit_test(test_a_refused_event_ends_no_request_of_the_same_number),
      cmocka_unit_test(test_the_name_of_another_publisher),
      cmocka_unit_test(test_last_values_are_told_some_at_a_time),
      cmocka_unit_test(test_limits_of_patterns_and_topics),
      cmocka_unit_test(test_last_values_together_have_a_limit),
      cmocka_unit_test(test_instances_come_and_go_aloud),
      cmocka_unit_test(test_contracts_that_differ_are_told),
      cmocka_unit_test(test_the_process_itself_publishes_what_it_likes),
      cmocka_unit_test(test_the_other_broker_is_told_and_tells),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
