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
  const ConfigCatalog *rows = catalog_rows();
  size_t count = 0;

  for (; rows[count].name; count++) {
    assert_true(name_is_valid(text_of(rows[count].name)));
    assert_true(strncmp(rows[count].program, "pons-", 5) == 0);
    for (size_t i = 0; i < count; i++)
      assert_string_not_equal(rows[i].name, rows[count].name);
  }
  assert_true(count >= 1);
  assert_string_equal(rows[0].name, "echo");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_names),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
