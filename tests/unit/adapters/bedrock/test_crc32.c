/* The table and the sum, against the polynomial itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/bedrock/crc32.h"

/* Bit by bit. */
static uint32_t slowly(Bytes bytes) {
  uint32_t crc = UINT32_MAX;

  for (size_t i = 0; i < bytes.size; i++) {
    crc ^= bytes.data[i];
    for (unsigned bit = 0; bit < 8; bit++)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return ~crc;
}

static void each_remainder_is_right(void **state) {
  (void)state;
  for (unsigned n = 0; n < 256; n++) {
    uint8_t byte = (uint8_t)n;

    assert_int_equal(crc32_of((Bytes){&byte, 1}), slowly((Bytes){&byte, 1}));
  }
}

static void the_check_value_is_the_standard_s(void **state) {
  (void)state;
  assert_int_equal(crc32_of((Bytes){(const uint8_t *)"123456789", 9}), 0xcbf43926);
  assert_int_equal(crc32_of(BYTES_NONE), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_remainder_is_right),
      cmocka_unit_test(the_check_value_is_the_standard_s),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
