/* Bytes as text, there and back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bus/base/base64.h"

/* RFC 4648, section 10, and every byte there is. */
static void there_and_back(void **state _unused_) {
  static const char *const rows[][2] = {{"", ""},
                                        {"f", "Zg=="},
                                        {"fo", "Zm8="},
                                        {"foo", "Zm9v"},
                                        {"foob", "Zm9vYg=="},
                                        {"fooba", "Zm9vYmE="},
                                        {"foobar", "Zm9vYmFy"}};
  uint8_t all[256];
  _cleanup_(buffer_done) Buffer text = {0};
  _cleanup_(buffer_done) Buffer back = {0};

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    buffer_clear(&text);
    buffer_clear(&back);
    base64_put(&text, (Bytes){(const uint8_t *)rows[i][0], strlen(rows[i][0])});
    assert_true(text_is((Text){(const char *)text.data, text.size}, rows[i][1]));
    assert_true(base64_get(text_of(rows[i][1]), &back));
    assert_true(text_is((Text){(const char *)back.data, back.size}, rows[i][0]));
  }
  for (size_t i = 0; i < sizeof all; i++)
    all[i] = (uint8_t)i;
  buffer_clear(&text);
  buffer_clear(&back);
  base64_put(&text, (Bytes){all, sizeof all});
  assert_true(base64_get((Text){(const char *)text.data, text.size}, &back));
  assert_int_equal(back.size, sizeof all);
  assert_memory_equal(back.data, all, sizeof all);
}

static void what_is_none(void **state _unused_) {
  static const char *const rows[] = {"Z", "Zm9vY", "Zm 9v", "Zm9v-_==", "=Zg=", "Zm9v===="};

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer back = {0};

    assert_false(base64_get(text_of(rows[i]), &back));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(there_and_back), cmocka_unit_test(what_is_none)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
