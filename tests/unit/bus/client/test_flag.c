/* Flags from a client's side: watched in the order of their versions, written, removed, read. */
#include "bus/client/flag.h"

#include "agents/contracts/contracts.h"
#include "tests/unit/bus/client/scene.h"

typedef struct Watcher {
  int heard;
  FlagState last;
} Watcher;

static void on_flag(void *userdata, const FlagState *flag) {
  Watcher *watcher = userdata;

  watcher->heard++;
  watcher->last = *flag;
}

static void tell(Scene *scene, const char *value, uint64_t epoch, uint64_t counter, bool removed) {
  _cleanup_(buffer_done) Buffer body = {0};
  Header event = {.kind = KIND_EVENT, .service = TEXT("pons.flags.dark"), .flags = FLAG_RETAIN};
  FlagRow row = {.name = TEXT("dark"),
                 .value = text_of(value),
                 .epoch = epoch,
                 .counter = counter,
                 .has_removed = removed,
                 .removed = removed};

  assert_int_equal(contract_encode(CONTRACT(FlagRow), &row, &body, NULL), 0);
  fake_send(&scene->fake, &event, buffer_bytes(&body));
}

static void only_newer_ones_are_heard(void **state) {
  Header rubbish = {.kind = KIND_EVENT, .service = TEXT("pons.flags.dark")};
  Watcher watcher = {0};
  Scene *scene = *state;
  ClientFlag *flag = NULL;
  Taken *taken;

  scene_connect(scene);
  assert_int_equal(client_flag_watch(scene->client, TEXT("dark"), on_flag, &watcher, &flag), 0);
  taken = fake_take(&scene->fake, KIND_SUBSCRIBE);
  assert_true(text_is(taken->header.service, "pons.flags.dark"));
  free(taken);
  assert_false(client_flag_state(flag)->is_set);
  tell(scene, "on", 4, 2, false);
  tell(scene, "off", 4, 1, false); /* the other broker is behind */
  tell(scene, "off", 3, 9, false);
  fake_send(&scene->fake, &rubbish, BYTES_NONE);
  tell(scene, "", 4, 3, true);
  tell(scene, "on", 4, 2, false);
  tell(scene, "last", 6, 1, false);
  while (watcher.last.epoch != 6)
    fake_run(&scene->fake, 1000);
  assert_int_equal(watcher.heard, 3);
  assert_string_equal(client_flag_state(flag)->value, "last");
  assert_true(client_flag_state(flag)->is_set);
  client_flag_unwatch(&flag);
  free(fake_take(&scene->fake, KIND_UNSUBSCRIBE));
  assert_null(flag);
  client_flag_unwatch(&flag);
}

static void a_removed_one_is_not_set(void **state) {
  Watcher watcher = {0};
  Scene *scene = *state;
  ClientFlag *flag = NULL;

  scene_connect(scene);
  assert_int_equal(client_flag_watch(scene->client, TEXT("dark"), on_flag, &watcher, &flag), 0);
  free(fake_take(&scene->fake, KIND_SUBSCRIBE));
  tell(scene, "", 4, 3, true);
  while (watcher.heard == 0)
    fake_run(&scene->fake, 1000);
  assert_false(watcher.last.is_set);
  assert_string_equal(watcher.last.name, "dark");
  client_flag_unwatch(&flag);
}

static void expect(Scene *scene, const char *method, const char *name, const char *value) {
  Taken *taken = fake_take(&scene->fake, KIND_REQUEST);
  FlagWrite write = {.value = TEXT_NONE};
  FlagAsk ask;

  assert_true(text_is(taken->header.service, "pons.flags"));
  assert_true(text_is(taken->header.method, method));
  if (value)
    assert_int_equal(contract_decode(CONTRACT(FlagWrite), taken->body, NULL, &write, NULL), 0);
  else
    assert_int_equal(contract_decode(CONTRACT(FlagAsk), taken->body, NULL, &ask, NULL), 0);
  assert_true(text_is(value ? write.name : ask.name, name));
  assert_true(!value || text_is(write.value, value));
  fake_error(&scene->fake, taken->header.id, STATUS_REFUSED, "not for this test", 0);
  free(taken);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_REFUSED);
}

static void questions(void **state) {
  char long_value[LIMIT_FLAG_BYTES + 1];
  Scene *scene = *state;
  AskHandler handler = {.on_end = on_scene_end, .userdata = scene};
  ClientFlag *flag = (ClientFlag *)state;

  memset(long_value, 'x', sizeof long_value);
  scene_connect(scene);
  assert_int_equal(client_flag_write(scene->client, TEXT("dark"), TEXT("on"), &handler), 0);
  expect(scene, "set", "dark", "on");
  assert_int_equal(client_flag_unset(scene->client, TEXT("dark"), &handler), 0);
  expect(scene, "unset", "dark", NULL);
  assert_int_equal(client_flag_read(scene->client, TEXT("dark"), &handler), 0);
  expect(scene, "get", "dark", NULL);
  assert_int_equal(client_flag_read(scene->client, TEXT("no name"), &handler), -EINVAL);
  assert_int_equal(client_flag_unset(scene->client, TEXT(""), &handler), -EINVAL);
  assert_int_equal(client_flag_write(scene->client, TEXT("dark"), (Text){long_value, sizeof long_value}, &handler),
                   -EINVAL);
  assert_int_equal(client_flag_watch(scene->client, TEXT("no name"), on_flag, NULL, &flag), -EINVAL);
  assert_ptr_equal(flag, state);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {TEST(only_newer_ones_are_heard), TEST(a_removed_one_is_not_set), TEST(questions)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
