/* Topics, patterns, what fits them, and patterns that cover other patterns. */
#include "bus/wire/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

static void topics_and_patterns(void **state _unused_) {
  static const struct {
    const char *pattern;
    const char *topic;
    bool fits;
  } cases[] = {
      {"a.b", "a.b", true},   {"a.b", "a.c", false},    {"a.b", "a", false},     {"a", "a.b", false},
      {"a.*", "a.b", true},   {"a.*", "a.b.c", false},  {"*.b", "a.b", true},    {"a.>", "a.b", true},
      {"a.>", "a.b.c", true}, {"a.>", "a", false},      {">", "a", true},        {">", "a.b.c", true},
      {"*", "a.b", false},    {"a.*.c", "a.b.c", true}, {"a.*.c", "a.b", false},
  };

  for (size_t i = 0; i < ELEMENTS(cases); i++)
    assert_int_equal(topic_matches(text_of(cases[i].pattern), text_of(cases[i].topic)), cases[i].fits);
  assert_true(topic_is_valid(TEXT("a.b-c.D_1")));
  assert_false(topic_is_valid(TEXT("")));
  assert_false(topic_is_valid(TEXT("a..b")));
  assert_false(topic_is_valid(TEXT(".a")));
  assert_false(topic_is_valid(TEXT("a.")));
  assert_false(topic_is_valid(TEXT("a.*")));
  assert_false(topic_is_valid(TEXT("a b")));
  assert_true(topic_pattern_is_valid(TEXT("a.*.>")));
  assert_false(topic_pattern_is_valid(TEXT("a.>.b")));
  assert_false(topic_pattern_is_valid(TEXT("a*")));
}

static void a_pattern_covers_what_fits_less(void **state _unused_) {
  static const struct {
    const char *pattern;
    const char *other;
    bool covers;
  } rows[] = {{">", "a", true},        {">", ">", true},     {">", "a.*.b", true}, {"a.>", "a.>", true},
              {"a.>", "a.b.>", true},  {"a.>", "a.*", true}, {"a.>", "a", false},  {"a.>", ">", false},
              {"a.>", "*.b", false},   {"a.*", "a.b", true}, {"a.*", "a.*", true}, {"a.*", "a.>", false},
              {"a.*", "a.b.c", false}, {"*", "a", true},     {"*", ">", false},    {"a.b", "a.b", true},
              {"a.b", "a.*", false},   {"a.b", "a", false},  {"*.b", "a.b", true}, {"*.b", "*.b", true}};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    if (topic_covers(text_of(rows[i].pattern), text_of(rows[i].other)) != rows[i].covers)
      fail_msg("%s and %s", rows[i].pattern, rows[i].other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(topics_and_patterns),
      cmocka_unit_test(a_pattern_covers_what_fits_less),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
