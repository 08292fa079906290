/* Levels by name, and which lines reach the sink in which form. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "bus/base/log.h"

static unsigned lines;
static LogLevel last_level;
static char last_event[64];
static char last_text[2048];

static void on_line(LogLevel level, const char *event, const char *text) {
  lines++;
  last_level = level;
  snprintf(last_event, sizeof last_event, "%s", event);
  snprintf(last_text, sizeof last_text, "%s", text);
}

static void test_level_names(void **state _unused_) {
  static const LogLevel levels[] = {LOG_LEVEL_ERROR, LOG_LEVEL_WARNING, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG};

  for (size_t i = 0; i < ELEMENTS(levels); i++) {
    LogLevel level = LOG_LEVEL_ERROR;

    assert_int_equal(log_level_parse(log_level_name(levels[i]), &level), 0);
    assert_int_equal(level, levels[i]);
  }
}

static void test_level_refused(void **state _unused_) {
  static const char *const names[] = {"", "Error", "warn", "debug ", "4"};

  for (size_t i = 0; i < ELEMENTS(names); i++) {
    LogLevel level = LOG_LEVEL_WARNING;

    assert_int_equal(log_level_parse(names[i], &level), -EINVAL);
    assert_int_equal(level, LOG_LEVEL_WARNING);
  }
}

static void test_sink_gets_what_passes_the_level(void **state _unused_) {
  log_setup(LOG_LEVEL_WARNING, on_line);
  lines = 0;
  log_info("PONS-TEST-INFO", "not %s", "seen");
  log_debug("PONS-TEST-DEBUG", "not seen");
  assert_int_equal(lines, 0);
  log_warning("PONS-TEST-WARNING", "%d of %d", 1, 2);
  assert_int_equal(lines, 1);
  assert_int_equal(last_level, LOG_LEVEL_WARNING);
  assert_string_equal(last_event, "PONS-TEST-WARNING");
  assert_string_equal(last_text, "1 of 2");
  log_error("PONS-TEST-ERROR", "x");
  assert_int_equal(last_level, LOG_LEVEL_ERROR);
  log_setup(LOG_LEVEL_INFO, NULL);
}

static void test_long_text_is_cut(void **state _unused_) {
  char text[4000];

  memset(text, 'a', sizeof text - 1);
  text[sizeof text - 1] = '\0';
  log_setup(LOG_LEVEL_INFO, on_line);
  log_info("PONS-TEST-LONG", "%s", text);
  assert_in_range(strlen(last_text), 500, 1024);
  log_setup(LOG_LEVEL_INFO, NULL);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_level_names),
      cmocka_unit_test(test_level_refused),
      cmocka_unit_test(test_sink_gets_what_passes_the_level),
      cmocka_unit_test(test_long_text_is_cut),
  };

  return cmocka_run_group_tests_name("bus/base/log", tests, NULL, NULL);
}
