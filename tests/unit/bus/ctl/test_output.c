/* Where lines go: a file that turns over, and a reader that does not read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bus/base/buffer.h"
#include "bus/ctl/folder.h"
#include "bus/ctl/output.h"

static char folder[] = "/tmp/pons-test-XXXXXX";

static const char *in_folder(const char *name) {
  static char path[4][128];
  static int next;

  next = (next + 1) % 4;
  snprintf(path[next], sizeof path[next], "%s/%s", folder, name);
  return path[next];
}

static int make_folder(void **state _unused_) {
  assert_non_null(mkdtemp(folder));
  return 0;
}

static int remove_folder(void **state _unused_) {
  unlink(in_folder("log"));
  unlink(in_folder("log.1"));
  rmdir(in_folder("a/b"));
  rmdir(in_folder("a"));
  return rmdir(folder);
}

static void write_line(Output *output, const char *text) {
  output_write(output, (Bytes){(const uint8_t *)text, strlen(text)});
}

static void assert_holds(const char *name, const char *expected) {
  char text[256] = "";
  int fd = open(in_folder(name), O_RDONLY);

  assert_true(fd >= 0);
  assert_true(read(fd, text, sizeof text - 1) >= 0);
  close(fd);
  assert_string_equal(text, expected);
}

static void test_file_turns_over(void **state _unused_) {
  char path[128];
  struct stat status;
  Output output;

  snprintf(path, sizeof path, "%s", in_folder("log"));
  assert_int_equal(output_to_file(&output, path, 10), 0);
  write_line(&output, "one\n");
  assert_holds("log", "one\n");
  write_line(&output, "two two\n");
  assert_holds("log.1", "one\ntwo two\n");
  write_line(&output, "three\n");
  assert_holds("log", "three\n");
  output_done(&output);
  output_done(&output);
  assert_int_equal(output_to_file(&output, path, 10), 0);
  write_line(&output, "four\n");
  assert_holds("log.1", "three\nfour\n");
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0600);
  output_done(&output);
  assert_int_equal(output_to_file(&output, "/nonexistent/log", 10), -ENOENT);
}

/* Nobody reads: the writer goes on at once, and says what was lost when somebody does. */
static void test_a_reader_that_does_not_read(void **state _unused_) {
  _cleanup_(buffer_done) Buffer got = {0};
  static char line[4001];
  Output output;
  int fds[2];

  assert_int_equal(pipe(fds), 0);
  fcntl(fds[0], F_SETFL, O_NONBLOCK);
  memset(line, 'x', sizeof line - 2);
  line[sizeof line - 2] = '\n';
  output_to_fd(&output, fds[1]);
  for (int i = 0; i < 40; i++)
    write_line(&output, line);
  assert_true(output.lost_writes > 0);
  for (ssize_t size = 0; size >= 0; got.size += (size_t)size) {
    size = read(fds[0], buffer_reserve(&got, 65536), 65536);
    if (size < 0)
      break;
  }
  write_line(&output, "back\n");
  assert_int_equal(output.lost_writes, 0);
  buffer_clear(&got);
  got.size = (size_t)read(fds[0], buffer_reserve(&got, 65536), 65536);
  buffer_append(&got, "", 1);
  assert_non_null(strstr((const char *)got.data, "pons | output was not read: "));
  assert_non_null(strstr((const char *)got.data, "\nback\n"));
  close(fds[0]);
  close(fds[1]);
}

static void test_folders_are_made_for_oneself(void **state _unused_) {
  struct stat status;

  assert_int_equal(folder_make(in_folder("a/b")), 0);
  assert_int_equal(folder_make(in_folder("a/b")), 0);
  assert_int_equal(stat(in_folder("a/b"), &status), 0);
  assert_int_equal(status.st_mode & 0777, 0700);
  assert_int_equal(folder_make("/dev/null"), -ENOTDIR);
  assert_int_equal(folder_make("/dev/null/x"), -ENOTDIR);
}

/* Somebody else's folder in /tmp is a trap. Only root can lay one here. */
static void test_foreign_folder(void **state _unused_) {
  const char *path = in_folder("a");

  if (geteuid() != 0)
    skip();
  assert_int_equal(chown(path, 12345, 12345), 0);
  assert_int_equal(folder_make(path), FOLDER_E_FOREIGN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_file_turns_over),
      cmocka_unit_test(test_a_reader_that_does_not_read),
      cmocka_unit_test(test_folders_are_made_for_oneself),
      cmocka_unit_test(test_foreign_folder),
  };

  return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
