/* Samples whose figures are known by hand; text, JSON and timeline against tests/golden/drill. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/drill/report.h"

#define LITERAL(words) (words), sizeof(words) - 1

enum { START = 5000000, LENGTH = 3000000, RATE = 100, COUNT = 300, STEP = 10000 };

static const ReportTimes times = {START, START + 1000000, START + 1000000, LENGTH};
static const LoadOptions here = {.name = "mainpc", .kind = LOAD_ONCE, .rate = RATE};

static const Stall stalls[] = {
    {START - 9000, START - 1000}, {START + 900000, START + 995000}, {START + 1100000, START + 1130000}};

/* Every request is answered after 1 ms. */
static void make_calm(LoadSample *samples) {
  for (uint64_t i = 0; i < COUNT; i++)
    samples[i] = (LoadSample){.due_us = START + i * STEP, .end_us = START + i * STEP + 1000, .status = STATUS_OK};
}

static Report *make_report(const char *drill, const LoadSample *samples, uint64_t done) {
  Report *report = report_new(drill_find(drill), 1, &times, "kill -9 of the preferred broker");

  report_add_stalls(report, stalls, ELEMENTS(stalls), START);
  report_add_load(report, &here, samples, COUNT, done, START);
  report_add_lead(report, (ReportLead){0, 0, true, 2}, START);
  report_add_lead(report, (ReportLead){START + 1020000, 1, true, 3}, START);
  report_add_lead(report, (ReportLead){START + 1040000, 0, false, 2}, START);
  report_add_lead(report, (ReportLead){START + LENGTH + 1, 0, true, 4}, START);
  report_judge(report, true);
  return report;
}

static void expect_finding(const Report *report, const char *words) {
  Text line;

  for (size_t at = 0; report_next_finding(report, &at, &line);)
    if (text_is(line, words))
      return;
  fail_msg("\"%s\" is not among %.*s", words, (int)report->findings.size, (const char *)report->findings.data);
}

static void test_calm(void **state _unused_) {
  static LoadSample samples[COUNT];

  make_calm(samples);
  _cleanup_(report_destroy) Report *report = make_report("broker-kill", samples, COUNT);
  const ReportLoad *load = &report->loads[0];

  assert_true(report_is_passed(report));
  assert_int_equal(load->sent, COUNT);
  assert_int_equal(load->answered, COUNT);
  assert_int_equal(load->unknown + load->lost + load->failed + load->twice, 0);
  assert_int_equal(load->pause_us, STEP);
  assert_int_equal(load->pause_calm_us, STEP);
  assert_int_equal(load->phases[REPORT_BEFORE].count, 100);
  assert_int_equal(load->phases[REPORT_DURING].count, 100);
  assert_int_equal(load->phases[REPORT_AFTER].count, 100);
  assert_int_equal(load->phases[REPORT_AFTER].p99_us, 1000);
  assert_int_equal(report->lead_count, 3); /* the fourth came behind the end */
  assert_int_equal(report->buckets[0].answered, 1);
}

static void test_each_end_has_its_count(void **state _unused_) {
  static LoadSample samples[COUNT];

  make_calm(samples);
  samples[10] = (LoadSample){samples[10].due_us, 0, 0, LOAD_UNANSWERED};
  samples[11].status = STATUS_DEADLINE;
  samples[12].status = STATUS_UNKNOWN;
  samples[13].status = STATUS_NO_SERVICE;
  samples[14].status = STATUS_OVERLOADED;
  _cleanup_(report_destroy) Report *report = make_report("broker-kill", samples, COUNT + 3);
  const ReportLoad *load = &report->loads[0];

  assert_false(report_is_passed(report));
  assert_int_equal(load->answered, COUNT - 5);
  assert_int_equal(load->lost, 2);
  assert_int_equal(load->unknown, 1);
  assert_int_equal(load->failed, 2);
  assert_int_equal(load->twice, 3);
  assert_int_equal(load->by_status[STATUS_NO_SERVICE], 1);
  expect_finding(report, "2 of 300 requests from mainpc (once) were lost");
  expect_finding(report, "1 of 300 requests from mainpc (once) ended UNKNOWN");
  expect_finding(report, "2 of 300 requests from mainpc (once) failed");
  expect_finding(report, "3 of 300 requests from mainpc (once) were done twice");
}

/* From the event on nothing is answered for 200 ms; what was asked meanwhile comes then. */
static void make_pause(LoadSample *samples) {
  make_calm(samples);
  for (uint32_t i = 100; i < 120; i++)
    samples[i].end_us = START + 1200000;
}

static void test_a_pause(void **state _unused_) {
  static LoadSample samples[COUNT];

  make_pause(samples);
  _cleanup_(report_destroy) Report *report = make_report("broker-kill", samples, COUNT);
  const ReportLoad *load = &report->loads[0];

  assert_int_equal(load->pause_us, 1200000 - 991000);
  assert_int_equal(load->pause_at_us, 991000);
  assert_int_equal(load->pause_still_us, 4000 + 30000);
  assert_int_equal(load->pause_calm_us, STEP);
  assert_int_equal(load->phases[REPORT_DURING].max_us, 200000);
  assert_int_equal(load->worst_us, 200000);
  assert_int_equal(load->phases[REPORT_BEFORE].max_us, 1000);
  expect_finding(report, "longest pause at mainpc: 209.0 ms, bound 50 ms; before the event 10.0 ms; the machine stood "
                         "still for 34.0 ms of it");
  expect_finding(report, "worst latency at mainpc: 200.0 ms, bound 50 ms; before the event 1.0 ms");
}

static void test_times_may_be_left_alone(void **state _unused_) {
  static LoadSample samples[COUNT];

  make_pause(samples);
  _cleanup_(report_destroy) Report *report = report_new(drill_find("broker-kill"), 1, &times, "x");

  report_add_load(report, &here, samples, COUNT, COUNT, START);
  report_judge(report, false);
  assert_true(report_is_passed(report));
}

static void test_nothing_but_silence(void **state _unused_) {
  static LoadSample samples[COUNT];

  make_calm(samples);
  for (uint32_t i = 100; i < COUNT; i++)
    samples[i] = (LoadSample){samples[i].due_us, 0, 0, LOAD_UNANSWERED};
  _cleanup_(report_destroy) Report *report = make_report("broker-kill", samples, 100);

  assert_int_equal(report->loads[0].pause_us, 2990000 - 991000);
  assert_int_equal(report->loads[0].lost, 200);
  assert_int_equal(report->loads[0].phases[REPORT_AFTER].count, 0);

  _cleanup_(report_destroy) Report *empty = report_new(drill_find("broker-kill"), 1, &times, "x");

  assert_false(empty->is_watched);
  report_add_load(empty, &here, samples, 0, 0, START);
  report_judge(empty, true);
  expect_finding(empty, "nothing was asked from mainpc");
}

static void test_an_event_that_outlasts_the_load(void **state _unused_) {
  static const ReportTimes late = {START, START + 1000000, START + LENGTH + 500000, LENGTH};
  static LoadSample samples[COUNT];

  make_calm(samples);
  _cleanup_(report_destroy) Report *report = report_new(drill_find("upgrade"), 1, &late, "x");

  report_add_load(report, &here, samples, COUNT, COUNT, START);
  report_judge(report, false);
  expect_finding(report, "the event lasted longer than the load: give it --seconds 5 or more");
}

static void test_the_worst(void **state _unused_) {
  static LoadSample calm[COUNT], paused[COUNT], lossy[COUNT];

  make_calm(calm);
  make_pause(paused);
  make_calm(lossy);
  lossy[5].status = STATUS_UNKNOWN;
  _cleanup_(report_destroy) Report *first = make_report("broker-freeze", calm, COUNT);
  _cleanup_(report_destroy) Report *second = make_report("broker-freeze", paused, COUNT);
  _cleanup_(report_destroy) Report *third = make_report("broker-freeze", lossy, COUNT);
  Report *all[] = {first, second, third};

  assert_true(report_is_passed(second)); /* a frozen broker may cost that much */
  assert_ptr_equal(report_worst(all, 1), first);
  assert_ptr_equal(report_worst(all, 2), second);
  assert_ptr_equal(report_worst(all, 3), third);
  assert_null(report_worst(all, 0));
}

/* --- as it is printed --- */

static void expect_golden(const char *file, const Buffer *got) {
  char path[512];
  char old[65536];
  size_t size;
  FILE *stream;

  snprintf(path, sizeof path, "%s/tests/golden/drill/%s", PONS_SOURCE_DIR, file);
  if (getenv("PONS_TEST_UPDATE")) {
    stream = fopen(path, "w");
    assert_non_null(stream);
    fwrite(got->data, 1, got->size, stream);
    fclose(stream);
    return;
  }
  stream = fopen(path, "r");
  assert_non_null(stream);
  size = fread(old, 1, sizeof old, stream);
  fclose(stream);
  if (size != got->size || memcmp(old, got->data, size) != 0)
    fail_msg("%s is not what is printed:\n%.*s", path, (int)got->size, (const char *)got->data);
}

static void test_printed(void **state _unused_) {
  static LoadSample calm[COUNT], paused[COUNT];
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(buffer_done) Buffer json = {0};
  _cleanup_(buffer_done) Buffer svg = {0};

  make_calm(calm);
  make_pause(paused);
  paused[7].status = STATUS_UNKNOWN;
  _cleanup_(report_destroy) Report *first = make_report("broker-kill", calm, COUNT);
  _cleanup_(report_destroy) Report *second = make_report("broker-kill", paused, COUNT);
  Report *all[] = {first, second};

  second->run = 2;
  report_print_text(all, 2, &text);
  expect_golden("report.txt", &text);
  report_print_json(all, 2, &json);
  expect_golden("report.json", &json);
  report_print_svg(second, &svg);
  expect_golden("report.svg", &svg);
}

/* A time is judged where times are; two at once always. */
static void test_moves_of_a_lease(void **state _unused_) {
  static LoadSample samples[COUNT];
  ReportMove move = {"the holder is killed", START + 1000000, 2100000, 2100000, false};
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(report_destroy) Report *good = report_new(drill_find("singleton"), 1, &times, "killed");
  _cleanup_(report_destroy) Report *late = report_new(drill_find("singleton"), 2, &times, "killed");
  _cleanup_(report_destroy) Report *twice = report_new(drill_find("singleton"), 3, &times, "killed");
  Report *all[] = {good, late};

  make_calm(samples);
  for (int i = 0; i < 3; i++)
    report_add_load((Report *[]){good, late, twice}[i], &here, samples, COUNT, COUNT, START);
  report_add_move(good, move, START);
  report_judge(good, true);
  assert_true(report_is_passed(good));
  assert_int_equal(good->moves[0].at_us, 1000000);
  move.away_us++;
  for (int i = 0; i <= REPORT_MOVES_MAX; i++)
    report_add_move(late, move, START);
  assert_int_equal(late->move_count, REPORT_MOVES_MAX);
  report_judge(late, false);
  assert_true(report_is_passed(late));
  report_judge(late, true);
  expect_finding(late, "nobody held the lease for 2100.0 ms, bound 2100 ms: the holder is killed");
  assert_ptr_equal(report_worst(all, 2), late);
  move.twice = true;
  report_add_move(twice, move, START);
  report_judge(twice, false);
  expect_finding(twice, "two held the lease at one time: the holder is killed");
  report_print_json(&twice, 1, &text);
  assert_non_null(
      memmem(text.data, text.size,
             LITERAL("\"moves\": [{\"what\": \"the holder is killed\", \"at_us\": 1000000, \"away_us\": 2100001, "
                     "\"bound_us\": 2100000, \"twice\": true}]")));
  report_print_text(&twice, 1, &text);
  assert_non_null(memmem(text.data, text.size, LITERAL("TWO HELD IT AT ONE TIME")));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_calm),
      cmocka_unit_test(test_each_end_has_its_count),
      cmocka_unit_test(test_a_pause),
      cmocka_unit_test(test_times_may_be_left_alone),
      cmocka_unit_test(test_nothing_but_silence),
      cmocka_unit_test(test_an_event_that_outlasts_the_load),
      cmocka_unit_test(test_the_worst),
      cmocka_unit_test(test_printed),
      cmocka_unit_test(test_moves_of_a_lease),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
