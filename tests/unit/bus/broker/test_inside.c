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
  Buffer body; /* of the last ask, or answer */
} Stage;

static void note(Stage *stage, Bytes body) {
  buffer_clear(&stage->body);
  buffer_append(&stage->body, body.data, body.size);
}

static void on_ask(void *userdata, const InsideAsk *ask) {
  Stage *stage = userdata;

  stage->asks++;
  stage->asked = ask->id;
  note(stage, ask->body);
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
  note(stage, answer->body);
}

static bool waits(void *userdata, RequestId id, uint32_t attempt) {
  (void)userdata, (void)id, (void)attempt;
  return true;
}

static void turn(Stage *stage) {
  while (inside_turn(stage->inside, stage->now_us))
    continue;
}

static int set_up_with(void **state, uint32_t credit) {
  static const char *const services[] = {"pons.flags", NULL};
  const InsideOptions options = {.agent = "within", .services = services, .credit = credit};
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

static int set_up(void **state) {
  return set_up_with(state, 2);
}

static int set_up_patient(void **state) {
  return set_up_with(state, 9);
}

static int tear_down(void **state) {
  Stage *stage = *state;

  scene_done(&stage->scene);
  inside_destroy(&stage->inside);
  assert_null(stage->inside);
  inside_destroy(&stage->inside);
  buffer_done(&stage->body);
  free(stage);
  return 0;
}

static RequestId ask(Stage *stage) {
  return scene_ask(&stage->scene, "pons.flags", "list", CONTRACT(PonsNothing), &(PonsNothing){0}, stage->now_us);
}

/* The same, and it has come. */
static RequestId ask_and_turn(Stage *stage) {
  RequestId id = ask(stage);

  turn(stage);
  return id;
}

/* What the inside asks as a client. */
static Header question(const Stage *stage, const char *service, const char *method) {
  return (Header){.kind = KIND_REQUEST,
                  .id = {inside_client(stage->inside), 1},
                  .service = text_of(service),
                  .method = text_of(method),
                  .deadline_us = US_PER_S,
                  .priority = PRIORITY_NORMAL};
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
  RequestId id = ask_and_turn(stage);

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
  RequestId id = ask_and_turn(stage);

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
  _cleanup_(block_unref) Block *body = block_copy((Bytes){(const uint8_t *)"\x80", 1});
  Stage *stage = *state;
  Header header = question(stage, "pons", "ping");

  inside_send(stage->inside, &header, body, stage->now_us);
  assert_int_equal(stage->answers, 0);
  turn(stage);
  assert_int_equal(stage->answers, 1);
  assert_int_equal(stage->status, STATUS_OK);
  header.id.sequence++;
  header.service = TEXT("nobody");
  inside_send(stage->inside, &header, NULL, stage->now_us);
  turn(stage);
  assert_int_equal(stage->answers, 2);
  assert_int_equal(stage->status, STATUS_NO_SERVICE);
}

/* --- bodies over LIMIT_BODY_BYTES --- */

enum { LARGE = 3 * LIMIT_BODY_BYTES + 5 };

static Block *large_body(void) {
  uint8_t *bytes = malloc(LARGE);
  Block *block;

  assert_non_null(bytes);
  for (size_t i = 0; i < LARGE; i++)
    bytes[i] = (uint8_t)(i * 7 + i / 251);
  block = block_copy((Bytes){bytes, LARGE});
  free(bytes);
  return block;
}

static void assert_large(const Buffer *bytes, const Block *body) {
  assert_int_equal(bytes->size, LARGE);
  assert_memory_equal(bytes->data, body->data, LARGE);
}

static void it_is_asked_something_large(void **state) {
  Stage *stage = *state;
  _cleanup_(block_unref) Block *body = large_body();
  RequestId id = {{4711}, ++stage->scene.sequence};

  for (size_t at = 0, number = 0; at < LARGE; at += LIMIT_BODY_BYTES, number++) {
    size_t size = min_u64(LARGE - at, LIMIT_BODY_BYTES);
    Header header = {.kind = number ? KIND_CHUNK : KIND_REQUEST,
                     .id = id,
                     .number = number,
                     .service = number ? TEXT_NONE : TEXT("pons.flags"),
                     .method = number ? TEXT_NONE : TEXT("list"),
                     .deadline_us = number ? 0 : US_PER_S,
                     .priority = PRIORITY_NORMAL,
                     .flags = at + size < LARGE ? FLAG_MORE : 0};

    turn(stage);
    assert_int_equal(stage->asks, 0);
    scene_give(&stage->scene, &header, (Bytes){body->data + at, size}, stage->now_us);
  }
  turn(stage);
  assert_int_equal(stage->asks, 1);
  assert_large(&stage->body, body);
}

/* Asked by who reads one part and no more yet, it is answered with body. */
static RequestId answer_large(Stage *stage, const Block *body) {
  RequestId id;

  stage->scene.window_bytes = 1;
  id = ask_and_turn(stage);
  assert_int_equal(inside_reply(stage->inside, id, block_bytes(body), stage->now_us), 0);
  return id;
}

/* As far as the reader's window goes, and no further. */
static void it_answers_something_large(void **state) {
  Stage *stage = *state;
  _cleanup_(block_unref) Block *body = large_body();
  RequestId id = answer_large(stage, body);

  assert_int_equal(stage->scene.parts.size, LIMIT_BODY_BYTES);
  assert_int_equal(stage->scene.answers, 0);
  scene_give(&stage->scene, &(Header){.kind = KIND_WINDOW, .id = id, .number = 1, .window_bytes = LARGE}, BYTES_NONE,
             stage->now_us);
  turn(stage);
  assert_int_equal(stage->scene.answers, 1);
  assert_int_equal(stage->scene.status, STATUS_OK);
  buffer_append(&stage->scene.parts, stage->scene.body.data, stage->scene.body.size);
  assert_large(&stage->scene.parts, body);
}

static void who_takes_no_parts_is_told_so(void **state) {
  Stage *stage = *state;
  _cleanup_(block_unref) Block *body = large_body();
  RequestId id = ask_and_turn(stage);

  assert_int_equal(inside_reply(stage->inside, id, block_bytes(body), stage->now_us), INSIDE_E_NO_WINDOW);
  assert_int_equal(stage->scene.answers, 0); /* it is not answered by that */
  inside_fail(stage->inside, id, STATUS_TOO_LARGE, BYTES_NONE, stage->now_us);
  assert_int_equal(stage->scene.status, STATUS_TOO_LARGE);
}

static void a_reply_that_is_taken_back_has_its_end(void **state) {
  Stage *stage = *state;
  _cleanup_(block_unref) Block *body = large_body();
  RequestId id = answer_large(stage, body);

  scene_give(&stage->scene, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE, stage->now_us);
  turn(stage);
  assert_int_equal(stage->cancels, 0); /* it was answered: there is nothing to be stopped */
  ask(stage);
  ask(stage);
  turn(stage);
  assert_int_equal(stage->asks, 3); /* both of its credits are free again */
}

/* What is not read yet is bounded, and half of the room is for others: three replies of 16 MiB to one client are one too many. */
static void replies_that_nobody_reads_are_bounded(void **state) {
  Stage *stage = *state;
  uint8_t *bytes = calloc(1, LIMIT_REPLY_BYTES);

  assert_non_null(bytes);
  stage->scene.window_bytes = 1;
  for (int i = 0; i < 3; i++) {
    RequestId id = ask_and_turn(stage);

    assert_int_equal(inside_reply(stage->inside, id, (Bytes){bytes, LIMIT_REPLY_BYTES}, stage->now_us),
                     i < 2 ? 0 : INSIDE_E_FULL);
  }
  free(bytes);
}

static void it_asks_something_large_and_is_answered(void **state) {
  Stage *stage = *state;
  _cleanup_(block_unref) Block *body = large_body();
  Header header = question(stage, "mirror", "say");
  size_t at = 0;

  scene_offer(&stage->scene, "mirror", "say", stage->now_us);
  inside_send(stage->inside, &header, body, stage->now_us);
  assert_large(&stage->scene.asked, body);
  for (uint64_t number = 0; LARGE - at > LIMIT_BODY_BYTES; number++, at += LIMIT_BODY_BYTES) {
    scene_answer(&stage->scene, &(Header){.kind = KIND_CHUNK, .id = header.id, .number = number, .flags = FLAG_PART},
                 (Bytes){body->data + at, LIMIT_BODY_BYTES}, stage->now_us);
    turn(stage); /* WINDOW for the next */
  }
  assert_true(stage->scene.granted >= LARGE);
  scene_answer(&stage->scene, &(Header){.kind = KIND_REPLY, .id = header.id, .number = 3},
               (Bytes){body->data + at, LARGE - at}, stage->now_us);
  turn(stage);
  assert_int_equal(stage->answers, 1);
  assert_int_equal(stage->status, STATUS_OK);
  assert_large(&stage->body, body);
}

static void hear(Stage *stage, Kind kind, uint32_t attempt, uint64_t number, const char *text) {
  Header header = {.kind = kind,
                   .id = {inside_client(stage->inside), 1},
                   .attempt = attempt,
                   .number = number,
                   .flags = kind == KIND_CHUNK ? FLAG_PART : 0};

  inside_hear(stage->inside, &header, (Bytes){(const uint8_t *)text, strlen(text)}, NULL);
  turn(stage);
}

/* Sent again, it may be executed again: what has come of the first answer is no part of the second. */
static void an_answer_is_of_one_attempt(void **state) {
  Stage *stage = *state;

  hear(stage, KIND_CHUNK, 0, 0, "old");
  hear(stage, KIND_CHUNK, 1, 0, "new ");
  hear(stage, KIND_CHUNK, 0, 1, "old");
  hear(stage, KIND_REPLY, 1, 1, "end");
  assert_int_equal(stage->answers, 1);
  assert_int_equal(stage->status, STATUS_OK);
  assert_int_equal(stage->body.size, 7);
  assert_memory_equal(stage->body.data, "new end", 7);
  hear(stage, KIND_CHUNK, 0, 0, "old");
  hear(stage, KIND_REPLY, 1, 1, "end"); /* whose first part is missing */
  assert_int_equal(stage->answers, 2);
  assert_int_equal(stage->status, STATUS_GONE);
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
      TEST(it_is_asked_and_answers),
      TEST(it_answers_with_an_error),
      TEST(its_credit_is_kept_to),
      TEST(it_is_told_what_nobody_waits_for),
      TEST(it_answers_life_signs),
      TEST(it_asks_as_a_client),
      TEST(its_services_are_its_own),
      TEST(it_is_asked_something_large),
      TEST(it_answers_something_large),
      TEST(who_takes_no_parts_is_told_so),
      TEST(a_reply_that_is_taken_back_has_its_end),
      cmocka_unit_test_setup_teardown(replies_that_nobody_reads_are_bounded, set_up_patient, tear_down),
      TEST(it_asks_something_large_and_is_answered),
      TEST(an_answer_is_of_one_attempt),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
