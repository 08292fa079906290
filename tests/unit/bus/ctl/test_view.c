/* The tables of `pons up` and `pons status`, which scripts and documents quote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/ctl/view.h"

static const char supervisor[] =
    "{\"state\":\"degraded\",\"pid\":1,\"processes\":["
    "{\"name\":\"broker\",\"pid\":70,\"state\":\"ready\",\"restarts\":0,\"since_us\":1000000,"
    "\"endpoints\":[\"tcp://127.0.0.1:1\",\"ipc:///run/b\"],\"last_end\":\"\"},"
    "{\"name\":\"tts\",\"pid\":0,\"state\":\"degraded\",\"restarts\":5,\"since_us\":2500000,"
    "\"endpoints\":[\"ipc:///run/b\"],\"last_end\":\"exit status 1\",\"last_output\":\"no \\u001bfile\"}]}";

static const char registry[] =
    "{\"total\":1,\"instances\":[{\"service\":\"echo\",\"version\":\"1\",\"instance\":\"echo:17\",\"state\":\"ready\","
    "\"credit\":32,\"outstanding\":2,\"queued\":0,\"latency_us\":85}],\"mismatches\":[{\"caller\":\"old\","
    "\"service\":\"echo\",\"method\":\"say\",\"caller_hash\":1,\"callee_hash\":\"18446744073709551615\"}]}";

static json_t *parse(const char *text) {
  json_t *json = json_loads(text, 0, NULL);

  assert_non_null(json);
  return json;
}

static void assert_text(Buffer *got, const char *expected) {
  buffer_append(got, "", 1);
  assert_string_equal((const char *)got->data, expected);
  buffer_clear(got);
}

static void test_processes(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  json_t *json = parse(supervisor);

  view_print_processes(json, 3000000, &got);
  assert_text(&got, "NAME    PID  STATE     RESTARTS  SINCE  ENDPOINT\n"
                    "broker   70  ready            0   2.0s  tcp://127.0.0.1:1 ipc:///run/b\n"
                    "tts       -  degraded         5  500ms  ipc:///run/b\n");
  view_print_troubles(json, &got);
  assert_text(&got, "tts is degraded: exit status 1; it said: no ?file\n");
  json_decref(json);
}

static void test_rows_are_found_by_a_text(void **state _unused_) {
  json_t *json = parse(supervisor);
  const json_t *processes = json_object_get(json, "processes");

  assert_ptr_equal(view_find(processes, "name", "tts"), json_array_get(processes, 1));
  assert_ptr_equal(view_find(processes, "last_end", ""), json_array_get(processes, 0));
  assert_null(view_find(processes, "name", "tt"));
  assert_null(view_find(NULL, "name", "tts"));
  json_decref(json);
}

static void test_instances(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  json_t *json = parse(registry);

  view_print_instances(json, &got);
  assert_text(&got, "SERVICE  VERSION  INSTANCE  STATE  CREDIT  OUTSTANDING  QUEUED  LATENCY\n"
                    "echo     1        echo:17   ready      32            2       0     85us\n");
  assert_int_equal(view_print_mismatches(json, &got), 1);
  assert_text(&got, "CONTRACT MISMATCH: old calls echo.say as 0000000000000001, the service offers ffffffffffffffff; "
                    "rebuild the older one\n");
  json_object_set_new(json, "total", json_integer(1500));
  view_print_instances(json, &got);
  buffer_append(&got, "", 1);
  assert_non_null(strstr((const char *)got.data, "\n1 of 1500 rows\n"));
  json_decref(json);
}

static void test_who_waits_for_the_broker(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  json_t *json = parse("{\"processes\":[{\"name\":\"echo\",\"state\":\"stopped\",\"last_end\":\"\"}]}");

  view_print_troubles(json, &got);
  assert_text(&got, "echo was not started\n");
  json_decref(json);
}

/* What a broker answers may be anything. */
static void test_what_is_not_there(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  json_t *json = parse("{\"instances\":[{},7,null],\"mismatches\":{},\"processes\":[[]]}");

  view_print_instances(json, &got);
  view_print_processes(json, 0, &got);
  assert_int_equal(view_print_mismatches(json, &got), 0);
  view_print_troubles(json, &got);
  assert_string_equal(view_text(json, "instances"), "");
  assert_int_equal(view_number(json, "none"), 0);
  json_decref(json);
}

static void test_who_is_behind(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  json_t *json = parse("{\"peer_behind\":7,\"peer_behind_us\":12345678,\"own_behind\":3}");
  json_t *moment = parse("{\"peer_behind\":7,\"peer_behind_us\":20000,\"own_behind\":0}");

  view_print_behind(json, &got);
  assert_text(&got, ", the other has lacked 7 changes for 12.3 s, lacks 3 changes of the other's");
  buffer_clear(&got);
  view_print_behind(moment, &got);
  assert_int_equal(got.size, 0);
  json_decref(json);
  json_decref(moment);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_processes),         cmocka_unit_test(test_rows_are_found_by_a_text),
      cmocka_unit_test(test_instances),         cmocka_unit_test(test_who_waits_for_the_broker),
      cmocka_unit_test(test_what_is_not_there), cmocka_unit_test(test_who_is_behind),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
