/* Pieces of an answer: windows, merging, both kinds of handlers. */
#include <assert.h>

#include "tests/unit/bus/agent/stage.h"

enum { PIECE = 1000 };

static _Atomic int pieces; /* taken by the runtime */
static int wanted = 20;

/* On a thread: call_chunk blocks. */
static void on_blocking(Call *call, const void *request) {
  uint8_t piece[PIECE] = {0};
  int r = 0;

  (void)request;
  for (int i = 0; i < wanted && r == 0; i++) {
    r = call_chunk_raw(call, (Bytes){piece, sizeof piece});
    pieces += r == 0;
  }
  if (r == 0)
    call_reply_raw(call, BYTES_NONE, NULL, TEXT_NONE);
  else
    call_error(call, STATUS_CANCELLED, "nobody reads");
}

/* On the loop: as much as goes, the rest when it is writable. */
static void go_on(void *userdata, Call *call) {
  uint8_t piece[PIECE] = {0};

  (void)userdata;
  while (pieces < wanted && call_chunk_raw(call, (Bytes){piece, sizeof piece}) == 0)
    pieces++;
  if (pieces == wanted)
    call_reply_raw(call, BYTES_NONE, NULL, TEXT_NONE);
}

static void on_inline(Call *call, const void *request) {
  (void)request;
  call_keep(call);
  call_on_writable(call, go_on, NULL);
  go_on(NULL, call);
}

static void on_too_large(Call *call, const void *request) {
  uint8_t *piece = calloc(1, LIMIT_BODY_BYTES + 1);

  (void)request;
  assert(call_chunk_raw(call, (Bytes){piece, LIMIT_BODY_BYTES + 1}) == -EMSGSIZE);
  free(piece);
  call_reply_raw(call, BYTES_NONE, NULL, TEXT_NONE);
}

static const Agent agent = {
    .name = "tested",
    .services = AGENT_SERVICES(
        {.name = "test",
         .methods = AGENT_METHODS({"blocking", on_blocking, .untyped = true, .flags = METHOD_STREAMING},
                                  {"inline", on_inline, .inline_ = true, .untyped = true, .flags = METHOD_STREAMING},
                                  {"large", on_too_large, .inline_ = true, .untyped = true})})};

static int set_up(void **state) {
  pieces = 0;
  return stage_set_up(state, &agent);
}

/* Takes CHUNKs until so many bytes have come; returns how many bytes. */
static size_t take_bytes(Stage *stage, uint64_t *number, size_t bytes) {
  size_t got = 0;

  while (got < bytes) {
    Taken *taken = fake_take(&stage->fake, KIND_CHUNK);

    assert_int_equal(taken->header.number, (*number)++);
    got += taken->body.size;
    free(taken);
  }
  return got;
}

static void open_window(Stage *stage, RequestId id, uint64_t window_bytes) {
  fake_send(&stage->fake, &(Header){.kind = KIND_WINDOW, .id = id, .window_bytes = window_bytes}, BYTES_NONE);
}

static void stream_within_its_window(Stage *stage, const char *method) {
  RequestId id = stage_ask_pieces(stage, method, FLAG_STREAM, 4500);
  uint64_t number = 0;
  Taken *reply;

  assert_int_equal(take_bytes(stage, &number, 5 * PIECE), 5 * PIECE);
  fake_run(&stage->fake, 20000);
  assert_int_equal(pieces, 5); /* the fifth is the one that passes the window */
  assert_int_equal(fake_count(&stage->fake, KIND_CHUNK), 0);
  open_window(stage, id, 3000); /* never falls */
  open_window(stage, id, 9000);
  assert_int_equal(take_bytes(stage, &number, 4 * PIECE), 4 * PIECE);
  fake_run(&stage->fake, 20000);
  assert_int_equal(pieces, 9);
  open_window(stage, id, 1000000);
  assert_int_equal(take_bytes(stage, &number, 11 * PIECE), 11 * PIECE);
  reply = fake_take(&stage->fake, KIND_REPLY);
  assert_int_equal(reply->header.number, number);
  free(reply);
}

static void a_thread_waits_for_the_window(void **state) {
  stream_within_its_window(*state, "blocking");
}

static void the_loop_comes_back_when_it_is_writable(void **state) {
  stream_within_its_window(*state, "inline");
}

static void pieces_of_one_turn_are_merged(void **state) {
  Stage *stage = *state;
  uint64_t number = 0;

  stage_ask_pieces(stage, "inline", FLAG_STREAM, 1000000);
  assert_int_equal(take_bytes(stage, &number, 20 * PIECE), 20 * PIECE);
  assert_int_equal(number, 1);
  free(fake_take(&stage->fake, KIND_REPLY));
}

static void a_cancel_frees_the_thread_that_waits(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask_pieces(stage, "blocking", FLAG_STREAM, 1500);
  uint64_t number = 0;

  take_bytes(stage, &number, 2 * PIECE);
  fake_send(&stage->fake, &(Header){.kind = KIND_CANCEL, .id = id}, BYTES_NONE);
  stage_expect_error(stage, id, STATUS_CANCELLED, NULL);
  assert_int_equal(pieces, 2);
}

static void the_deadline_frees_it_too(void **state) {
  Stage *stage = *state;
  Header header = stage_request(stage, "blocking");

  header.flags = FLAG_STREAM;
  header.window_bytes = 1500;
  header.deadline_us = 50000;
  fake_send(&stage->fake, &header, BYTES_NONE);
  stage_expect_error(stage, header.id, STATUS_CANCELLED, NULL);
}

static void a_lost_session_ends_the_stream(void **state) {
  Stage *stage = *state;
  uint64_t number = 0;

  stage_ask_pieces(stage, "blocking", FLAG_STREAM, 1500);
  take_bytes(stage, &number, 2 * PIECE);
  socket_hang_up(stage->fake.socket, stage->fake.peer);
  free(fake_take(&stage->fake, KIND_CREDIT));
  fake_run(&stage->fake, 20000);
  assert_int_equal(pieces, 2);
  assert_int_equal(stage->runtime->held, 0);
}

static void who_wants_no_stream_gets_none(void **state) {
  Stage *stage = *state;
  RequestId id = stage_ask(stage, "inline", "");

  stage_expect_reply(stage, id, "");
  assert_int_equal(pieces, 20);
  assert_int_equal(fake_count(&stage->fake, KIND_CHUNK), 0);
}

static void a_piece_has_its_limit(void **state) {
  Stage *stage = *state;

  stage_expect_reply(stage, stage_ask(stage, "large", ""), "");
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, stage_tear_down)
  const struct CMUnitTest tests[] = {
      CASE(a_thread_waits_for_the_window), CASE(the_loop_comes_back_when_it_is_writable),
      CASE(pieces_of_one_turn_are_merged), CASE(a_cancel_frees_the_thread_that_waits),
      CASE(the_deadline_frees_it_too),     CASE(a_lost_session_ends_the_stream),
      CASE(who_wants_no_stream_gets_none), CASE(a_piece_has_its_limit),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
