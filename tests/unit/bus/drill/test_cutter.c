/* Where a live fleet can't be cut, and why. What a cut does is shown between two machines by tests/process/test_drill.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bus/drill/cutter.h"

enum { NOBODY = 65534 };

static int refuse(const char *endpoint, const char *words) {
  char text[128];
  char *endpoints[] = {text};
  Buffer errors = {0};
  Cutter *cutter = NULL;
  int r;

  snprintf(text, sizeof text, "%s", endpoint);
  r = cutter_new(endpoints, 1, &errors, &cutter);
  buffer_append(&errors, "", 1);
  if (!strstr((const char *)errors.data, words))
    fail_msg("%s", (const char *)errors.data);
  assert_null(cutter);
  buffer_done(&errors);
  return r;
}

static void test_on_this_machine(void **state _unused_) {
  assert_int_equal(refuse("ipc://second", "is on this machine"), CUTTER_E_HERE);
  assert_int_equal(refuse("tcp://127.0.0.2:7100", "is on this machine"), CUTTER_E_HERE);
  assert_int_equal(refuse("tcp://localhost:7100", "is on this machine"), CUTTER_E_HERE);
}

static void test_a_name_that_is_not_known(void **state _unused_) {
  assert_int_equal(refuse("tcp://no.such.host.invalid:7100", "the host no.such.host.invalid is not known"),
                   CUTTER_E_NAME);
}

static void test_no_tool(void **state _unused_) {
  if (geteuid() != 0)
    skip();
  setenv("PATH", "/nonexistent", 1);
  assert_int_equal(refuse("tcp://192.0.2.1:7100", "install the package nftables"), CUTTER_E_TOOL);
}

static void test_not_root(void **state _unused_) {
  int status = 0;
  pid_t pid = fork();

  if (pid == 0)
    _exit((geteuid() == 0 && setuid(NOBODY) < 0) ||
          refuse("tcp://192.0.2.1:7100", "only root can cut this machine off") != CUTTER_E_ROOT);
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_on_this_machine),
      cmocka_unit_test(test_a_name_that_is_not_known),
      cmocka_unit_test(test_not_root),
      cmocka_unit_test(test_no_tool),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
