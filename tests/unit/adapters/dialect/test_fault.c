/* A fault is text, whatever it was made of. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/dialect/fault.h"

static void assert_text(Text got, const char *expected) {
  if (!text_is(got, expected))
    fail_msg("wanted %s, got %.*s", expected, TEXT_ARG(got));
}

static void texts_are_kept_apart(void **state) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};

  (void)state;
  assert_int_equal(dialect_fault_set(&fault, &(Fault){.message = TEXT("m\xc3\xa9"), .param = TEXT("p")}),
                   DIALECT_E_FAULT);
  assert_text(fault.fault.message, "m\xc3\xa9");
  assert_text(fault.fault.code, "");
  assert_text(fault.fault.param, "p");
  dialect_fault_set(&fault, &(Fault){.message = fault.fault.param, .code = fault.fault.message});
  assert_text(fault.fault.message, "p");
  assert_text(fault.fault.code, "m\xc3\xa9");
}

static void what_is_no_text_becomes_one(void **state) {
  static const char *const rows[][2] = {
      {"a\xff"
       "b",
       "a?b"},
      {"\xc3", "?"},
      {"\xe4\xbd", "??"},
      {"\xed\xa0\x80", "???"}, /* half of a pair */
      {"\xc3\xa9\xf0\x9f\x98\x80\x80", "\xc3\xa9\xf0\x9f\x98\x80?"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {0};

    dialect_fault_set(&fault,
                      &(Fault){.message = text_of(rows[i][0]), .code = TEXT("c"), .param = text_of(rows[i][0])});
    assert_text(fault.fault.message, rows[i][1]);
    assert_text(fault.fault.code, "c");
    assert_text(fault.fault.param, rows[i][1]);
  }
}

/* A sentence has an end, which may lie in the middle of a character. */
static void a_sentence_that_is_too_long_is_one_still(void **state) {
  _cleanup_(dialect_fault_done) DialectFault fault = {0};
  char name[1001];

  (void)state;
  for (size_t i = 0; i < 1000; i += 2)
    memcpy(name + i, "\xc3\xa9", 2);
  name[1000] = '\0';
  assert_int_equal(dialect_fault_caller(&fault, "p", "'%s'", name), DIALECT_E_FAULT);
  assert_int_equal(fault.fault.cause, CAUSE_CALLER);
  assert_int_equal(fault.fault.message.size, 399);
  assert_memory_equal(fault.fault.message.data, "'\xc3\xa9", 3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(texts_are_kept_apart),
      cmocka_unit_test(what_is_no_text_becomes_one),
      cmocka_unit_test(a_sentence_that_is_too_long_is_one_still),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
