/* Flags: found by name, the higher version wins, versions rise over leaders, bounded. */
#include "bus/core/flags.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka wants the above first */
#include <cmocka.h>

static Flag flag(const char *name, const char *value, uint64_t epoch, uint64_t counter) {
  return flag_of(text_of(name), text_of(value), (FlagVersion){epoch, counter});
}

static int put(Flags *flags, const char *name, const char *value, uint64_t epoch, uint64_t counter) {
  Flag one = flag(name, value, epoch, counter);

  return flags_put(flags, &one);
}

static void rows_are_found_in_order(void **state _unused_) {
  static const char *const names[] = {"echo", "a", "z", "ab", "b"};
  _cleanup_(flags_done) Flags flags = {0};

  for (size_t i = 0; i < ELEMENTS(names); i++)
    assert_int_equal(put(&flags, names[i], "on", 2, i + 1), 0);
  for (size_t i = 0; i < ELEMENTS(names); i++)
    assert_string_equal(flags_find(&flags, text_of(names[i]))->name, names[i]);
  for (uint32_t i = 1; i < flags.n; i++)
    assert_true(strcmp(flags.rows[i - 1].name, flags.rows[i].name) < 0);
  assert_null(flags_find(&flags, TEXT("abc")));
  assert_null(flags_find(&flags, TEXT("")));
}

static void the_higher_version_wins(void **state _unused_) {
  _cleanup_(flags_done) Flags flags = {0};

  assert_int_equal(put(&flags, "a", "one", 4, 2), 0);
  assert_int_equal(put(&flags, "a", "two", 4, 2), FLAGS_E_OLD);
  assert_int_equal(put(&flags, "a", "two", 4, 1), FLAGS_E_OLD);
  assert_int_equal(put(&flags, "a", "two", 3, 9), FLAGS_E_OLD);
  assert_string_equal(flags_find(&flags, TEXT("a"))->value, "one");
  assert_int_equal(put(&flags, "a", "two", 5, 1), 0);
  assert_string_equal(flags_find(&flags, TEXT("a"))->value, "two");
}

static void versions_rise_over_leaders(void **state _unused_) {
  _cleanup_(flags_done) Flags flags = {0};
  FlagVersion version = {7, 7};

  assert_int_equal(flags_next(&flags, TEXT("a"), 4, &version), 0);
  assert_int_equal(version.epoch, 4);
  assert_int_equal(version.counter, 1);
  assert_int_equal(flags_next(&flags, TEXT("a"), 4, &version), 0); /* the first may still be on its way to the disk */
  assert_int_equal(version.counter, 2);
  assert_int_equal(put(&flags, "b", "", 7, 3), 0);
  assert_int_equal(flags_next(&flags, TEXT("a"), 6, &version), FLAGS_E_BEHIND);
  assert_int_equal(version.counter, 2);
  assert_int_equal(flags_next(&flags, TEXT("a"), 7, &version), 0);
  assert_int_equal(version.counter, 4);
}

static void the_table_is_bounded(void **state _unused_) {
  _cleanup_(flags_done) Flags flags = {0};
  FlagVersion version = {0, 0};
  char name[16];

  for (unsigned i = 0; i < LIMIT_FLAGS; i++) {
    snprintf(name, sizeof name, "f%u", i);
    assert_int_equal(put(&flags, name, "", 2, i + 1), 0);
  }
  assert_int_equal(put(&flags, "more", "", 2, 5000), FLAGS_E_FULL);
  assert_int_equal(flags_next(&flags, TEXT("more"), 2, &version), FLAGS_E_FULL);
  assert_int_equal(version.epoch, 0);
  assert_int_equal(put(&flags, "f7", "again", 2, 5000), 0);
}

static void what_is_removed_keeps_its_row_until_others_need_it(void **state _unused_) {
  _cleanup_(flags_done) Flags flags = {0};
  FlagVersion version = {0, 0};
  Flag gone = flag("untouched", "", 1, 1);
  Flag removed = flag("f7", "", 2, 5000);
  char name[16];

  for (unsigned i = 0; i < LIMIT_FLAGS; i++) {
    snprintf(name, sizeof name, "f%u", i);
    assert_int_equal(put(&flags, name, "on", 2, i + 1), 0);
  }
  removed.removed = true;
  assert_int_equal(flags_put(&flags, &removed), 0);
  assert_int_equal(put(&flags, "f7", "on", 2, 8), FLAGS_E_OLD); /* a peer that has not heard of it */
  assert_int_equal(flags_count(&flags), LIMIT_FLAGS - 1);
  assert_true(flags_find(&flags, TEXT("f7"))->removed);
  assert_int_equal(flags_next(&flags, TEXT("more"), 2, &version), FLAGS_E_FULL); /* the peer may have it yet */
  assert_false(flags_forget(&flags, &gone));
  assert_string_equal(gone.name, "untouched");
  flags_note_told(&flags, TEXT("f7"), 30);
  flags_mark_copied_to(&flags, 29);
  assert_false(flags_forget(&flags, &gone));
  removed = flag("f9", "", 2, 5001);
  removed.removed = true;
  assert_int_equal(flags_put(&flags, &removed), 0);
  flags_mark_copied(&flags, (FlagVersion){2, 5001});
  flags_mark_copied_to(&flags, 30);
  flags_mark_copied(&flags, (FlagVersion){2, 1}); /* not removed: stays */
  assert_int_equal(flags_next(&flags, TEXT("more"), 2, &version), 0);
  assert_true(flags_forget(&flags, &gone));
  assert_string_equal(gone.name, "f7");
  assert_null(flags_find(&flags, TEXT("f7")));
  assert_int_equal(flags.n, LIMIT_FLAGS - 1);
  assert_non_null(flags_find(&flags, TEXT("f6")));
  assert_non_null(flags_find(&flags, TEXT("f8")));
  assert_int_equal(put(&flags, "more", "", version.epoch, version.counter), 0);
  assert_true(flags_forget(&flags, &gone));
  assert_string_equal(gone.name, "f9");
  assert_false(flags_forget(&flags, &gone));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(rows_are_found_in_order),
      cmocka_unit_test(the_higher_version_wins),
      cmocka_unit_test(versions_rise_over_leaders),
      cmocka_unit_test(the_table_is_bounded),
      cmocka_unit_test(what_is_removed_keeps_its_row_until_others_need_it),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
