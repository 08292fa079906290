/* What a director says where there is no fleet, and that it hears who interrupts. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/drill/director.h"

static const DirectorOptions nowhere = {.places = {{"here", "ipc:///nowhere/bus", -1}},
                                        .endpoints = "ipc:///nowhere/bus",
                                        .rate = 1,
                                        .length_us = 3000000,
                                        .deadline_us = 1000000,
                                        .patience_us = 300000};

static DirectorOptions with_drill(const char *name, uint64_t patience_us) {
  DirectorOptions options = nowhere;

  options.drill = drill_find(name);
  options.patience_us = patience_us;
  return options;
}

static void test_no_fleet(void **state _unused_) {
  _cleanup_(buffer_done) Buffer errors = {0};
  const DirectorOptions options = with_drill("broker-kill", 300000);
  Report *report = NULL;

  assert_int_equal(director_run(&options, 1, &errors, &report), -ETIMEDOUT);
  assert_null(report);
  buffer_append(&errors, "", 1);
  assert_non_null(strstr((const char *)errors.data, "the preferred broker does not answer"));
}

static void test_interrupted(void **state _unused_) {
  _cleanup_(buffer_done) Buffer errors = {0};
  const DirectorOptions options = with_drill("broker-kill", 60000000);
  Report *report = NULL;

  loop_block_signals();
  raise(SIGTERM);
  assert_int_equal(director_run(&options, 1, &errors, &report), DIRECTOR_E_INTERRUPTED);
  assert_null(report);
  assert_int_equal(errors.size, 0);
}

static void test_the_table(void **state _unused_) {
  static const char *const names[] = {"broker-kill", "broker-freeze", "link-cut", "link-cut-oneway", "upgrade", "hub"};

  for (size_t i = 0; i < ELEMENTS(names); i++)
    assert_non_null(drill_find(names[i]));
  assert_null(drill_find("no-such-drill"));
  for (size_t i = 0; drill_at(i); i++)
    assert_ptr_equal(drill_find(drill_at(i)->name), drill_at(i));
  assert_null(drill_find("hub")->begin);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_no_fleet),
      cmocka_unit_test(test_interrupted),
      cmocka_unit_test(test_the_table),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
