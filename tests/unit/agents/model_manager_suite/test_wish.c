#include <stdio.h>

#include "agents/model_manager_suite/wish.h"
#include "tests/unit/agents/model_manager_suite/tables.h"

static Buffer room;

static Wish read_wish(const char *request) {
  Wish wish = {.is_embedding = true};
  WishFault fault = {.path = NULL};

  buffer_clear(&room);
  if (wish_read(text_of(request), &room, &wish, &fault) != 0)
    fail_msg("%s: %s", request, fault.message);
  assert_true(wish.is_embedding);
  return wish;
}

static void test_read(void **state _unused_) {
  Wish wish = read_wish("{\"messages\":[{\"model\":\"inner\"}],\"model\":\"m/1:free\"}");

  assert_true(text_is(wish.model, "m/1:free"));
  assert_int_equal(wish.fallbacks_count, 0);
  wish = read_wish("{\"fallbacks\":[\"a\",\"b\"],\"model\":\"m\"}");
  assert_int_equal(wish.fallbacks_count, 2);
  assert_true(text_is(wish.fallbacks[0], "a"));
  assert_true(text_is(wish.fallbacks[1], "b"));
  assert_int_equal(read_wish("{}").model.size, 0);
  assert_int_equal(read_wish("{\"model\":null,\"fallbacks\":null}").model.size, 0);
}

/* PHP writes every slash as \/, and Python what is not ASCII as \u. */
static void test_escapes(void **state _unused_) {
  Wish wish = read_wish("{\"model\":\"m\\/1\",\"fallbacks\":[\"a\\/1\",\"b\",\"c\\/1\",\"\\u00e9\",\"e\\/1\"]}");

  assert_true(text_is(wish.model, "m/1"));
  assert_int_equal(wish.fallbacks_count, 5);
  assert_true(text_is(wish.fallbacks[0], "a/1"));
  assert_true(text_is(wish.fallbacks[1], "b"));
  assert_true(text_is(wish.fallbacks[2], "c/1"));
  assert_true(text_is(wish.fallbacks[3], "\xc3\xa9"));
  assert_true(text_is(wish.fallbacks[4], "e/1"));
  assert_true(text_is(read_wish("{\"model\":\"a\",\"mode\\u006c\":\"b\"}").model,
                      "b")); /* the last one, as providers take it */
}

static void expect_refused(const char *request, const char *path, const char *message) {
  Wish wish = {.is_embedding = false};
  WishFault fault = {.path = NULL};

  buffer_clear(&room);
  assert_int_equal(wish_read(text_of(request), &room, &wish, &fault), WISH_E_INVALID);
  assert_string_equal(fault.path, path);
  assert_string_equal(fault.message, message);
}

static void test_refused(void **state _unused_) {
  static const char *const name = "model must be the name of a model, a string of at most 128 bytes";
  char request[256] = "{\"model\":\"";

  memset(request + 10, 'x', 129);
  memcpy(request + 139, "\"}", 3);
  expect_refused("{", "request", "the request is no JSON, line 1, column 2: wanted a string, got the end");
  expect_refused("[]", "request", "the request is no JSON object; write {\"messages\": [...]}");
  expect_refused("{\"model\":7}", "model", name);
  expect_refused(request, "model", name);
  expect_refused("{\"fallbacks\":\"a\"}", "fallbacks", "fallbacks must be a list of names of models");
  expect_refused("{\"fallbacks\":[7]}", "fallbacks",
                 "fallbacks must be the name of a model, a string of at most 128 bytes");
  expect_refused("{\"fallbacks\":[\"1\",\"2\",\"3\",\"4\",\"5\",\"6\"]}", "fallbacks",
                 "fallbacks has more than 5 names");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_read),
      cmocka_unit_test(test_escapes),
      cmocka_unit_test(test_refused),
  };
  int r = cmocka_run_group_tests(tests, NULL, NULL);

  buffer_done(&room);
  return r;
}
