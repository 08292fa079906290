/* getpid is this project's, for the libraries too, and right in a child; a loop refuses to turn there. */
#include <dlfcn.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include "bus/loop/loop.h"

static void libraries_find_ours(void **state _unused_) {
  pid_t (*ours)(void) = getpid;
  void *libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

  assert_non_null(libc);
  assert_ptr_equal(dlsym(RTLD_DEFAULT, "getpid"), ours);
  assert_ptr_not_equal(dlsym(libc, "getpid"), ours);
  dlclose(libc);
}

static void a_child_has_its_own(void **state _unused_) {
  _cleanup_(loop_destroy) Loop *loop = NULL;
  int status;

  assert_int_equal(getpid(), syscall(SYS_getpid));
  assert_int_equal(loop_new(&loop), 0);
  pid_t pid = fork();
  if (pid == 0) {
    if (getpid() != syscall(SYS_getpid))
      _exit(1);
    _exit(loop_turn(loop, 0) == -ECHILD ? 0 : 2);
  }
  assert_int_equal(waitpid(pid, &status, 0), pid);
  assert_int_equal(status, 0);
  assert_int_equal(loop_turn(loop, 0), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(libraries_find_ours),
      cmocka_unit_test(a_child_has_its_own),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
