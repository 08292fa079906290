/* How far words are apart, and which of them is taken for a slip of the other. */
#include "bus/base/spelling.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

static void letters_are_inserted_dropped_and_changed(void **state _unused_) {
  static const struct {
    const char *a;
    const char *b;
    uint32_t distance;
  } rows[] = {
      {"", "", 0},
      {"listen", "listen", 0},
      {"", "abc", 3},
      {"lsten", "listen", 1},
      {"listem", "listen", 1},
      {"dwon", "down", 2},
      {"kitten", "sitting", 3},
      {"Listen", "listen", 1},
      {"abc", "xyz", 3},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Text a = text_of(rows[i].a);
    Text b = text_of(rows[i].b);

    assert_int_equal(spelling_distance(a, b), rows[i].distance);
    assert_int_equal(spelling_distance(b, a), rows[i].distance);
  }
}

static void long_words_are_not_compared(void **state _unused_) {
  char word[SPELLING_WORD_BYTES + 1];
  Text longest = {word, SPELLING_WORD_BYTES};
  Text longer = {word, SPELLING_WORD_BYTES + 1};

  memset(word, 'a', sizeof word);
  assert_int_equal(spelling_distance(longest, longest), 0);
  assert_int_equal(spelling_distance(longest, TEXT_NONE), SPELLING_WORD_BYTES);
  assert_int_equal(spelling_distance(longer, longest), SPELLING_FAR);
  assert_int_equal(spelling_distance(longest, longer), SPELLING_FAR);
  assert_false(spelling_is_near(longer, longer));
}

/* One letter, and one more for each four that the shorter word has; but never every letter of it. */
static void a_slip_is_near(void **state _unused_) {
  static const struct {
    const char *written;
    const char *meant;
    bool near;
  } rows[] = {
      {"endpoint", "endpoints", true},
      {"lsiten", "listen", true},
      {"endpoint", "end", false},
      {"site", "size", true},
      {"dir", "die", true},
      {"dir", "dot", false},
      {"a", "b", false},
      {"", "a", false},
      {"profile", "provider", false},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    assert_int_equal(spelling_is_near(text_of(rows[i].written), text_of(rows[i].meant)), rows[i].near);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(letters_are_inserted_dropped_and_changed),
      cmocka_unit_test(long_words_are_not_compared),
      cmocka_unit_test(a_slip_is_near),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
