/* Whom an upgrade replaces, in which order, and what keeps a broker from leaving. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bus/ctl/upgrade.h"
#include "bus/ctl/view.h"

static json_t *parse(const char *text) {
  json_t *json = json_loads(text, 0, NULL);

  assert_non_null(json);
  return json;
}

static json_t *processes(void) {
  return parse("[{\"name\":\"broker\",\"agent\":\"\"},{\"name\":\"broker@pc2\",\"agent\":\"\"},"
               "{\"name\":\"echo\",\"agent\":\"echo\"},{\"name\":\"work#1\",\"agent\":\"work\"},"
               "{\"name\":\"work#2\",\"agent\":\"work\"}]");
}

static void expect(const char *const *names, uint32_t count, const char *leader, const char *expected) {
  json_t *all = processes();
  json_t *chosen = NULL;
  const json_t *process;
  Buffer got = {0};
  size_t i;

  assert_int_equal(upgrade_choose(all, names, count, leader, &chosen, &got), 0);
  json_array_foreach(chosen, i, process) buffer_printf(&got, "%s%s", i ? " " : "", view_text(process, "name"));
  buffer_append(&got, "", 1);
  assert_string_equal((const char *)got.data, expected);
  buffer_done(&got);
  json_decref(chosen);
  json_decref(all);
}

static void test_the_leader_is_the_last_broker(void **state _unused_) {
  expect(NULL, 0, "", "broker broker@pc2 echo work#1 work#2");
  expect(NULL, 0, "broker", "broker@pc2 broker echo work#1 work#2");
  expect(NULL, 0, "broker@pc2", "broker broker@pc2 echo work#1 work#2");
}

/* It starts all others, so it goes first; one that can't be asked to is left out. */
static void test_the_supervisor_is_the_first(void **state _unused_) {
  json_t *fleet = parse("{\"pid\":7,\"program\":\"/x/pons\",\"life\":2}");
  json_t *old = parse("{\"pid\":7}");
  json_t *all = processes();
  json_t *chosen = NULL;
  Buffer errors = {0};
  const json_t *first;

  json_array_append_new(all, upgrade_supervisor(fleet));
  assert_int_equal(upgrade_choose(all, NULL, 0, "broker", &chosen, &errors), 0);
  first = json_array_get(chosen, 0);
  assert_string_equal(view_text(first, "name"), "supervisor");
  assert_string_equal(view_text(first, "program"), "/x/pons");
  assert_int_equal(view_number(first, "pid"), 7);
  assert_int_equal(view_number(first, "life"), 2);
  assert_true(upgrade_is_supervisor(first));
  assert_false(upgrade_is_supervisor(json_array_get(chosen, 1)));
  assert_null(upgrade_supervisor(old));
  json_decref(chosen);
  json_decref(all);
  json_decref(old);
  json_decref(fleet);
}

static void test_named(void **state _unused_) {
  expect((const char *[]){"work"}, 1, "", "work#1 work#2");
  expect((const char *[]){"work#2", "broker@pc2", "echo"}, 3, "", "broker@pc2 echo work#2");
}

static void test_a_name_that_is_not_there(void **state _unused_) {
  const char *names[] = {"echo", "word", ""};
  json_t *all = processes();
  json_t *untouched = all;
  Buffer errors = {0};

  assert_int_equal(upgrade_choose(all, names, 3, "", &untouched, &errors), UPGRADE_E_NAME);
  assert_ptr_equal(untouched, all);
  buffer_append(&errors, "", 1);
  assert_string_equal((const char *)errors.data, "the fleet has no process 'word'; `pons status` lists them\n"
                                                 "the fleet has no process ''; `pons status` lists them\n");
  buffer_done(&errors);
  json_decref(all);
}

#define ROW(service, instance, state)                                                                                  \
  "{\"service\":\"" service "\",\"instance\":\"" instance "\",\"state\":\"" state "\"}"

static void compare(const char *here, const char *there, const char *expected) {
  json_t *a = parse(here);
  json_t *b = parse(there);
  Buffer got = {0};

  upgrade_compare(a, "a", b, "b", &got);
  buffer_append(&got, "", 1);
  assert_string_equal((const char *)got.data, expected);
  buffer_done(&got);
  json_decref(a);
  json_decref(b);
}

static void test_who_is_at_one_alone(void **state _unused_) {
  compare("{\"instances\":[]}", "{\"instances\":[]}", "");
  compare("{\"instances\":[" ROW("x", "e:1", "ready") "," ROW("pons.flags", "a:1", "ready") "]}",
          "{\"instances\":[" ROW("pons.flags", "b:1", "ready") "," ROW("x", "e:1", "ready") "]}", "");
  compare("{\"instances\":[" ROW("x", "e:1", "ready") "," ROW("y", "e:1", "ready") "," ROW("x", "e:2", "ready") "]}",
          "{\"instances\":[" ROW("x", "e:1", "new") "," ROW("y", "e:1", "ready") "," ROW("x", "f:1", "ready") "]}",
          "x of e:1 is ready at one broker, and not at broker b\n"
          "x of e:2 is ready at one broker, and not at broker b\n"
          "x of e:1 is new at one broker, and not at broker a\n"
          "x of f:1 is ready at one broker, and not at broker a\n");
  compare("{\"instances\":[" ROW("x", "e:1", "draining") "]}", "{\"instances\":[" ROW("x", "e:1", "draining") "]}", "");
}

static void test_base(void **state _unused_) {
  assert_string_equal(upgrade_base("/usr/bin/pons-broker"), "pons-broker");
  assert_string_equal(upgrade_base("pons"), "pons");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_the_leader_is_the_last_broker),
      cmocka_unit_test(test_the_supervisor_is_the_first),
      cmocka_unit_test(test_named),
      cmocka_unit_test(test_a_name_that_is_not_there),
      cmocka_unit_test(test_who_is_at_one_alone),
      cmocka_unit_test(test_base),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
