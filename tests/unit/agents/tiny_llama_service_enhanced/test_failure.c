/* Whose fault it is decides whether another model is tried. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/tiny_llama_service_enhanced/engine.h"
#include "agents/tiny_llama_service_enhanced/failure.h"

static void test_causes(void **state) {
  (void)state;
  assert_string_equal(failure_cause(ENGINE_E_LIBRARY), "unavailable");
  assert_string_equal(failure_cause(ENGINE_E_MODEL), "unavailable");
  assert_string_equal(failure_cause(ENGINE_E_FAILED), "unavailable");
  assert_string_equal(failure_cause(ENGINE_E_CONTEXT), "context");
  assert_string_equal(failure_cause(ENGINE_E_GRAMMAR), "caller");
  assert_null(failure_cause(ENGINE_E_CANCELLED));
  assert_null(failure_cause(0));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_causes)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
