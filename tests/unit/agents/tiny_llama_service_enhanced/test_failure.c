/* Whose fault it is decides whether another model is tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/tiny_llama_service_enhanced/engine.h"
#include "agents/tiny_llama_service_enhanced/failure.h"

static void test_engine(void **state) {
  static const int unavailable[] = {ENGINE_E_LIBRARY, ENGINE_E_MODEL, ENGINE_E_FAILED};
  Fault context = failure_of_engine(ENGINE_E_CONTEXT, TEXT("too long"));
  Fault grammar = failure_of_engine(ENGINE_E_GRAMMAR, TEXT("no GBNF"));

  (void)state;
  for (size_t i = 0; i < ELEMENTS(unavailable); i++) {
    Fault fault = failure_of_engine(unavailable[i], TEXT("why"));

    assert_true(fault.cause == CAUSE_UNAVAILABLE && text_is(fault.message, "why") && fault.http_status == 0);
    assert_int_equal(cause_next(fault.cause), CAUSE_NEXT_ALWAYS);
  }
  assert_true(context.cause == CAUSE_CONTEXT && text_is(context.code, "context_length_exceeded"));
  assert_int_equal(cause_next(context.cause), CAUSE_NEXT_LARGER);
  assert_true(grammar.cause == CAUSE_CALLER && text_is(grammar.param, "grammar") && grammar.http_status == 400);
}

static void test_order(void **state) {
  OrderFault wrong = {.code = "unsupported_value", .field = "n", .message = "n must be 1"};
  Fault fault = failure_of_order(&wrong);

  (void)state;
  assert_true(fault.cause == CAUSE_CALLER && text_is(fault.code, "unsupported_value") && text_is(fault.param, "n"));
  assert_true(text_is(fault.message, "n must be 1") && fault.http_status == 400);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_engine), cmocka_unit_test(test_order)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
