/* Which process is which instance: by pid, or by name where a peer tells no pid. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bus/ctl/join.h"
#include "bus/ctl/view.h"

static json_t *parse(const char *text) {
  json_t *json = json_loads(text, 0, NULL);

  assert_non_null(json);
  return json;
}

static const json_t *process(const json_t *supervisor, size_t index) {
  return json_array_get(json_object_get(supervisor, "processes"), index);
}

static void test_join(void **state) {
  json_t *supervisor = parse("{\"processes\":["
                             "{\"name\":\"broker\",\"agent\":\"\",\"pid\":1,\"state\":\"ready\"},"
                             "{\"name\":\"a#1\",\"agent\":\"a\",\"pid\":2,\"state\":\"ready\"},"
                             "{\"name\":\"a#2\",\"agent\":\"a\",\"pid\":3,\"state\":\"ready\"},"
                             "{\"name\":\"b#1\",\"agent\":\"b\",\"pid\":4,\"state\":\"ready\"},"
                             "{\"name\":\"b#2\",\"agent\":\"b\",\"pid\":5,\"state\":\"ready\"},"
                             "{\"name\":\"b#3\",\"agent\":\"b\",\"pid\":6,\"state\":\"ready\"},"
                             "{\"name\":\"c\",\"agent\":\"c\",\"pid\":0,\"state\":\"backoff\"}]}");
  json_t *connections = parse("{\"connections\":["
                              "{\"agent\":\"pons\",\"instance\":\"pons:9\",\"pid\":77},"
                              "{\"agent\":\"a\",\"instance\":\"a:20\",\"pid\":3},"
                              "{\"agent\":\"a\",\"instance\":\"a:10\",\"pid\":2},"
                              "{\"agent\":\"b\",\"instance\":\"b:30\",\"pid\":0},"
                              "{\"agent\":\"b\",\"instance\":\"b:40\",\"pid\":0},"
                              "{\"agent\":\"c\",\"instance\":\"c:50\",\"pid\":0}]}");
  json_t *registry = parse("{\"instances\":[{\"service\":\"x\",\"instance\":\"a:10\"},{\"service\":\"y\","
                           "\"instance\":\"a:10\"},{\"service\":\"x\",\"instance\":\"a:20\"}]}");
  static const char *const expected[] = {"", "a:10", "a:20", "b:30", "b:40", "", ""};

  (void)state;
  join_instances(supervisor, registry, connections);
  for (size_t i = 0; i < 7; i++) {
    assert_string_equal(view_text(process(supervisor, i), "instance"), expected[i]);
    assert_int_equal(join_is_missing(process(supervisor, i)), i == 5);
  }
  assert_int_equal(json_array_size(json_object_get(process(supervisor, 1), "services")), 2);
  assert_int_equal(json_array_size(json_object_get(process(supervisor, 2), "services")), 1);
  json_decref(supervisor);
  json_decref(connections);
  json_decref(registry);
}

static void test_without_a_broker_or_a_supervisor(void **state) {
  json_t *supervisor = parse("{\"processes\":[{\"name\":\"a\",\"agent\":\"a\",\"pid\":2,\"state\":\"ready\"}]}");

  (void)state;
  join_instances(NULL, NULL, NULL);
  join_instances(supervisor, NULL, NULL);
  assert_string_equal(view_text(process(supervisor, 0), "instance"), "");
  assert_true(join_is_missing(process(supervisor, 0)));
  json_decref(supervisor);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_join),
      cmocka_unit_test(test_without_a_broker_or_a_supervisor),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
