/* Keys as text: the example of the RFC, and what is no key. */
#include "bus/zmtp/z85.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

/* The client's public key of RFC 26's example. */
static const char text[] = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
static const uint8_t key[CURVE_KEY_BYTES] = {0xbb, 0x88, 0x47, 0x1d, 0x65, 0xe2, 0x65, 0x9b, 0x30, 0xc5, 0x5a,
                                             0x53, 0x21, 0xce, 0xbb, 0x5a, 0xab, 0x2b, 0x70, 0xa3, 0x98, 0x64,
                                             0x5c, 0x26, 0xdc, 0xa2, 0xb2, 0xfc, 0xb4, 0x3f, 0xc5, 0x18};

static void a_key_comes_back(void **state _unused_) {
  uint8_t decoded[CURVE_KEY_BYTES];
  char encoded[Z85_KEY_SIZE];

  assert_string_equal(z85_encode(key, encoded), text);
  assert_int_equal(z85_decode(text_of(text), decoded), 0);
  assert_memory_equal(decoded, key, sizeof key);
  memset(decoded, 0xff, sizeof decoded);
  z85_encode(decoded, encoded);
  memset(decoded, 0, sizeof decoded);
  assert_int_equal(z85_decode(text_of(encoded), decoded), 0);
  assert_int_equal(decoded[31], 0xff);
}

static void what_is_no_key_is_refused(void **state _unused_) {
  static const char *const rows[] = {
      "",
      "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI",
      "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hIDD",
      "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hI\"",
      "#####w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID", /* five digits of more than 32 bits */
  };
  uint8_t decoded[CURVE_KEY_BYTES] = {7};

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    assert_int_equal(z85_decode(text_of(rows[i]), decoded), Z85_E_NO_KEY);
  assert_int_equal(decoded[0], 7);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_key_comes_back),
      cmocka_unit_test(what_is_no_key_is_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
