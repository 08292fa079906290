/* One holder per folder; a dead one's file is no obstacle. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "bus/base/types.h"
#include "bus/ctl/pidfile.h"

static char folder[] = "/tmp/pons-test-XXXXXX";
static char path[64];

static int make_folder(void **state _unused_) {
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/pons.pid", folder);
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(path);
  return rmdir(folder);
}

static void test_second_taker_is_told_the_first(void **state _unused_) {
  int fd = -1;
  int second = 77;
  pid_t holder = 88;

  assert_int_equal(pidfile_take(path, &fd, &holder), 0);
  assert_int_equal(holder, 88);
  assert_int_equal(pidfile_write(fd), 0);
  assert_int_equal(pidfile_take(path, &second, &holder), PIDFILE_E_HELD);
  assert_int_equal(second, 77);
  assert_int_equal(holder, getpid());
  pidfile_drop(path, &fd);
  assert_int_equal(fd, -1);
  pidfile_drop(path, &fd);
  assert_int_equal(access(path, F_OK), -1);
  assert_int_equal(pidfile_take(path, &fd, &holder), 0);
  pidfile_drop(path, &fd);
}

static void test_stale_file_is_taken_over(void **state _unused_) {
  int stale = open(path, O_WRONLY | O_CREAT, 0644);
  char text[32] = "";
  int fd = -1;
  pid_t holder;

  assert_int_equal(write(stale, "123456789\n", 10), 10);
  close(stale);
  assert_int_equal(pidfile_take(path, &fd, &holder), 0);
  assert_int_equal(pidfile_write(fd), 0);
  assert_true(pread(fd, text, sizeof text - 1, 0) > 0);
  assert_int_equal(atoi(text), getpid());
  pidfile_drop(path, &fd);
}

static void test_folder_that_is_not_there(void **state _unused_) {
  int fd = 77;
  pid_t holder = 88;

  assert_int_equal(pidfile_take("/tmp/pons-test-none/pons.pid", &fd, &holder), -ENOENT);
  assert_int_equal(fd, 77);
  assert_int_equal(holder, 88);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_second_taker_is_told_the_first),
      cmocka_unit_test(test_stale_file_is_taken_over),
      cmocka_unit_test(test_folder_that_is_not_there),
  };

  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
