/* The shelf over a disk that has gone bad, is full, or fails. */
#include "tests/unit/bus/broker/shelf_box.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { LARGE = 9 * BOX_MIB, FILE_BYTES = 256 << 10 };

/* --- disks that have gone bad --- */

/* The last place of mark; its first may be in a page of its own. */
static uint8_t *find_last(uint8_t *bytes, size_t size, const char *mark) {
  uint8_t *last = NULL;

  for (uint8_t *at = bytes; (at = memmem(at, size - (size_t)(at - bytes), mark, strlen(mark))); at++)
    last = at;
  return last;
}

/* Changes so many bytes in the middle of a body in the file: of a page, where SQLite has nothing of its own. */
static void spoil(const Box *box, uint64_t number, uint8_t flip, size_t count) {
  char mark[32];
  struct stat file;
  uint8_t *bytes;
  uint8_t *at;
  int fd = open(box->path, O_RDWR | O_CLOEXEC);

  snprintf(mark, sizeof mark, BOX_MARK, (unsigned)number);
  assert_true(fd >= 0 && fstat(fd, &file) == 0);
  bytes = mmap(NULL, (size_t)file.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  assert_ptr_not_equal(bytes, MAP_FAILED);
  close(fd);
  at = find_last(bytes, (size_t)file.st_size, mark);
  assert_non_null(at);
  at = bytes + ((size_t)(at - bytes - BOX_MIB / 2) & ~(size_t)4095) + 1024;
  for (size_t i = 0; i < count; i++)
    at[i] ^= flip;
  munmap(bytes, (size_t)file.st_size);
}

/* One bit of the first body, or a whole sector. */
static void what_is_damaged_is_named_at_the_start(void **state) {
  Box *box = *state;

  box_put(box, 1, BOX_MIB);
  box_put(box, 2, BOX_MIB);
  box_put(box, 3, BOX_MIB);
  box_settle(box);
  box_close_store(box);
  spoil(box, 1, 0x10, 1);
  spoil(box, 3, 0xff, 512);
  box_open_store(box);
  assert_string_equal(box->damage, "[body/1234567890abcdef-1][body/1234567890abcdef-3]");
  box_expect_none(box, 1, "checksum");
  box_expect_none(box, 3, "checksum");
  box_expect_body(box, 2, BOX_MIB);
}

static void a_bit_that_flips_while_it_runs(void **state) {
  Box *box = *state;

  box_put(box, 1, BOX_MIB);
  box_put(box, 2, LARGE); /* there is no more room for the first in SQLite's own memory */
  box_settle(box);
  box_begin_anew(box);
  box_expect_body(box, 2, LARGE);
  spoil(box, 1, 0x01, 1);
  box_expect_none(box, 1, "checksum");
  assert_false(box_is_in_memory(box, 1));
  box_expect_body(box, 2, LARGE);
}

/* --- disks that take no more --- */

static bool has_failed(void *userdata) {
  return ((Box *)userdata)->failed;
}

/* A file that may not grow: after that nothing is written any more, and what is in memory can be had. */
static void a_disk_that_fails(void **state) {
  Box *box = *state;
  struct rlimit before;

  box_put(box, 1, 1000);
  box_settle(box);
  signal(SIGXFSZ, SIG_IGN);
  assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &(struct rlimit){FILE_BYTES, before.rlim_max}), 0);
  box_put(box, 2, BOX_MIB);
  assert_int_equal(loop_run_until(box->loop, has_failed, box, clock_monotonic_us() + BOX_DEADLINE_US), 0);
  assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
  box_expect_body(box, 2, BOX_MIB);
  assert_int_equal(box_try_to_put(box, 3, 10), -EIO);
  assert_false(box_is_in_memory(box, 3));
  assert_int_equal(shelf_drop(box->shelf, box_id_of(2), SHELF_BODY, &box->serial), -EIO);
  assert_false(box_is_in_memory(box, 2));
  box_expect_body(box, 1, 1000);
  box_close_store(box);
  box_open_store(box);
  box_expect_body(box, 1, 1000);
  box_expect_none(box, 2, "");
}

static bool is_full(void *userdata) {
  return ((Box *)userdata)->full;
}

static bool make_disk(const Box *box, const char *options) {
  return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
         mount("none", box->folder, "tmpfs", 0, options) == 0;
}

/* What waits for room stays in memory, over the bound too, and what is over the store's bound is not taken. */
static void a_full_disk(void **state) {
  Box *box = *state;
  uint64_t n = 0;
  int r;

  box_close_store(box);
  if (!make_disk(box, "size=1m")) {
    box_open_store(box);
    skip();
  }
  box_open_store(box);
  box_put(box, n++, 1000);
  box_settle(box);
  while ((r = box_try_to_put(box, n, LARGE)) == 0)
    n++;
  assert_int_equal(r, -ENOBUFS);
  assert_true((n - 1) * LARGE > SHELF_BYTES);
  assert_false(box_is_in_memory(box, n));
  assert_int_equal(loop_run_until(box->loop, is_full, box, clock_monotonic_us() + BOX_DEADLINE_US), 0);
  for (uint64_t i = 1; i < n; i++)
    assert_true(box_is_in_memory(box, i));
  assert_int_equal(mount("none", box->folder, "tmpfs", MS_REMOUNT, "size=256m"), 0);
  box_settle(box);
  assert_false(box_is_in_memory(box, 1));
  for (uint64_t i = 1; i < n; i++)
    box_expect_body(box, i, LARGE);
  box_close_store(box);
  assert_int_equal(umount(box->folder), 0);
  box_open_store(box);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(what_is_damaged_is_named_at_the_start, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(a_bit_that_flips_while_it_runs, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(a_disk_that_fails, box_set_up, box_tear_down),
      cmocka_unit_test_setup_teardown(a_full_disk, box_set_up, box_tear_down),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
