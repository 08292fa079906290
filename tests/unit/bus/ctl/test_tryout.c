/* Programs that run, and programs that don't. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/ctl/tryout.h"

enum { TIMEOUT_MS = 60000 };

static char folder[] = "/tmp/pons-test-XXXXXX";
static char program[64];

static int make_folder(void **state _unused_) {
  assert_non_null(mkdtemp(folder));
  snprintf(program, sizeof program, "%s/program", folder);
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(program);
  return rmdir(folder);
}

static void expect(const char *script, uint64_t timeout_ms, int result, const char *said) {
  FILE *file = fopen(program, "w");
  char ret[TRYOUT_BYTES];

  assert_non_null(file);
  fputs(script, file);
  fclose(file);
  chmod(program, 0755);
  assert_int_equal(tryout_version(program, timeout_ms, ret), result);
  assert_string_equal(ret, said);
}

static void test_says_its_version(void **state _unused_) {
  expect("#!/bin/sh\necho \"1.2 $*\"\necho more\n", TIMEOUT_MS, 0, "1.2 --version");
  expect("#!/bin/sh\nexit 0\n", TIMEOUT_MS, 0, "");
}

static void test_does_not_run(void **state _unused_) {
  char ret[TRYOUT_BYTES];

  expect("#!/bin/sh\necho no library\nexit 7\n", TIMEOUT_MS, TRYOUT_E_BAD, "exit status 7: no library");
  expect("#!/bin/sh\nkill -9 $$\n", TIMEOUT_MS, TRYOUT_E_BAD, "killed by signal 9 (Killed)");
  expect("#!/bin/sh\nexec tail -f /dev/null\n", 100, TRYOUT_E_BAD, "it says nothing in time");
  expect("#!/bin/sh\nexec >&- 2>&-\nkill -STOP $$\n", 100, TRYOUT_E_BAD, "killed by signal 9 (Killed)");
  assert_int_equal(tryout_version("/nonexistent/program", TIMEOUT_MS, ret), TRYOUT_E_BAD);
  assert_string_equal(ret, "No such file or directory");
}

static void test_says_too_much(void **state _unused_) {
  char text[TRYOUT_BYTES];

  memset(text, '0', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  expect("#!/bin/sh\nprintf '%01000d' 0\n", TIMEOUT_MS, 0, text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_says_its_version),
      cmocka_unit_test(test_does_not_run),
      cmocka_unit_test(test_says_too_much),
  };

  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
