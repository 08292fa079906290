/* CRC-32C against the vectors of RFC 3720, B.4. */
#include "bus/store/crc.h"

#include <setjmp.h>
#include <stdarg.h>
/* cmocka wants the above first */
#include <cmocka.h>

static void vectors_of_the_rfc(void **state _unused_) {
  uint8_t bytes[32];

  memset(bytes, 0, sizeof bytes);
  assert_int_equal(crc_add(0, (Bytes){bytes, sizeof bytes}), 0x8A9136AA);
  memset(bytes, 0xff, sizeof bytes);
  assert_int_equal(crc_add(0, (Bytes){bytes, sizeof bytes}), 0x62A8AB43);
  for (uint8_t i = 0; i < 32; i++)
    bytes[i] = i;
  assert_int_equal(crc_add(0, (Bytes){bytes, sizeof bytes}), 0x46DD794E);
}

static void in_parts_as_in_one(void **state _unused_) {
  Bytes whole = {(const uint8_t *)"123456789", 9};

  assert_int_equal(crc_add(0, whole), 0xE3069283);
  assert_int_equal(crc_add(crc_add(0, (Bytes){whole.data, 4}), (Bytes){whole.data + 4, 5}), 0xE3069283);
  assert_int_equal(crc_add(0, BYTES_NONE), 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(vectors_of_the_rfc),
      cmocka_unit_test(in_parts_as_in_one),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
