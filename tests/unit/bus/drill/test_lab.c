/* What a lab says where none can be made, and that nothing of it stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sys/wait.h>
#include <unistd.h>

#include "bus/drill/lab.h"

enum { NOBODY = 65534 };

static int try_to_open(void) {
  _cleanup_(buffer_done) Buffer errors = {0};
  Lab *lab = NULL;
  int r = lab_open(&(LabOptions){.agents = 2}, &errors, &lab);

  return r > 0 && errors.size > 0 && !lab ? r : EXIT_FAILURE + 100;
}

static void test_only_root(void **state _unused_) {
  int status = 0;
  pid_t pid = fork();

  if (pid == 0)
    _exit(geteuid() == 0 && setuid(NOBODY) < 0 ? EXIT_FAILURE + 100 : try_to_open());
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_true(WIFEXITED(status));
  assert_int_equal(WEXITSTATUS(status), LAB_E_ROOT);
}

/* Beside a test there is no pons. */
static void test_its_programs_are_beside_it(void **state _unused_) {
  if (geteuid() != 0)
    skip();
  assert_int_equal(try_to_open(), LAB_E_TOOL);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_only_root),
                                     cmocka_unit_test(test_its_programs_are_beside_it)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
