/* Replies over one message: parts within the window, from threads, from the loop and from whoever kept the call. */
#include <assert.h>
#include <errno.h>

#include "tests/unit/bus/agent/stage.h"

enum { LARGE = 3 * LIMIT_BODY_BYTES + 77 };

static uint8_t pattern[LIMIT_REPLY_BYTES + 1];
static Call *_Atomic kept;

static void on_large(Call *call, const void *request) {
  (void)request;
  assert(call_reply_raw(call, (Bytes){pattern, LARGE}, NULL, TEXT("x/y")) == 0);
}

static void on_block(Call *call, const void *request) {
  _cleanup_(block_unref) Block *block = block_copy((Bytes){pattern, LARGE});

  (void)request;
  assert(call_reply_raw(call, block_bytes(block), block, TEXT_NONE) == 0);
}

/* By its contract, on the loop: the body lies in the runtime's scratch. */
AGENT_HANDLER(on_said, Call *call, const EchoSay *say) {
  (void)say;
  assert(call_reply(call, &(EchoSaid){.text = {(char *)pattern, LARGE}, .instance = TEXT("me")}) == 0);
}

static void on_kept(Call *call, const void *request) {
  (void)request;
  call_keep(call);
  kept = call;
}

static void on_streamed(Call *call, const void *request) {
  (void)request;
  assert(call_chunk_raw(call, (Bytes){pattern, 1000}) == 0);
  assert(call_reply_raw(call, (Bytes){pattern, LARGE}, NULL, TEXT_NONE) == 0);
}

static void on_too_large(Call *call, const void *request) {
  (void)request;
  assert(call_reply_raw(call, (Bytes){pattern, LIMIT_REPLY_BYTES + 1}, NULL, TEXT_NONE) == -EMSGSIZE);
}

static void on_windowless(Call *call, const void *request) {
  (void)request;
  assert(call_reply_raw(call, (Bytes){pattern, LARGE}, NULL, TEXT_NONE) == -EMSGSIZE);
}

#define UNTYPED .untyped = true, .flags = METHOD_ONCE
static const Agent agent = {
    .name = "tested",
    .services = AGENT_SERVICES(
        {.name = "test",
         .methods = AGENT_METHODS({"thread", on_large, UNTYPED}, {"inline", on_large, .inline_ = true, UNTYPED},
                                  {"block", on_block, .inline_ = true, UNTYPED}, {"kept", on_kept, UNTYPED},
                                  {"streamed", on_streamed, .untyped = true, .flags = METHOD_STREAMING},
                                  {"toolarge", on_too_large, UNTYPED}, {"windowless", on_windowless, UNTYPED})},
        {.name = "echo", .methods = AGENT_METHODS({"say", on_said, .inline_ = true})})};

static int set_up(void **state) {
  for (size_t i = 0; i < sizeof pattern; i++)
    pattern[i] = (uint8_t)('a' + i / 1000 % 26);
  kept = NULL;
  return stage_set_up(state, &agent);
}

/* Takes the next part and holds it against the pattern from *at on. */
static void take_part(Stage *stage, RequestId id, uint64_t number, size_t *at) {
  Taken *taken = fake_take(&stage->fake, KIND_CHUNK);

  assert_true(request_id_equal(taken->header.id, id));
  assert_int_equal(taken->header.number, number);
  assert_int_equal(taken->header.flags, FLAG_PART);
  assert_int_equal(taken->body.size, LIMIT_BODY_BYTES);
  assert_memory_equal(taken->body.data, pattern + *at, taken->body.size);
  *at += taken->body.size;
  free(taken);
}

/* Takes the REPLY that ends a large one. */
static void take_last(Stage *stage, uint64_t number, size_t at) {
  Taken *taken = fake_take(&stage->fake, KIND_REPLY);

  assert_int_equal(taken->header.number, number);
  assert_int_equal(at + taken->body.size, LARGE);
  assert_memory_equal(taken->body.data, pattern + at, taken->body.size);
  free(taken);
  assert_int_equal(stage->runtime->held, 0);
  assert_int_equal(stage->runtime->reply_bytes, 0);
}

static void open_window(Stage *stage, RequestId id, uint64_t window_bytes) {
  fake_send(&stage->fake, &(Header){.kind = KIND_WINDOW, .id = id, .window_bytes = window_bytes}, BYTES_NONE);
}

static void parts_within_the_window(Stage *stage, const char *method) {
  RequestId id = stage_ask_pieces(stage, method, 0, 100);
  size_t at = 0;

  take_part(stage, id, 0, &at);
  fake_run(&stage->fake, 20000);
  assert_int_equal(fake_count(&stage->fake, KIND_CHUNK), 0);
  assert_int_equal(stage->runtime->held, 1);
  open_window(stage, id, LIMIT_BODY_BYTES); /* it is used up */
  fake_run(&stage->fake, 20000);
  assert_int_equal(fake_count(&stage->fake, KIND_CHUNK), 0);
  open_window(stage, id, LIMIT_BODY_BYTES + 1);
  take_part(stage, id, 1, &at);
  open_window(stage, id, LARGE);
  take_part(stage, id, 2, &at);
  take_last(stage, 3, at);
}

static void from_a_thread(void **state) {
  parts_within_the_window(*state, "thread");
}

static void from_the_loop(void **state) {
  parts_within_the_window(*state, "inline");
}

static void from_a_block(void **state) {
  parts_within_the_window(*state, "block");
}

static void by_its_contract(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "say");
  Header other = stage_request(stage, "toolarge");
  static const uint8_t say[] = {0x81, 0xa4, 't', 'e', 'x', 't', 0xa0};
  size_t bytes = 0;
  Taken *taken;

  header.service = TEXT("echo");
  header.window_bytes = 1;
  fake_send(&stage->fake, &header, (Bytes){say, sizeof say});
  taken = fake_take(&stage->fake, KIND_CHUNK);
  bytes += taken->body.size;
  free(taken);
  fake_send(&stage->fake, &other, BYTES_NONE); /* its error is written where the reply was */
  stage_expect_error(stage, other.id, STATUS_TOO_LARGE, NULL);
  open_window(stage, header.id, LARGE);
  taken = fake_take(&stage->fake, KIND_REPLY);
  assert_int_equal(taken->header.number, 3);
  bytes += taken->body.size;
  free(taken);
  for (int i = 0; i < 2; i++) {
    taken = fake_take(&stage->fake, KIND_CHUNK);
    bytes += taken->body.size;
    free(taken);
  }
  assert_true(bytes > LARGE && bytes < LARGE + 100);
}

static void after_a_stream(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "streamed");
  Taken *piece;
  size_t at = 0;

  header.flags = FLAG_STREAM;
  header.window_bytes = 2000;
  fake_send(&stage->fake, &header, BYTES_NONE);
  piece = fake_take(&stage->fake, KIND_CHUNK);
  assert_int_equal(piece->header.flags, 0);
  assert_int_equal(piece->body.size, 1000);
  free(piece);
  take_part(stage, header.id, 1, &at);
  open_window(stage, header.id, 10000000);
  take_part(stage, header.id, 2, &at);
  take_part(stage, header.id, 3, &at);
  take_last(stage, 4, at);
}

static bool has_kept(void *userdata) {
  (void)userdata;
  return kept != NULL;
}

static void from_who_kept_it(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask_pieces(stage, "kept", 0, 10000000);
  size_t at = 0;

  fake_until(&stage->fake, has_kept, NULL);
  call_reply_raw(kept, (Bytes){pattern, LARGE}, NULL, TEXT_NONE);
  for (uint64_t i = 0; i < 3; i++)
    take_part(stage, id, i, &at);
  take_last(stage, 3, at);
}

static void without_a_window(void **state) {
  Stage *stage = *state;

  stage_expect_error(stage, stage_ask_pieces(stage, "windowless", 0, 0), STATUS_TOO_LARGE, NULL);
}

static void over_sixteen_mebibytes(void **state) {
  Stage *stage = *state;

  stage_expect_error(stage, stage_ask_pieces(stage, "toolarge", 0, 1000), STATUS_TOO_LARGE, NULL);
}

static void what_waits_is_bounded_together(void **state) {
  Stage *stage = *state;

  stage->runtime->reply_bytes = LIMIT_REPLIES_BYTES - LARGE + 1; /* as if others waited */
  stage_expect_error(stage, stage_ask_pieces(stage, "thread", 0, 1000), STATUS_TOO_LARGE, NULL);
  stage_expect_error(stage, stage_ask_pieces(stage, "block", 0, 1000), STATUS_TOO_LARGE, NULL);
  stage->runtime->reply_bytes = 0;
}

static void a_cancel_stops_it(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask_pieces(stage, "inline", 0, 1000);
  size_t at = 0;

  take_part(stage, id, 0, &at);
  fake_send(&stage->fake, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE);
  stage_expect_error(stage, id, STATUS_CANCELLED, NULL);
  open_window(stage, id, LARGE);
  fake_run(&stage->fake, 20000);
  assert_int_equal(fake_count(&stage->fake, KIND_CHUNK), 0);
  assert_int_equal(stage->runtime->held, 0);
  assert_int_equal(stage->runtime->reply_bytes, 0);
}

static void the_deadline_stops_it(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "thread");

  header.window_bytes = 1000;
  header.deadline_us = 100000;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_DEADLINE, NULL);
  assert_int_equal(stage->runtime->held, 0);
}

static bool holds_nothing(void *userdata) {
  const Stage *stage = userdata;

  return stage->runtime->held == 0;
}

static void a_lost_session_stops_it(void **state) {
  Stage *stage = *state;
  size_t at = 0;

  take_part(stage, stage_ask_pieces(stage, "thread", 0, 1000), 0, &at);
  socket_hang_up(stage->fake.socket, stage->fake.peer);
  fake_until(&stage->fake, holds_nothing, stage);
  assert_int_equal(stage->runtime->reply_bytes, 0);
}

static void it_is_remembered_as_gone(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "thread");
  size_t at = 0;

  header.window_bytes = 10000000;
  fake_send(&stage->fake, &header, BYTES_NONE);
  for (uint64_t i = 0; i < 3; i++)
    take_part(stage, header.id, i, &at);
  take_last(stage, 3, at);
  header.attempt = 1;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_GONE, NULL);
}

static bool is_leaving(void *userdata) {
  const Stage *stage = userdata;

  return stage->runtime->phase == PHASE_LEAVING;
}

static void the_drain_waits_for_the_last_part(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask_pieces(stage, "thread", 0, 1000);
  size_t at = 0;

  take_part(stage, id, 0, &at);
  runtime_drain(stage->runtime);
  free(fake_take(&stage->fake, KIND_DRAIN));
  fake_send(&stage->fake, &(Header){.kind = KIND_DRAIN}, BYTES_NONE);
  fake_run(&stage->fake, 20000);
  assert_int_equal(stage->runtime->phase, PHASE_DRAINED);
  open_window(stage, id, LARGE);
  take_part(stage, id, 1, &at);
  take_part(stage, id, 2, &at);
  take_last(stage, 3, at);
  fake_until(&stage->fake, is_leaving, stage);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, stage_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(from_a_thread),
      CASE(from_the_loop),
      CASE(from_a_block),
      CASE(by_its_contract),
      CASE(after_a_stream),
      CASE(from_who_kept_it),
      CASE(without_a_window),
      CASE(over_sixteen_mebibytes),
      CASE(what_waits_is_bounded_together),
      CASE(a_cancel_stops_it),
      CASE(the_deadline_stops_it),
      CASE(a_lost_session_stops_it),
      CASE(it_is_remembered_as_gone),
      CASE(the_drain_waits_for_the_last_part),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
