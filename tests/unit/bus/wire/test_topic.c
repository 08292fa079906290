/* Patterns of topics that cover other patterns. What fits a topic: tests/unit/bus/core/test_events.c. */
#include "bus/wire/topic.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

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
      cmocka_unit_test(a_pattern_covers_what_fits_less),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
