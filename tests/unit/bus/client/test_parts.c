/* Large replies against the fake broker: put together, within a window, bounded. */
#include "tests/unit/bus/client/scene.h"

#include "bus/client/client-internal.h"

enum { PART = 200000 };

static uint8_t bytes[PART];

/* What the last end held. */
typedef struct Got {
  Scene *scene;
  size_t size;
  Block *block;
  uint64_t chunks;
} Got;

static void on_end(void *userdata, const Answer *answer) {
  Got *got = userdata;

  got->size = answer->body.size;
  got->block = answer->block ? block_ref(answer->block) : NULL;
  got->chunks = answer->chunks;
  assert_true(!answer->block || answer->block->data == answer->body.data);
  on_scene_end(got->scene, answer);
}

static RequestId ask(Scene *scene, Got *got, bool idempotent) {
  Ask request = scene_say("hi");
  AskHandler handler = {.on_end = on_end, .userdata = got};
  RequestId id;

  got->scene = scene;
  request.idempotent = idempotent;
  assert_int_equal(client_ask(scene->client, &request, &handler, &id), 0);
  free(fake_take(&scene->fake, KIND_REQUEST));
  return id;
}

static void part_of(Scene *scene, RequestId id, uint32_t attempt, uint64_t number, size_t size) {
  Header header = {.kind = KIND_CHUNK, .id = id, .attempt = attempt, .number = number, .flags = FLAG_PART};

  fake_send(&scene->fake, &header, (Bytes){bytes, size});
}

static void part(Scene *scene, RequestId id, uint64_t number, size_t size) {
  part_of(scene, id, 0, number, size);
}

static void reply(Scene *scene, RequestId id, uint64_t number, size_t size) {
  fake_send(&scene->fake, &(Header){.kind = KIND_REPLY, .id = id, .number = number}, (Bytes){bytes, size});
}

static void a_window_is_granted_and_opens(void **state) {
  Scene *scene = *state;
  Ask request = scene_say("hi");
  Taken *taken;
  Taken *window;

  scene_connect(scene);
  request.window_bytes = 300000;
  scene_ask(scene, &request);
  taken = fake_take(&scene->fake, KIND_REQUEST);
  assert_int_equal(taken->header.window_bytes, 300000);
  part(scene, taken->header.id, 0, PART);
  window = fake_take(&scene->fake, KIND_WINDOW);
  assert_int_equal(window->header.number, 1);
  assert_int_equal(window->header.window_bytes, 300000 + PART);
  reply(scene, taken->header.id, 1, 7);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  free(window);
  free(taken);
}

static void parts_are_put_together(void **state) {
  Scene *scene = *state;
  Got got = {0};
  RequestId id;

  scene_connect(scene);
  id = ask(scene, &got, false);
  for (size_t i = 0; i < PART; i++)
    bytes[i] = (uint8_t)(i / 1000);
  part(scene, id, 0, PART);
  part(scene, id, 1, PART);
  reply(scene, id, 2, 1234);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(got.size, 2 * PART + 1234);
  assert_int_equal(got.chunks, 0);
  assert_memory_equal(got.block->data + PART, bytes, PART);
  assert_memory_equal(got.block->data + 2 * PART, bytes, 1234);
  assert_int_equal(scene->client->reply_bytes, 0);
  block_unref(&got.block);
}

static void a_hole_is_gone(void **state) {
  Scene *scene = *state;
  Got got = {0};
  RequestId id;

  scene_connect(scene);
  id = ask(scene, &got, false);
  part(scene, id, 0, 10);
  part(scene, id, 2, 10);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_GONE);
  free(fake_take(&scene->fake, KIND_CANCEL));
  id = ask(scene, &got, false);
  part(scene, id, 0, 10);
  reply(scene, id, 2, 10); /* the broker passed on more than has come */
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_GONE);
  assert_int_equal(scene->client->reply_bytes, 0);
}

static void sixteen_mebibytes_and_no_more(void **state) {
  Scene *scene = *state;
  Got got = {0};
  uint64_t number = 0;
  RequestId id;

  scene_connect(scene);
  id = ask(scene, &got, false);
  for (size_t sent = 0; sent <= LIMIT_REPLY_BYTES; sent += PART)
    part(scene, id, number++, PART);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_TOO_LARGE);
  free(fake_take(&scene->fake, KIND_CANCEL));
  id = ask(scene, &got, false);
  for (number = 0; number < LIMIT_REPLY_BYTES / PART; number++)
    part(scene, id, number, PART);
  reply(scene, id, number, PART);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_TOO_LARGE);
  assert_int_equal(scene->client->reply_bytes, 0);
}

static void all_replies_together_are_bounded(void **state) {
  Scene *scene = *state;
  Got got = {0};
  RequestId id;

  scene_connect(scene);
  scene->client->reply_bytes = LIMIT_REPLIES_BYTES - 10; /* as if others were coming in */
  id = ask(scene, &got, false);
  part(scene, id, 0, 11);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_TOO_LARGE);
  assert_int_equal(scene->client->reply_bytes, LIMIT_REPLIES_BYTES - 10);
  scene->client->reply_bytes = 0;
}

static void a_lost_worker_is_asked_again_from_the_first_part(void **state) {
  Scene *scene = *state;
  Got got = {0};
  RequestId id;
  Taken *again;

  scene_connect(scene);
  id = ask(scene, &got, true);
  part(scene, id, 0, PART);
  fake_error(&scene->fake, id, STATUS_WORKER_LOST, "gone", 0);
  again = fake_take(&scene->fake, KIND_REQUEST);
  assert_int_equal(again->header.window_bytes, 262144);
  part(scene, again->header.id, 0, 300);
  reply(scene, again->header.id, 1, 21);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(got.size, 321);
  block_unref(&got.block);
  free(again);
}

static void another_broker_begins_anew(void **state) {
  Scene *scene = *state;
  Got got = {0};
  RequestId id;
  Taken *again;

  scene_connect(scene);
  id = ask(scene, &got, true);
  part(scene, id, 0, PART);
  fake_run(&scene->fake, 10000);
  fake_stop(&scene->fake);
  fake_start(&scene->fake);
  again = fake_take(&scene->fake, KIND_REQUEST);
  assert_true(request_id_equal(again->header.id, id));
  assert_int_equal(again->header.attempt, 1);
  part(scene, id, 0, 300); /* of the attempt before: it does not count */
  part_of(scene, id, 1, 0, 300);
  reply(scene, id, 1, 21);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_OK);
  assert_int_equal(got.size, 321);
  block_unref(&got.block);
  free(again);
}

static void an_error_after_parts(void **state) {
  Scene *scene = *state;
  Got got = {0};
  RequestId id;

  scene_connect(scene);
  id = ask(scene, &got, false);
  part(scene, id, 0, PART);
  fake_error(&scene->fake, id, STATUS_DEADLINE, "late", 0);
  scene_wait_end(scene);
  assert_int_equal(scene->status, STATUS_DEADLINE);
  assert_int_equal(got.size, 0);
  assert_int_equal(scene->client->reply_bytes, 0);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(a_window_is_granted_and_opens),
      CASE(parts_are_put_together),
      CASE(a_hole_is_gone),
      CASE(sixteen_mebibytes_and_no_more),
      CASE(all_replies_together_are_bounded),
      CASE(a_lost_worker_is_asked_again_from_the_first_part),
      CASE(another_broker_begins_anew),
      CASE(an_error_after_parts),
  };
  int failed = cmocka_run_group_tests(tests, NULL, NULL);

  return failed;
}
