/* Forms with files, and bytes as text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/dialect/multipart.h"
#include "bus/base/base64.h"

#define BYTES(literal) ((Bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

static void assert_bytes(const Buffer *got, const char *expected) {
  if (got->size != strlen(expected) || (got->size > 0 && memcmp(got->data, expected, got->size) != 0))
    fail_msg("wanted\n%s\ngot\n%.*s", expected, (int)got->size, (const char *)got->data);
}

static void a_form_has_fields_and_files(void **state) {
  const Bytes values[] = {BYTES("m"), BYTES("a\r\n\0b")};
  _cleanup_(buffer_done) Buffer out = {0};
  char type[96];
  Multipart form = multipart_begin(values, 2, 0, &out);

  (void)state;
  multipart_put(&form, "model", values[0]);
  multipart_put_file(&form, "file", TEXT("a\"\r\n.wav"), "audio/wav", values[1]);
  multipart_end(&form, type, sizeof type);
  assert_string_equal(type, "multipart/form-data; boundary=pons-form-0000000000000000");
  for (size_t i = 0; i < out.size; i++)
    out.data[i] = out.data[i] ? out.data[i] : '0';
  assert_bytes(&out, "--pons-form-0000000000000000\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n"
                     "--pons-form-0000000000000000\r\nContent-Disposition: form-data; name=\"file\"; "
                     "filename=\"a%22%0D%0A.wav\"\r\nContent-Type: audio/wav\r\n\r\na\r\n0b\r\n"
                     "--pons-form-0000000000000000--\r\n");
}

static void a_boundary_is_in_no_value(void **state) {
  const Bytes values[] = {BYTES("x pons-form-0000000000000000"), {NULL, 0}, BYTES("pons-form-0000000000000001")};
  _cleanup_(buffer_done) Buffer out = {0};

  (void)state;
  assert_string_equal(multipart_begin(values, 3, 0, &out).boundary, "pons-form-0000000000000002");
  assert_string_equal(multipart_begin(values, 3, 1, &out).boundary, "pons-form-0000000000000002");
  assert_string_equal(multipart_begin(values, 3, UINT64_MAX, &out).boundary, "pons-form-ffffffffffffffff");
}

static void bytes_become_base64(void **state) {
  static const struct {
    Bytes bytes;
    const char *text;
  } rows[] = {{{NULL, 0}, ""},
              {BYTES("f"), "Zg=="},
              {BYTES("fo"), "Zm8="},
              {BYTES("foo"), "Zm9v"},
              {BYTES("foob"), "Zm9vYg=="},
              {BYTES("\xff\xfe\xfd"), "//79"},
              {BYTES("foobar"), "Zm9vYmFy"}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer out = {0};

    base64_put(&out, rows[i].bytes);
    assert_bytes(&out, rows[i].text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_form_has_fields_and_files),
      cmocka_unit_test(a_boundary_is_in_no_value),
      cmocka_unit_test(bytes_become_base64),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
