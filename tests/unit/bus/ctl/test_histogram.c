/* Percentiles against sorted values, over nine powers of ten. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/ctl/histogram.h"

enum { VALUES = 20000 };

static uint64_t next_random(uint64_t *seed) {
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

static int compare(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

  return (x > y) - (x < y);
}

static void test_within_a_bucket(void **state _unused_) {
  static const uint32_t thousandths[] = {1, 100, 500, 900, 990, 999, 1000};
  static uint64_t values[VALUES];
  static Histogram histogram;
  uint64_t seed = 7;

  for (size_t i = 0; i < VALUES; i++) {
    values[i] = next_random(&seed) >> (next_random(&seed) % 32 + 30);
    histogram_push(&histogram, values[i]);
  }
  qsort(values, VALUES, sizeof values[0], compare);
  for (size_t i = 0; i < ELEMENTS(thousandths); i++) {
    uint64_t exact = values[(VALUES * thousandths[i] + 999) / 1000 - 1];
    uint64_t found = histogram_find(&histogram, thousandths[i]);

    assert_true(found >= exact);
    assert_true(found <= exact + exact / 31 + 1);
  }
  assert_int_equal(histogram.largest, values[VALUES - 1]);
}

static void test_edges(void **state _unused_) {
  static Histogram histogram;

  assert_int_equal(histogram_find(&histogram, 500), 0);
  histogram_push(&histogram, 0);
  assert_int_equal(histogram_find(&histogram, 999), 0);
  histogram_push(&histogram, 63);
  histogram_push(&histogram, 64);
  assert_int_equal(histogram_find(&histogram, 600), 63);
  assert_int_equal(histogram_find(&histogram, 1000), 64);
  histogram_push(&histogram, UINT64_MAX);
  assert_int_equal(histogram.total, 4);
  assert_int_equal(histogram.largest, UINT64_MAX);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_within_a_bucket),
      cmocka_unit_test(test_edges),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
