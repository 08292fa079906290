/* Bodies and replies on the shelf: in memory or from disk they are what was put, or nobody is told anything. */
#include "tests/unit/bus/broker/shelf_box.h"

enum { LARGE = 8 * BOX_MIB };

/* --- names --- */

static void a_key_says_of_what_it_is(void **state _unused_) {
  const RequestId id = {{0xfedcba9876543210}, UINT64_MAX};

  for (ShelfPart part = SHELF_BODY; part <= SHELF_REPLY; part++) {
    ShelfPart of = SHELF_BODY;
    RequestId again = {{0}, 0};
    char room[64];

    assert_true(shelf_is_key(shelf_key(id, part, room), &again, &of));
    assert_true(request_id_equal(again, id));
    assert_int_equal(of, part);
    assert_true(shelf_is_key(shelf_key(id, part, room), NULL, NULL));
  }
}

static void what_is_no_key_is_none(void **state _unused_) {
  static const char *const names[] = {"",
                                      "body",
                                      "body/",
                                      "body/x",
                                      "reply/",
                                      "reply/1234567890abcdef",
                                      "body/1234567890abcdef-",
                                      "durable/1234567890abcdef-1",
                                      "body/1234567890abcdef-1/",
                                      "body/1234567890abcdef-12345678901234567",
                                      "bodies/1234567890abcdef-1",
                                      "/1234567890abcdef-1",
                                      "body//1234567890abcdef-1",
                                      "Body/1234567890abcdef-1",
                                      "body/1234567890abcdeg-1"};
  RequestId id = box_id_of(7);
  ShelfPart part = SHELF_REPLY;

  for (size_t i = 0; i < ELEMENTS(names); i++)
    if (shelf_is_key(text_of(names[i]), &id, &part))
      fail_msg("%s", names[i]);
  assert_true(request_id_equal(id, box_id_of(7)));
  assert_int_equal(part, SHELF_REPLY);
}

static void rows_of_others_are_let_alone(void **state) {
  Box *box = *state;

  assert_int_equal(store_put(box->store, TEXT("body/none of ours"), BYTES_NONE, &box->serial), 0);
  box_put(box, 1, 100);
  box_settle(box);
  box_close_store(box);
  box_open_store(box);
  assert_string_equal(box->damage, "");
  box_expect_body(box, 1, 100);
}

/* --- memory and disk --- */

static void what_was_put_is_there_from_memory_and_from_disk(void **state) {
  Box *box = *state;

  box_put(box, 1, 3 * BOX_MIB);
  box_put(box, 2, 1);
  assert_true(box_is_in_memory(box, 1));
  box_expect_body(box, 1, 3 * BOX_MIB);
  box_settle(box);
  box_close_store(box);
  box_open_store(box);
  assert_false(box_is_in_memory(box, 1));
  box_expect_body(box, 1, 3 * BOX_MIB);
  assert_true(box_is_in_memory(box, 1));
  box_expect_body(box, 2, 1);
  box_expect_none(box, 3, "");
}

static void a_reply_is_not_a_body(void **state) {
  Box *box = *state;
  _cleanup_(block_unref) Block *reply = box_make_body(9, 50);

  box_put(box, 1, 100);
  assert_int_equal(shelf_put(box->shelf, box_id_of(1), SHELF_REPLY, reply, &box->serial), 0);
  assert_int_equal(shelf_drop(box->shelf, box_id_of(1), SHELF_BODY, &box->serial), 0);
  assert_ptr_equal(shelf_find(box->shelf, box_id_of(1), SHELF_REPLY), reply);
  box_settle(box);
  box_begin_anew(box);
  box_expect_none(box, 1, "");
}

static void of_more_than_the_bound_those_go_that_nobody_used(void **state) {
  Box *box = *state;

  for (uint64_t i = 0; i < SHELF_BYTES / LARGE; i++)
    box_put(box, i, LARGE);
  box_settle(box);
  assert_true(box_is_in_memory(box, 0)); /* and is used by that */
  box_put(box, 4, LARGE);
  assert_false(box_is_in_memory(box, 1));
  assert_true(box_is_in_memory(box, 0) && box_is_in_memory(box, 2) && box_is_in_memory(box, 3) &&
              box_is_in_memory(box, 4));
  box_settle(box);
  box_expect_body(box, 1, LARGE);
  assert_false(box_is_in_memory(box, 0));
}

static void they_are_told_in_turn(void **state) {
  Box *box = *state;
  Told told[3] = {{0}, {0}, {0}};

  box_put(box, 1, BOX_MIB);
  box_put(box, 2, BOX_MIB);
  box_settle(box);
  box_begin_anew(box);
  box_ask(box, 1, &told[0]);
  box_ask(box, 2, &told[1]);
  box_ask(box, 1, &told[2]);
  box_wait_told(box, &told[0]);
  assert_int_equal(told[2].times, 1); /* it was read once */
  assert_ptr_equal(told[2].block, told[0].block);
  box_wait_told(box, &told[1]);
  for (size_t i = 0; i < ELEMENTS(told); i++)
    block_unref(&told[i].block);
}

static void who_waits_hears_of_the_end(void **state) {
  Box *box = *state;
  Told told[2] = {{0}, {0}};

  box_put(box, 1, BOX_MIB);
  box_settle(box);
  box_begin_anew(box);
  box_ask(box, 1, &told[0]);
  box_ask(box, 2, &told[1]);
  box_close_store(box);
  for (size_t i = 0; i < ELEMENTS(told); i++) {
    assert_int_equal(told[i].times, 1);
    assert_null(told[i].block);
    assert_string_equal(told[i].why, "this broker is stopping");
  }
  box_open_store(box);
}

/* --- taken off --- */

static void what_is_taken_off_while_it_is_read_is_told_to_nobody(void **state) {
  Box *box = *state;

  for (uint64_t i = 0; i < 20; i++) { /* the disk may be before or behind us */
    Told told = {0};

    box_put(box, i, BOX_MIB);
    box_settle(box);
    box_begin_anew(box);
    box_ask(box, i, &told);
    assert_int_equal(shelf_drop(box->shelf, box_id_of(i), SHELF_BODY, &box->serial), 0);
    box_wait_told(box, &told);
    assert_null(told.block);
    assert_false(box_is_in_memory(box, i));
    box_expect_none(box, i, "");
    box_settle(box);
    box_expect_none(box, i, "");
  }
}

static void what_is_put_again_is_the_new_one(void **state) {
  Box *box = *state;
  _cleanup_(block_unref) Block *newer = box_make_body(77, 2 * BOX_MIB);
  Told told = {0};

  box_put(box, 1, BOX_MIB);
  box_settle(box);
  box_begin_anew(box);
  box_ask(box, 1, &told);
  assert_int_equal(shelf_drop(box->shelf, box_id_of(1), SHELF_BODY, &box->serial), 0);
  assert_int_equal(shelf_put(box->shelf, box_id_of(1), SHELF_BODY, newer, &box->serial), 0);
  box_wait_told(box, &told);
  assert_ptr_equal(told.block, newer);
  block_unref(&told.block);
  box_settle(box);
  assert_ptr_equal(shelf_find(box->shelf, box_id_of(1), SHELF_BODY), newer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_key_says_of_what_it_is),
      cmocka_unit_test(what_is_no_key_is_none),
      cmocka_unit_test_setup_teardown(rows_of_others_are_let_alone, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(what_was_put_is_there_from_memory_and_from_disk, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(a_reply_is_not_a_body, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(of_more_than_the_bound_those_go_that_nobody_used, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(they_are_told_in_turn, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(who_waits_hears_of_the_end, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(what_is_taken_off_while_it_is_read_is_told_to_nobody, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(what_is_put_again_is_the_new_one, box_set_up, box_tear_down),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
