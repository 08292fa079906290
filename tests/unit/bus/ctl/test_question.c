/* SERVICE.METHOD and JSON of a person as a request. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/ctl/bodyjson.h"
#include "bus/ctl/question.h"

static void assert_asks(const char *target, const char *json, const char *service, const char *method,
                        const char *body) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(question_done) Question question = {0};
  json_t *value;
  char *text;

  assert_int_equal(question_init(&question, target, json, &errors, NULL), 0);
  assert_int_equal(errors.size, 0);
  assert_true(text_is(question.ask.service, service));
  assert_true(text_is(question.ask.method, method));
  value = bodyjson_new(question.ask.body, TEXT_NONE);
  text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  assert_string_equal(text, body);
  free(text);
  json_decref(value);
}

static void test_targets(void **state _unused_) {
  assert_asks("pons.ping", NULL, "pons", "ping", "{}");
  assert_asks("echo.say", "{\"text\": \"hi\"}", "echo", "say", "{\"text\":\"hi\"}");
  assert_asks("echo@*.say", "{\"text\": \"hi\"}", "echo@*", "say", "{\"text\":\"hi\"}");
  assert_asks("echo@a.b:17.say", "{\"text\": \"hi\"}", "echo@a.b:17", "say", "{\"text\":\"hi\"}");
  assert_asks("other.thing", "[1, null]", "other", "thing", "[1,null]");
  assert_asks("other.thing", NULL, "other", "thing", "null");
}

static void test_contract_is_found_behind_an_instance(void **state _unused_) {
  _cleanup_(buffer_done) Buffer errors = {0};
  _cleanup_(question_done) Question question = {0};

  assert_int_equal(question_init(&question, "echo@*.say", "{\"text\":\"x\"}", &errors, NULL), 0);
  assert_non_null(question.contract);
  assert_true(question.ask.idempotent);
}

static void assert_refused(const char *target, const char *json, int error, const char *expected) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Question untouched = {.target = (char *)&errors};
  ContractFault fault = {0};

  assert_int_equal(question_init(&untouched, target, json, &errors, &fault), error);
  assert_ptr_equal(untouched.target, &errors);
  assert_int_equal(fault.message[0] != '\0', error == QUESTION_E_CONTRACT);
  buffer_append(&errors, "", 1);
  if (!strstr((const char *)errors.data, expected))
    fail_msg("%s", (const char *)errors.data);
}

static void test_mistakes(void **state _unused_) {
  assert_refused("echo", NULL, QUESTION_E_TARGET, "'echo' is not SERVICE.METHOD");
  assert_refused(".say", NULL, QUESTION_E_TARGET, "'.say' is not SERVICE.METHOD");
  assert_refused("echo.", NULL, QUESTION_E_TARGET, "'echo.' is not SERVICE.METHOD");
  assert_refused("echo.say", "{text}", QUESTION_E_JSON, "the message is no JSON: ");
  assert_refused("echo.say", NULL, QUESTION_E_CONTRACT, "INVALID: text: ");
  assert_refused("echo.say", "{\"text\":\"x\",\"repeat\":0}", QUESTION_E_CONTRACT, "INVALID: repeat: ");
  assert_refused("echo.say", "{\"text\":\"x\",\"nope\":0}", QUESTION_E_CONTRACT, "`pons contract show echo.say`");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_targets),
      cmocka_unit_test(test_contract_is_found_behind_an_instance),
      cmocka_unit_test(test_mistakes),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
