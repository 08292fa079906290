/* When one broker may be without the other, judged by what both have said. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bus/ctl/look.h"

static json_t *parse(const char *text) {
  json_t *json = json_loads(text, 0, NULL);

  assert_non_null(json);
  return json;
}

static Look look_of(const char *name, const char *authority, const char *connections) {
  return (Look){.name = strdup(name),
                .registry = parse("{\"instances\":[]}"),
                .connections = connections ? parse(connections) : NULL,
                .authority = authority ? parse(authority) : NULL};
}

static void expect_objection(const Look *leaving, const Look *staying, const char *expected) {
  Buffer got = {0};

  look_object(leaving, staying, &got);
  buffer_append(&got, "", 1);
  assert_string_equal((const char *)got.data, expected);
  buffer_done(&got);
}

static void test_objections(void **state _unused_) {
  Look none = {.name = NULL};
  Look a = look_of("a", NULL, NULL);
  Look linked = look_of("b", "{\"node\":\"b\",\"state\":\"leader\",\"linked\":true}", NULL);
  Look cut = look_of("c", "{\"node\":\"a\",\"state\":\"follower\",\"linked\":false}", NULL);
  Look alone = look_of("d", "{\"node\":\"alone\",\"state\":\"leader\",\"linked\":false}", NULL);

  expect_objection(&a, &none, "the other broker does not answer\n");
  expect_objection(&none, &a, "the broker does not answer\n");
  expect_objection(&a, &linked, "");
  expect_objection(&a, &alone, "");
  expect_objection(&cut, &linked, "brokers c and b are not linked\n");
  expect_objection(&linked, &cut, "brokers b and c are not linked\n");
  assert_true(look_leads(&linked));
  assert_false(look_leads(&cut));
  assert_false(look_leads(&a));
  look_done(&a);
  look_done(&linked);
  look_done(&cut);
  look_done(&alone);
  look_done(&none);
}

#define NOW_US UINT64_C(1000000000)
#define DOUBT_US 200000

static void test_settled(void **state _unused_) {
  Look young = look_of("a", NULL, "{\"connections\":[{\"client\":\"x\",\"pid\":7,\"connected_us\":9000000}]}");
  Look same = look_of("b", NULL,
                      "{\"connections\":[{\"client\":\"x\",\"pid\":7,\"connected_us\":9000000},"
                      "{\"client\":\"own\",\"pid\":0,\"connected_us\":9000000},"
                      "{\"client\":\"asker\",\"pid\":8,\"connected_us\":1000}]}");
  Look more = look_of("c", NULL, "{\"connections\":[{\"client\":\"y\",\"pid\":9,\"connected_us\":9000000}]}");
  json_t *rows = json_object_get(young.registry, "instances");

  young.uptime_us = 1000000;
  same.oldest_us = 500000;
  assert_true(look_is_settled(&young, &same, DOUBT_US, NOW_US));
  assert_false(look_is_settled(&young, &more, DOUBT_US, NOW_US)); /* y has no session here */
  same.oldest_us = 700000;                                        /* older than what was noted here for sure */
  assert_false(look_is_settled(&young, &same, DOUBT_US, NOW_US));
  same.oldest_us = 500000;
  json_array_append_new(rows, parse("{\"started_us\":999000000}"));
  assert_true(look_is_settled(&young, &same, DOUBT_US, NOW_US));
  json_array_append_new(rows, parse("{\"started_us\":999200000}")); /* too young to vouch */
  assert_false(look_is_settled(&young, &same, DOUBT_US, NOW_US));
  look_done(&young);
  look_done(&same);
  look_done(&more);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_objections), cmocka_unit_test(test_settled)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
