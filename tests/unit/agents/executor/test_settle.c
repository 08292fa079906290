/* The settlements of an agent's process against a broker that this test plays. */
#include "agents/executor/settle.h"
#include "tests/unit/bus/agent/stage.h"

static void on_ask(Call *call, const void *request) {
  (void)request;
  call_reply_raw(call, BYTES_NONE, NULL, TEXT_NONE);
}

static const Agent agent = {
    .name = "executor",
    .about = "for this test",
    .services = AGENT_SERVICES({"test", .methods = AGENT_METHODS({"ask", on_ask, .inline_ = true, .untyped = true})}),
};

typedef struct Scene {
  Stage stage;
  SettleQueue *queue;
} Scene;

static int set_up(void **state) {
  static Scene scene;

  scene = (Scene){.queue = NULL};
  stage_start(&scene.stage, &agent);
  *state = &scene;
  return settle_new(scene.stage.runtime, &scene.queue);
}

static int tear_down(void **state) {
  Scene *scene = *state;

  settle_destroy(&scene->queue);
  stage_stop(&scene->stage);
  return 0;
}

static void push(Scene *scene, uint64_t sequence) {
  char id[REQUEST_ID_TEXT_SIZE];

  settle_push(scene->queue, &(Settlement){.request = text_of(request_id_format((RequestId){{7}, sequence}, id)),
                                          .model = TEXT("m"),
                                          .outcome = TEXT("done")});
}

/* Takes the next Settle, which must have so many rows, the first of that sequence. Returns its id. */
static RequestId take(Scene *scene, size_t count, const char *first) {
  Taken *taken = fake_take(&scene->stage.fake, KIND_REQUEST);
  _cleanup_(arena_done) Arena arena = {0};
  RequestId id = taken->header.id;
  Settle settle;

  assert_true(text_is(taken->header.service, "ModelManagerSuite"));
  assert_true(text_is(taken->header.method, "settle"));
  assert_int_equal(contract_decode(CONTRACT(Settle), taken->body, &arena, &settle, NULL), 0);
  assert_int_equal(settle.settlements.count, count);
  assert_true(text_is(settle.settlements.items[0].request, first));
  free(taken);
  return id;
}

static void acknowledge(Scene *scene, RequestId id) {
  _cleanup_(buffer_done) Buffer body = {0};

  assert_int_equal(contract_encode(CONTRACT(Settled), &(Settled){.counted = 1}, &body, NULL), 0);
  fake_send(&scene->stage.fake, &(Header){.kind = KIND_REPLY, .id = id}, buffer_bytes(&body));
}

static bool is_empty(void *userdata) {
  const Scene *scene = userdata;

  return settle_waiting(scene->queue) == 0;
}

/* Together, and again under another id until somebody says that it knows. */
static void it_repeats_until_it_is_acknowledged(void **state) {
  Scene *scene = *state;

  push(scene, 1);
  push(scene, 2);
  fake_error(&scene->stage.fake, take(scene, 2, "0000000000000007-1"), STATUS_NO_SERVICE, "not yet", 0);
  fake_error(&scene->stage.fake, take(scene, 2, "0000000000000007-1"), STATUS_DEADLINE, "nor now", 0);
  assert_int_equal(settle_waiting(scene->queue), 2);
  acknowledge(scene, take(scene, 2, "0000000000000007-1"));
  fake_until(&scene->stage.fake, is_empty, scene);
  push(scene, 3);
  acknowledge(scene, take(scene, 1, "0000000000000007-3"));
  fake_until(&scene->stage.fake, is_empty, scene);
}

/* A batch that will never be taken does not stop those behind it. */
static void what_is_refused_for_good_is_dropped(void **state) {
  Scene *scene = *state;

  push(scene, 1);
  fake_error(&scene->stage.fake, take(scene, 1, "0000000000000007-1"), STATUS_INVALID, "what is this?", 0);
  fake_until(&scene->stage.fake, is_empty, scene);
}

/* A process that ends tells the rest first. */
static void a_drain_waits_for_the_acknowledgement(void **state) {
  Scene *scene = *state;

  push(scene, 1);
  runtime_drain(scene->stage.runtime);
  free(fake_take(&scene->stage.fake, KIND_DRAIN));
  fake_send(&scene->stage.fake, &(Header){.kind = KIND_DRAIN}, BYTES_NONE);
  acknowledge(scene, take(scene, 1, "0000000000000007-1"));
  free(fake_take(&scene->stage.fake, KIND_BYE));
  assert_int_equal(settle_waiting(scene->queue), 0);
}

/* But not for ever. */
static void a_drain_ends_without_one(void **state) {
  Scene *scene = *state;

  push(scene, 1);
  runtime_drain(scene->stage.runtime);
  free(fake_take(&scene->stage.fake, KIND_DRAIN));
  fake_send(&scene->stage.fake, &(Header){.kind = KIND_DRAIN}, BYTES_NONE);
  free(fake_take(&scene->stage.fake, KIND_BYE));
  assert_int_equal(settle_waiting(scene->queue), 1);
}

/* One that is destroyed with a batch out hears of its end and has nothing left. */
static void it_may_go_with_a_batch_out(void **state) {
  Scene *scene = *state;

  push(scene, 1);
  take(scene, 1, "0000000000000007-1");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(it_repeats_until_it_is_acknowledged),
      CASE(what_is_refused_for_good_is_dropped),
      CASE(a_drain_waits_for_the_acknowledgement),
      CASE(a_drain_ends_without_one),
      CASE(it_may_go_with_a_batch_out),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
