/* When to come again, in each form that providers have for it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/dialect/retry_after.h"

#define NOW_S UINT64_C(1700000000) /* Tue, 14 Nov 2023 22:13:20 GMT */
#define HOUR_US UINT64_C(3600000000)

static void each_form(void **state) {
  static const struct {
    const char *seconds;
    const char *ms;
    uint64_t us;
  } rows[] = {
      {"7", "", 7000000},
      {"0.25", "", 250000},
      {"", "300", 300000},
      {"", "12.5", 12500},
      {"7", "300", 300000}, /* the finer one goes before */
      {"7", "nonsense", 7000000},
      {"Tue, 14 Nov 2023 22:13:29 GMT", "", 9000000},
      {"Tuesday, 14-Nov-23 22:13:29 GMT", "", 9000000}, /* RFC 850's */
      {"Tue Nov 14 22:13:29 2023", "", 9000000},        /* asctime's */
      {"Tue, 14 Nov 2023 22:13:20 GMT", "", 0},         /* now */
      {"Tue, 14 Nov 2023 22:13:11 GMT", "", 0},         /* over */
      {"Fri, 31 Dec 2100 23:59:59 GMT", "", HOUR_US},
      {"3600", "", HOUR_US},
      {"86400", "", HOUR_US}, /* nobody is told to wait longer */
      {"99999999999999999999999", "", HOUR_US},
      {"", "", 0},
      {"0", "", 0},
      {"-1", "", 0},
      {"soon", "", 0},
      {"7s", "", 0},
      {"0x10", "", 0},
      {"1e3", "", 0},
      {"1.2.3", "", 0},
      {"nan", "", 0},
      {"Tue, 14 Nov 2023 22:13:29 GMT and more", "", 0},
      {"12345678901234567890123456789012345678901234567890", "", 0},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    uint64_t us = retry_after_us(text_of(rows[i].seconds), text_of(rows[i].ms), NOW_S);

    if (us != rows[i].us)
      fail_msg("'%s' '%s': %llu", rows[i].seconds, rows[i].ms, (unsigned long long)us);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_form)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
