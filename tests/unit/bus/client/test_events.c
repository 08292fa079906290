/* Topics, publishing, subscriptions, against the fake broker. */
#include "tests/unit/bus/client/scene.h"

typedef struct Watcher {
  Scene *scene;
  int events;
  int gaps;
  uint64_t sequence;
  bool retained;
  char topic[64];
  uint64_t number;
  bool leave; /* unsubscribes inside */
} Watcher;

static void on_event(void *userdata, const BusEvent *event) {
  Watcher *watcher = userdata;

  watcher->events++;
  watcher->gaps += event->gap;
  watcher->sequence = event->sequence;
  watcher->retained = event->retained;
  snprintf(watcher->topic, sizeof watcher->topic, "%.*s", TEXT_ARG(event->topic));
  if (watcher->leave)
    client_unsubscribe(watcher->scene->client, watcher->number);
}

static void send_event(Scene *scene, const char *topic, uint64_t publisher, uint64_t sequence, uint32_t flags,
                       uint64_t lost) {
  Header header = {
      .kind = KIND_EVENT, .id = {{publisher}, sequence}, .service = text_of(topic), .flags = flags, .number = lost};

  fake_send(&scene->fake, &header, BYTES_NONE);
}

static void subscribe(Scene *scene, Watcher *watcher, const char *pattern) {
  watcher->scene = scene;
  assert_int_equal(client_subscribe(scene->client, text_of(pattern), on_event, watcher, &watcher->number), 0);
}

static bool is_refused(void *userdata) {
  const Scene *scene = userdata;

  return scene->refusal != STATUS_OK;
}

static void what_a_broker_refuses_is_told(void **state) {
  Scene *scene = *state;

  scene_connect(scene);
  assert_int_equal(client_publish(scene->client, TEXT("a.b"), BYTES_NONE, false), 0);
  free(fake_take(&scene->fake, KIND_PUBLISH));
  fake_error(&scene->fake, (RequestId){{0}, 0}, STATUS_UNSUPPORTED, "a kind of a later version", 0); /* not told */
  fake_error(&scene->fake, (RequestId){{0}, 0}, STATUS_DENIED, "may not publish to a.b", 0);
  fake_until(&scene->fake, is_refused, scene);
  assert_int_equal(scene->refusal, STATUS_DENIED);
  assert_string_equal(scene->text, "DENIED: may not publish to a.b");
  assert_int_equal(client_state(scene->client), CLIENT_OPEN); /* the session goes on */
}

static void publishing_counts_per_topic(void **state) {
  Scene *scene = *state;
  static const struct {
    const char *topic;
    uint64_t sequence;
  } cases[] = {{"a.x", 1}, {"a.x", 2}, {"a.y", 1}, {"a.x", 3}};

  scene_begin(scene);
  assert_int_equal(client_publish(scene->client, TEXT("a.x"), BYTES_NONE, true), 0); /* waits for the session */
  assert_int_equal(client_wait_open(scene->client, FAKE_PATIENCE_US), 0);
  for (size_t i = 1; i < ELEMENTS(cases); i++)
    assert_int_equal(client_publish(scene->client, text_of(cases[i].topic), (Bytes){(const uint8_t *)"v", 1}, false),
                     0);
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    Taken *taken = fake_take(&scene->fake, KIND_PUBLISH);

    assert_true(text_is(taken->header.service, cases[i].topic));
    assert_int_equal(taken->header.id.sequence, cases[i].sequence);
    assert_true(taken->header.id.client.value == client_id(scene->client).value);
    assert_int_equal(taken->header.flags, i == 0 ? FLAG_RETAIN : 0);
    free(taken);
  }
  assert_int_equal(client_publish(scene->client, TEXT("a..x"), BYTES_NONE, false), -EINVAL);
  assert_int_equal(client_publish(scene->client, TEXT("a"), (Bytes){NULL, LIMIT_BODY_BYTES + 1}, false), -EMSGSIZE);
}

static void waiting_publications_are_bounded(void **state) {
  Scene *scene = *state;
  Taken *taken;

  fake_stop(&scene->fake);
  scene_begin(scene);
  for (int i = 0; i < LIMIT_OUTBOX_EVENTS + 5; i++)
    assert_int_equal(client_publish(scene->client, TEXT("a"), BYTES_NONE, false), 0);
  assert_int_equal(client_stats(scene->client).events_dropped, 5);
  fake_start(&scene->fake);
  taken = fake_take(&scene->fake, KIND_PUBLISH);
  assert_int_equal(taken->header.id.sequence, 6); /* the oldest were dropped, and the hole shows it */
  free(taken);
}

static void each_event_comes_once(void **state) {
  Scene *scene = *state;
  Watcher watcher = {0};
  Taken *taken;

  scene_connect(scene);
  subscribe(scene, &watcher, "a.*");
  taken = fake_take(&scene->fake, KIND_SUBSCRIBE);
  assert_true(text_is(taken->header.service, "a.*"));
  free(taken);
  send_event(scene, "a.x", 5, 7, FLAG_RETAIN, 0);
  send_event(scene, "a.x", 5, 7, 0, 0);
  send_event(scene, "a.x", 5, 6, 0, 0);
  send_event(scene, "a.x", 5, 8, 0, 0);
  send_event(scene, "a.y", 5, 1, 0, 0);
  send_event(scene, "a.x", 6, 1, 0, 0);
  send_event(scene, "b.x", 5, 1, 0, 0);
  fake_run(&scene->fake, 20000);
  assert_int_equal(watcher.events, 4);
  assert_int_equal(watcher.gaps, 0);
  assert_int_equal(client_stats(scene->client).events_dropped, 2);
}

static void a_gap_is_told_and_mended(void **state) {
  Scene *scene = *state;
  Watcher watcher = {0};

  scene_connect(scene);
  subscribe(scene, &watcher, "a.>");
  free(fake_take(&scene->fake, KIND_SUBSCRIBE));
  send_event(scene, "a.x", 5, 1, 0, 0);
  send_event(scene, "a.x", 5, 4, 0, 0);
  free(fake_take(&scene->fake, KIND_SUBSCRIBE));
  assert_int_equal(watcher.gaps, 1);
  send_event(scene, "a.x", 5, 5, 0, 3); /* the session lost three */
  free(fake_take(&scene->fake, KIND_SUBSCRIBE));
  assert_int_equal(watcher.gaps, 2);
}

static void subscriptions_outlive_the_session(void **state) {
  Scene *scene = *state;
  Watcher watcher = {0};

  scene_connect(scene);
  subscribe(scene, &watcher, "a");
  free(fake_take(&scene->fake, KIND_SUBSCRIBE));
  socket_hang_up(scene->fake.socket, scene->fake.peer);
  free(fake_take(&scene->fake, KIND_SUBSCRIBE));
  send_event(scene, "a", 5, 1, 0, 0);
  fake_run(&scene->fake, 10000);
  assert_int_equal(watcher.events, 1);
}

static void unsubscribing_inside_and_twice(void **state) {
  Scene *scene = *state;
  Watcher first = {.leave = true};
  Watcher second = {0};

  scene_connect(scene);
  subscribe(scene, &first, "a");
  subscribe(scene, &second, "a");
  free(fake_take(&scene->fake, KIND_SUBSCRIBE));
  free(fake_take(&scene->fake, KIND_SUBSCRIBE));
  send_event(scene, "a", 5, 1, 0, 0);
  send_event(scene, "a", 5, 2, 0, 0);
  fake_run(&scene->fake, 10000);
  assert_int_equal(first.events, 1);
  assert_int_equal(second.events, 2);
  assert_int_equal(fake_count(&scene->fake, KIND_UNSUBSCRIBE), 0); /* the other still wants it */
  client_unsubscribe(scene->client, first.number);
  client_unsubscribe(scene->client, second.number);
  free(fake_take(&scene->fake, KIND_UNSUBSCRIBE));
}

static void subscriptions_are_bounded(void **state) {
  Scene *scene = *state;
  Watcher watcher = {0};
  uint64_t number = 77;

  scene_connect(scene);
  for (int i = 0; i < LIMIT_SUBSCRIPTIONS; i++)
    subscribe(scene, &watcher, "a");
  assert_int_equal(client_subscribe(scene->client, TEXT("a"), on_event, &watcher, &number), -ENOBUFS);
  assert_int_equal(client_subscribe(scene->client, TEXT("a."), on_event, &watcher, &number), -EINVAL);
  assert_int_equal(number, 77);
  client_unsubscribe(scene->client, watcher.number);
  subscribe(scene, &watcher, "a");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(what_a_broker_refuses_is_told),  CASE(publishing_counts_per_topic), CASE(waiting_publications_are_bounded),
      CASE(each_event_comes_once),          CASE(a_gap_is_told_and_mended),    CASE(subscriptions_outlive_the_session),
      CASE(unsubscribing_inside_and_twice), CASE(subscriptions_are_bounded),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);

  return failed;
}
