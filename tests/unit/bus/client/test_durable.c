/* Durable requests against the fake broker: what is said fits the contracts, and an end is waited for until it is one. */
#include "agents/contracts/contracts.h"
#include "tests/unit/bus/client/scene.h"

typedef struct Told {
  Scene *scene;
  uint32_t kept;
  uint32_t copies;
  RequestId id;
} Told;

static void on_kept(void *userdata, RequestId id, uint32_t copies) {
  Told *told = userdata;

  told->kept++;
  told->copies = copies;
  told->id = id;
}

static void on_told_end(void *userdata, const Answer *answer) {
  on_scene_end(((Told *)userdata)->scene, answer);
}

static bool is_kept(void *userdata) {
  const Told *told = userdata;

  return told->kept > 0;
}

static RequestId submit(Told *told, const Ask *request, bool waits) {
  DurableHandler handler = {on_kept, waits ? on_told_end : NULL, told};
  RequestId id = {{0}, 0};

  assert_int_equal(client_submit(told->scene->client, request, 7 * US_PER_S, &handler, &id), 0);
  return id;
}

/* Answers a question, and frees it. */
static void reply(Scene *scene, const Contract *contract, const void *value, Taken *taken) {
  _cleanup_(buffer_done) Buffer body = {0};

  assert_int_equal(contract_encode(contract, value, &body, NULL), 0);
  fake_reply(&scene->fake, taken->header.id, buffer_bytes(&body));
  free(taken);
}

static void reply_kept(Scene *scene, Taken *taken, RequestId id) {
  char text[REQUEST_ID_TEXT_SIZE];
  DurableKept kept = {.id = text_of(request_id_format(id, text)), .copies = 2};

  reply(scene, CONTRACT(DurableKept), &kept, taken);
}

/* The next question, which must be for the end of id. */
static Taken *take_await(Scene *scene, RequestId id) {
  Taken *taken = fake_take(&scene->fake, KIND_REQUEST);
  char text[REQUEST_ID_TEXT_SIZE];
  DurableAsk ask;

  assert_true(text_is(taken->header.service, "pons.durable"));
  assert_true(text_is(taken->header.method, "await"));
  assert_int_equal(contract_decode(CONTRACT(DurableAsk), taken->body, NULL, &ask, NULL), 0);
  assert_true(text_is(ask.id, request_id_format(id, text)));
  return taken;
}

/* Answers it with an error, and frees it. */
static void fail_with(Scene *scene, Taken *taken, Status status, const char *code) {
  _cleanup_(buffer_done) Buffer body = {0};
  Header header = {.kind = KIND_ERROR, .id = taken->header.id, .status = status};
  ErrorBody error = {.message = TEXT("said by the broker"), .has_code = *code != 0, .code = text_of(code)};

  assert_int_equal(contract_encode(CONTRACT(ErrorBody), &error, &body, NULL), 0);
  fake_send(&scene->fake, &header, buffer_bytes(&body));
  free(taken);
}

/* The next question, for the end of id, is answered with an error. */
static void fail_await(Scene *scene, RequestId id, Status status, const char *code) {
  fail_with(scene, take_await(scene, id), status, code);
}

static void expect_end(Scene *scene, Status status) {
  scene_wait_end(scene);
  assert_string_equal(status_name(scene->status), status_name(status));
}

/* Has a request kept. */
static RequestId keep(Told *told) {
  Ask request = scene_say("later");
  RequestId id = submit(told, &request, true);

  reply_kept(told->scene, fake_take(&told->scene->fake, KIND_REQUEST), id);
  fake_until(&told->scene->fake, is_kept, told);
  return id;
}

static void it_is_kept_and_then_ended(void **state) {
  Told told = {.scene = *state};
  Ask request = scene_say("later");
  DurableAnswer answer = {
      .body = {(const uint8_t *)"done", 4}, .has_content_type = true, .content_type = TEXT("text/plain")};
  char text[REQUEST_ID_TEXT_SIZE];
  DurableWish wish;
  Taken *taken;
  RequestId id;

  scene_connect(told.scene);
  request.idempotent = true;
  request.priority = ASK_BATCH;
  request.content_type = TEXT("application/json");
  request.annotations = (Bytes){(const uint8_t *)"\x80", 1};
  id = submit(&told, &request, true);
  taken = fake_take(&told.scene->fake, KIND_REQUEST);
  assert_true(text_is(taken->header.method, "submit"));
  assert_false(request_id_equal(taken->header.id, id)); /* the question may be asked under another */
  assert_int_equal(contract_decode(CONTRACT(DurableWish), taken->body, NULL, &wish, NULL), 0);
  assert_true(text_is(wish.id, request_id_format(id, text)));
  assert_true(text_is(wish.service, "echo") && text_is(wish.method, "say") && text_is(wish.priority, "batch"));
  assert_true(wish.idempotent && text_is(wish.content_type, "application/json"));
  assert_int_equal(wish.annotations.size, 1);
  assert_int_equal(wish.deadline_us, 7 * US_PER_S);
  assert_memory_equal(wish.body.data, "later", 5);
  reply_kept(told.scene, taken, id);
  taken = take_await(told.scene, id);
  assert_int_equal(told.kept, 1);
  assert_int_equal(told.copies, 2);
  assert_true(request_id_equal(told.id, id));
  reply(told.scene, CONTRACT(DurableAnswer), &answer, taken);
  expect_end(told.scene, STATUS_OK);
  assert_string_equal(told.scene->body, "done");
  assert_true(request_id_equal(told.scene->id, id));
}

static void the_smallest_wish_fits_too(void **state) {
  Told told = {.scene = *state};
  DurableHandler handler = {on_kept, NULL, &told};
  Ask request = {.service = TEXT("echo"), .method = TEXT("say")};
  DurableWish wish;
  Taken *taken;
  RequestId id;

  scene_connect(told.scene);
  assert_int_equal(client_submit(told.scene->client, &request, 0, &handler, &id), 0);
  taken = fake_take(&told.scene->fake, KIND_REQUEST);
  assert_int_equal(contract_decode(CONTRACT(DurableWish), taken->body, NULL, &wish, NULL), 0);
  assert_false(wish.has_deadline_us || wish.has_content_type || wish.has_annotations || wish.idempotent);
  reply_kept(told.scene, taken, id);
  fake_until(&told.scene->fake, is_kept, &told);
  fake_run(&told.scene->fake, 20000);
  assert_int_equal(fake_count(&told.scene->fake, KIND_REQUEST), 0); /* nobody waits for its end */
}

static void who_is_not_kept_is_told(void **state) {
  Told told = {.scene = *state};
  Ask request = scene_say("later");

  scene_connect(told.scene);
  submit(&told, &request, true);
  fail_with(told.scene, fake_take(&told.scene->fake, KIND_REQUEST), STATUS_LIMIT, "durable_full");
  expect_end(told.scene, STATUS_LIMIT);
  assert_int_equal(told.kept, 0);
}

/* A broker that went away in between, or that does not have it yet, is not the end of it. */
static void the_end_is_asked_for_again(void **state) {
  static const struct {
    Status status;
    const char *code;
  } nothings[] = {{STATUS_DRAINING, ""}, {STATUS_REFUSED, "durable_unknown"}};
  Told told = {.scene = *state};
  RequestId id;

  scene_connect(told.scene);
  id = keep(&told);
  for (size_t i = 0; i < ELEMENTS(nothings); i++)
    fail_await(told.scene, id, nothings[i].status, nothings[i].code);
  fail_await(told.scene, id, STATUS_WORKER_LOST, "dead_letter");
  expect_end(told.scene, STATUS_WORKER_LOST);
  assert_string_equal(told.scene->text, "said by the broker");
}

static void what_is_said_to_be_unknown_of_others_is_the_end(void **state) {
  Told told = {.scene = *state};
  DurableHandler handler = {NULL, on_told_end, &told};
  RequestId id = {{77}, 5};

  scene_connect(told.scene);
  assert_int_equal(client_await(told.scene->client, id, US_PER_S, &(DurableHandler){0}), -EINVAL);
  assert_int_equal(client_await(told.scene->client, id, 5 * US_PER_S, &handler), 0);
  fail_await(told.scene, id, STATUS_REFUSED, "durable_unknown");
  expect_end(told.scene, STATUS_REFUSED);
}

static void waiting_ends_at_the_deadline_and_by_cancel(void **state) {
  Told told = {.scene = *state};
  DurableHandler handler = {NULL, on_told_end, &told};
  RequestId id = {{77}, 5};

  scene_connect(told.scene);
  assert_int_equal(client_await(told.scene->client, id, 50000, &handler), 0);
  expect_end(told.scene, STATUS_DEADLINE);
  free(fake_take(&told.scene->fake, KIND_REQUEST));
  assert_int_equal(client_await(told.scene->client, id, 20 * US_PER_S, &handler), 0);
  free(take_await(told.scene, id));
  client_cancel(told.scene->client, id);
  expect_end(told.scene, STATUS_CANCELLED);
}

static void a_stream_is_refused_and_destroy_ends_it(void **state) {
  Told told = {.scene = *state};
  Ask request = scene_say("later");
  DurableHandler handler = {on_kept, on_told_end, &told};
  RequestId id = {{1}, 2};

  scene_connect(told.scene);
  request.stream = true;
  assert_int_equal(client_submit(told.scene->client, &request, 0, &handler, &id), -EINVAL);
  assert_int_equal(id.sequence, 2);
  request.stream = false;
  submit(&told, &request, true);
  client_destroy(&told.scene->client);
  assert_int_equal(told.scene->ends, 1);
  assert_int_equal(told.scene->status, STATUS_CANCELLED);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, scene_set_up, scene_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(it_is_kept_and_then_ended),
      CASE(the_smallest_wish_fits_too),
      CASE(who_is_not_kept_is_told),
      CASE(the_end_is_asked_for_again),
      CASE(what_is_said_to_be_unknown_of_others_is_the_end),
      CASE(waiting_ends_at_the_deadline_and_by_cancel),
      CASE(a_stream_is_refused_and_destroy_ends_it),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
