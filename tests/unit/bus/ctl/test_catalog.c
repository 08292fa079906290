/* The names of the catalogue: all of them, once, and the configuration takes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <string.h>

#include "bus/base/types.h"
#include "bus/ctl/catalog.h"
#include "bus/wire/header.h"

static void test_names(void **state _unused_) {
  const char *const *names = catalog_names();
  size_t count = 0;

  for (; names[count]; count++) {
    assert_true(name_is_valid(text_of(names[count])));
    for (size_t i = 0; i < count; i++)
      assert_string_not_equal(names[i], names[count]);
  }
  assert_true(count >= 1);
  assert_string_equal(names[0], "echo");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
