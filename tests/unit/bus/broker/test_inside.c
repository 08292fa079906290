/* An instance without a connection: it is asked and answers as every other, and asks as a client does. */
#include "bus/broker/inside.h"

#include "tests/unit/bus/broker/scene.h"

typedef struct Stage {
  Scene scene;
  InsideSet set;
  Inside *inside;
  uint64_t now_us;
  int asks;
  RequestId asked;
  char method[32];
  int cancels;
  int answers;
  Status status;
} Stage;

static void on_ask(void *userdata, const InsideAsk *ask) {
  Stage *stage = userdata;

  stage->asks++;
  stage->asked = ask->id;
  assert_true(text_is(ask->service, "pons.flags"));
  snprintf(stage->method, sizeof stage->method, "%.*s", TEXT_ARG(ask->method));
}

static void on_cancel(void *userdata, RequestId id) {
  Stage *stage = userdata;

  assert_true(request_id_equal(id, stage->asked));
  stage->cancels++;
}

static void on_answer(void *userdata, const InsideAnswer *answer) {
  Stage *stage = userdata;

  stage->answers++;
  stage->status = answer->status;
}

static bool waits(void *userdata, RequestId id, uint32_t attempt) {
  (void)userdata, (void)id, (void)attempt;
  return true;
}

static void turn(Stage *stage) {
  while (inside_turn(stage->inside, stage->now_us))
    continue;
}

static int set_up(void **state) {
  static const char *const services[] = {"pons.flags", NULL};
  static const InsideOptions options = {.agent = "within", .services = services, .credit = 2};
  Stage *stage = calloc(1, sizeof *stage);
  InsideHandler handler = {on_ask, on_cancel, on_answer, waits, stage};

  assert_non_null(stage);
  stage->now_us = clock_monotonic_us();
  scene_init(&stage->scene, false, stage->now_us);
  stage->scene.insides = &stage->set;
  assert_int_equal(inside_new(&stage->inside, &options, &handler), 0);
  assert_null(inside_find(&stage->set, stage->inside));
  inside_enter(stage->inside, &stage->set, stage->scene.core, 5, stage->now_us);
  assert_ptr_equal(inside_find(&stage->set, stage->inside), stage->inside);
  turn(stage); /* WELCOME, to which it says CREDIT */
  *state = stage;
  return 0;
}

static int tear_down(void **state) {
  Stage *stage = *state;

  scene_done(&stage->scene);
  inside_destroy(&stage->inside);
  assert_null(stage->inside);
  inside_destroy(&stage->inside);
  free(stage);
  return 0;
}

static RequestId ask(Stage *stage) {
  return scene_ask(&stage->scene, "pons.flags", "list", CONTRACT(PonsNothing), &(PonsNothing){0}, stage->now_us);
}

static void it_is_asked_and_answers(void **state) {
  Stage *stage = *state;
  RequestId id = ask(stage);

  assert_int_equal(stage->asks, 0); /* the sink calls nothing */
  turn(stage);
  assert_int_equal(stage->asks, 1);
  assert_true(request_id_equal(stage->asked, id));
  assert_string_equal(stage->method, "list");
  inside_reply(stage->inside, id, (Bytes){(const uint8_t *)"x", 1}, stage->now_us);
  assert_int_equal(stage->scene.answers, 1);
  assert_int_equal(stage->scene.status, STATUS_OK);
  assert_memory_equal(stage->scene.body.data, "x", 1);
  assert_false(inside_turn(stage->inside, stage->now_us));
}

static void it_answers_with_an_error(void **state) {
  Stage *stage = *state;
  RequestId id = ask(stage);

  turn(stage);
  inside_fail(stage->inside, id, STATUS_REFUSED, BYTES_NONE, stage->now_us);
  assert_int_equal(stage->scene.status, STATUS_REFUSED);
  assert_true(request_id_equal(stage->scene.id, id));
}

static void its_credit_is_kept_to(void **state) {
  Stage *stage = *state;
  RequestId first = ask(stage);

  ask(stage);
  ask(stage);
  turn(stage);
  assert_int_equal(stage->asks, 2);
  inside_reply(stage->inside, first, BYTES_NONE, stage->now_us);
  turn(stage);
  assert_int_equal(stage->asks, 3);
}

static void it_is_told_what_nobody_waits_for(void **state) {
  Stage *stage = *state;
  RequestId id = ask(stage);

  turn(stage);
  scene_give(&stage->scene, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE, stage->now_us);
  turn(stage);
  assert_int_equal(stage->cancels, 1);
  inside_reply(stage->inside, id, BYTES_NONE, stage->now_us); /* all the same */
}

/* What it answers to life signs keeps it on the bus, however long. */
static void it_answers_life_signs(void **state) {
  Stage *stage = *state;

  for (int i = 0; i < 100; i++) {
    stage->now_us = core_next_us(stage->scene.core);
    core_tick(stage->scene.core, stage->now_us);
    turn(stage);
  }
  assert_null(stage->scene.session); /* the client was silent, and is lost by then */
  scene_hello(&stage->scene, stage->now_us);
  ask(stage);
  turn(stage);
  assert_int_equal(stage->asks, 1);
}

static void it_asks_as_a_client(void **state) {
  Stage *stage = *state;
  Header header = {.kind = KIND_REQUEST,
                   .id = {inside_client(stage->inside), 1},
                   .service = TEXT("pons"),
                   .method = TEXT("ping"),
                   .deadline_us = US_PER_S,
                   .priority = PRIORITY_NORMAL};

  inside_send(stage->inside, &header, (Bytes){(const uint8_t *)"\x80", 1}, stage->now_us);
  assert_int_equal(stage->answers, 0);
  turn(stage);
  assert_int_equal(stage->answers, 1);
  assert_int_equal(stage->status, STATUS_OK);
  header.id.sequence++;
  header.service = TEXT("nobody");
  inside_send(stage->inside, &header, BYTES_NONE, stage->now_us);
  turn(stage);
  assert_int_equal(stage->answers, 2);
  assert_int_equal(stage->status, STATUS_NO_SERVICE);
}

/* Nobody else may offer what begins with "pons.". */
static void its_services_are_its_own(void **state) {
  static const char *const services[] = {"pons.flags", NULL};
  Stage *stage = *state;
  HelloMethod method = {.method = TEXT("list")};
  HelloService service = {.service = text_of(services[0]), .methods = {&method, 1}};
  Hello hello = {.version = PROTOCOL_VERSION,
                 .client = 99,
                 .agent = TEXT("thief"),
                 .incarnation = 1,
                 .has_services = true,
                 .services = {&service, 1}};
  _cleanup_(buffer_done) Buffer body = {0};

  stage->scene.session = core_connect(stage->scene.core, &stage->scene, stage->now_us);
  assert_int_equal(contract_encode(CONTRACT(Hello), &hello, &body, NULL), 0);
  scene_give(&stage->scene, &(Header){.kind = KIND_HELLO}, buffer_bytes(&body), stage->now_us);
  assert_int_equal(stage->scene.status, STATUS_BAD_NAME);
}

int main(void) {
#define TEST(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(it_is_asked_and_answers),          TEST(it_answers_with_an_error), TEST(its_credit_is_kept_to),
      TEST(it_is_told_what_nobody_waits_for), TEST(it_answers_life_signs),    TEST(it_asks_as_a_client),
      TEST(its_services_are_its_own),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
