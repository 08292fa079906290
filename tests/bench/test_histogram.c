/* The histogram against sorted values: every figure of the bus benchmark's latency goes through it. */
#include "tests/bench/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

/* From 1 ns to beyond an hour, the same spread in every octave; a generator of Knuth's, so that runs are alike. */
static uint64_t value_at(uint32_t i) {
  uint64_t x = (i + 1) * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);

  return (x >> 20) >> (i % 43);
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

static void test_percentiles(void **state) {
  static Histogram histogram;
  static uint64_t sorted[10000];
  const double shares[] = {0, 0.01, 0.5, 0.9, 0.99, 0.999};

  (void)state;
  for (uint32_t i = 0; i < 10000; i++) {
    sorted[i] = value_at(i);
    histogram_add(&histogram, sorted[i]);
  }
  qsort(sorted, 10000, sizeof sorted[0], compare);
  for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
    uint64_t exact = sorted[(size_t)(shares[i] * 10000)];
    uint64_t got = histogram_percentile_ns(&histogram, shares[i]);

    assert_true(got >= exact);
    assert_true((double)got <= (double)exact * (1.0 + 1.0 / 64));
  }
}

static void test_extremes(void **state) {
  static Histogram histogram;

  (void)state;
  assert_int_equal(histogram_percentile_ns(&histogram, 0.5), 0);
  histogram_add(&histogram, 0);
  assert_int_equal(histogram_percentile_ns(&histogram, 0.5), 0);
  histogram_add(&histogram, UINT64_MAX);
  assert_true(histogram_percentile_ns(&histogram, 0.999) == UINT64_MAX);
  assert_int_equal(histogram.total, 2);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_percentiles), cmocka_unit_test(test_extremes)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
