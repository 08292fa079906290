/* Key files: written for their owner alone, read back, and refused by name when they are not what they should be. */
#include "bus/loop/key.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/pons-key-XXXXXX";
static char path[64];

static int make_folder(void **state _unused_) {
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/a.key", folder);
  return 0;
}

static int drop_folder(void **state _unused_) {
  return rmdir(folder);
}

static int drop_file(void **state _unused_) {
  unlink(path);
  return 0;
}

static void write_file(const char *text, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, strlen(text)), strlen(text));
  assert_int_equal(fchmod(fd, mode), 0);
  close(fd);
}

static void a_key_is_what_was_written(void **state _unused_) {
  _cleanup_(key_unref) KeyPair *key = NULL;
  _cleanup_(key_unref) KeyPair *read_back = NULL;
  char text[KEY_TEXT_SIZE];
  PublicKey public;
  struct stat stat;

  key_new(&key);
  assert_int_equal(key_write(key, path), 0);
  assert_int_equal(lstat(path, &stat), 0);
  assert_int_equal(stat.st_mode & 0777, 0600);
  assert_int_equal(stat.st_size, 41);
  assert_int_equal(key_write(key, path), -EEXIST);
  assert_int_equal(key_read(path, &read_back), 0);
  assert_true(public_key_equal(key_public(key), key_public(read_back)));
  assert_int_equal(public_key_read(text_of(public_key_print(key_public(key), text)), &public), 0);
  assert_true(public_key_equal(public, key_public(key)));
}

static void each_key_is_another(void **state _unused_) {
  _cleanup_(key_unref) KeyPair *a = NULL;
  _cleanup_(key_unref) KeyPair *b = NULL;

  key_new(&a);
  key_new(&b);
  assert_false(public_key_equal(key_public(a), key_public(b)));
}

static void a_file_that_others_may_read_is_refused(void **state _unused_) {
  KeyPair *key = NULL;

  write_file("Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\n", 0640);
  assert_int_equal(key_read(path, &key), KEY_E_READABLE);
  assert_null(key);
  assert_non_null(strstr(key_error(KEY_E_READABLE), "chmod 600"));
  assert_int_equal(chmod(path, 0600), 0);
  assert_int_equal(key_read(path, &key), 0);
  key_unref(&key);
}

static void what_is_no_key_is_refused(void **state _unused_) {
  static const char *const rows[] = {"", "\n", "secret\n", "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID\n\n",
                                     "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI\n"};
  KeyPair *key = NULL;
  PublicKey public = {{7}};

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    write_file(rows[i], 0600);
    assert_int_equal(key_read(path, &key), KEY_E_NO_KEY);
  }
  assert_int_equal(key_read(folder, &key), KEY_E_NO_KEY);
  assert_int_equal(key_read("/nowhere/a.key", &key), -ENOENT);
  assert_null(key);
  assert_int_equal(public_key_read(TEXT("short"), &public), KEY_E_NO_KEY);
  assert_int_equal(public.bytes[0], 7);
  assert_string_equal(key_error(-ENOENT), "No such file or directory");
  assert_non_null(strstr(key_error(KEY_E_NO_KEY), "pons keys"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_teardown(a_key_is_what_was_written, drop_file),
      cmocka_unit_test(each_key_is_another),
      cmocka_unit_test_teardown(a_file_that_others_may_read_is_refused, drop_file),
      cmocka_unit_test_teardown(what_is_no_key_is_refused, drop_file),
  };

  return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
