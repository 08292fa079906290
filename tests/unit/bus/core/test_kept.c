/* Last values as two brokers tell them to each other: which is newer, what was forgotten stays so, all of them in parts. */
#include <stdio.h>

#include "bus/core/core-internal.h"
#include "bus/core/roster.h"
#include "tests/unit/bus/core/harness.h"

static const char *const first = "first";
static const char *const second = "second";

static void start(Harness *h, uint32_t topics) {
  CoreOptions options = core_options_default();

  options.has_peer = true;
  if (topics)
    options.limits.topics = topics;
  harness_start(h, &options);
  harness_clear(&h->worker);
}

static Bytes bytes(const char *text) {
  return (Bytes){(const uint8_t *)text, strlen(text)};
}

static void publish(Harness *h, const char *topic, uint64_t sequence, const char *body) {
  Header header = {.kind = KIND_PUBLISH,
                   .id = {{h->client.client.value}, sequence},
                   .service = text_of(topic),
                   .flags = FLAG_RETAIN};

  harness_give(h, &h->client, &header, bytes(body));
}

static void peer_kept(Harness *h, uint64_t publisher, uint64_t sequence, uint64_t age_us, const char *body) {
  core_peer_kept(h->core,
                 &(KeptValue){.id = {{publisher}, sequence}, .topic = TEXT("t"), .body = bytes(body), .age_us = age_us},
                 h->now_us);
}

static void assert_kept(Harness *h, const char *topic, const char *body) {
  const Topic *found = kept_find(h->core, text_of(topic));

  if (!body || !found) {
    assert_true(!body && (!found || found->body->size == 0));
    return;
  }
  assert_int_equal(found->body->size, strlen(body));
  assert_memory_equal(block_bytes(found->body).data, body, strlen(body));
}

static void the_newer_wins(void **state _unused_) {
  static const struct {
    bool same_publisher;
    uint64_t sequence; /* the one here has 5 */
    uint64_t age_us;   /* the one here has 1,000 */
    bool wins;
  } rows[] = {{true, 6, 5000, true}, {true, 5, 0, false},     {true, 4, 0, false},
              {false, 1, 999, true}, {false, 9, 1000, false}, {false, 9, 1001, false}};

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Harness h;

    start(&h, 0);
    publish(&h, "t", 5, first);
    h.now_us += 1000;
    peer_kept(&h, rows[i].same_publisher ? h.client.client.value : 99, rows[i].sequence, rows[i].age_us, second);
    assert_kept(&h, "t", rows[i].wins ? second : first);
    harness_stop(&h);
  }
}

static void subscribers_hear_what_is_taken_and_nothing_else(void **state _unused_) {
  Header subscribe = {.kind = KIND_SUBSCRIBE, .service = TEXT(">")};
  Harness h;

  start(&h, 0);
  harness_give(&h, &h.worker, &subscribe, BYTES_NONE);
  peer_kept(&h, 99, 1, 0, first);
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  assert_int_equal(harness_last(&h.worker)->header.flags, FLAG_RETAIN);
  peer_kept(&h, 99, 1, 0, first);
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  core_peer_kept(h.core, &(KeptValue){.id = {{99}, 1}, .topic = TEXT("no topic"), .body = bytes(first)}, h.now_us);
  core_peer_kept(h.core, &(KeptValue){.topic = TEXT("u"), .body = bytes(first)}, h.now_us); /* of nobody */
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 1);
  assert_kept(&h, "u", NULL);
  harness_stop(&h);
}

static void what_was_forgotten_does_not_come_back(void **state _unused_) {
  Header subscribe = {.kind = KIND_SUBSCRIBE, .service = TEXT("t")};
  Harness h;

  start(&h, 0);
  publish(&h, "t", 1, first);
  publish(&h, "t", 2, "");
  peer_kept(&h, h.client.client.value, 1, 0, first);
  assert_kept(&h, "t", NULL);
  harness_give(&h, &h.worker, &subscribe, BYTES_NONE);
  assert_int_equal(harness_count(&h.worker, KIND_EVENT), 0);
  publish(&h, "t", 3, second);
  peer_kept(&h, h.client.client.value, 4, 0, "");
  assert_kept(&h, "t", NULL);
  harness_stop(&h);
}

static void an_older_event_of_the_same_publisher_changes_nothing(void **state _unused_) {
  Harness h;
  Header late;

  start(&h, 0);
  publish(&h, "t", 2, second);
  late = (Header){.id = {{h.client.client.value}, 1}, .service = TEXT("t"), .flags = FLAG_RETAIN};
  core_peer_event(h.core, &late, bytes(first), h.now_us);
  assert_kept(&h, "t", second);
  harness_stop(&h);
}

static void a_topic_without_a_value_makes_room(void **state _unused_) {
  Harness h;

  start(&h, 2);
  publish(&h, "a", 1, first);
  publish(&h, "b", 1, first);
  publish(&h, "c", 1, first);
  assert_kept(&h, "c", NULL);
  publish(&h, "a", 2, "");
  publish(&h, "c", 2, first);
  assert_kept(&h, "c", first);
  assert_kept(&h, "b", first);
  assert_null(kept_find(h.core, TEXT("a")));
  harness_stop(&h);
}

typedef struct Told {
  int n;
  int most;
  char topics[8];
} Told;

static bool on_kept(void *userdata, const KeptValue *value) {
  Told *told = userdata;

  if (told->n == told->most)
    return false;
  told->topics[told->n++] = value->topic.data[0];
  return true;
}

static void all_are_told_in_parts(void **state _unused_) {
  Told told = {.most = 2};
  uint64_t at;
  Harness h;

  start(&h, 0);
  publish(&h, "a", 1, first);
  publish(&h, "b", 1, first);
  core_publish(h.core, TEXT("pons.flags.x"), bytes("on"), h.now_us); /* each broker tells its own */
  publish(&h, "c", 1, first);
  publish(&h, "a", 2, ""); /* that there is none is told too */
  at = core_tell_kept(h.core, 0, on_kept, &told, h.now_us);
  assert_string_equal(told.topics, "bc");
  told.most = 8;
  assert_int_equal(core_tell_kept(h.core, at, on_kept, &told, h.now_us), core_kept_serial(h.core));
  assert_string_equal(told.topics, "bca");
  harness_stop(&h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_newer_wins),
      cmocka_unit_test(subscribers_hear_what_is_taken_and_nothing_else),
      cmocka_unit_test(what_was_forgotten_does_not_come_back),
      cmocka_unit_test(an_older_event_of_the_same_publisher_changes_nothing),
      cmocka_unit_test(a_topic_without_a_value_makes_room),
      cmocka_unit_test(all_are_told_in_parts),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
