#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/wire/msgpack.h"

#define BYTES(...) ((Bytes){(const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})})

static void assert_bytes(const Buffer *buffer, Bytes wanted) {
  assert_int_equal(buffer->size, wanted.size);
  assert_memory_equal(buffer->data, wanted.data, wanted.size);
}

static void uints_take_the_smallest_encoding(void **state) {
  static const struct {
    uint64_t value;
    size_t size;
  } cases[] = {{0, 1},
               {127, 1},
               {128, 2},
               {255, 2},
               {256, 3},
               {UINT16_MAX, 3},
               {UINT16_MAX + 1, 5},
               {UINT32_MAX, 5},
               {UINT64_C(1) << 32, 9},
               {UINT64_MAX, 9}};
  _cleanup_(buffer_done) Buffer buffer = {0};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    uint64_t value = 7;
    MsgpackReader reader;

    buffer_clear(&buffer);
    msgpack_put_uint(&buffer, cases[i].value);
    assert_int_equal(buffer.size, cases[i].size);
    reader = msgpack_reader(buffer_bytes(&buffer));
    assert_int_equal(msgpack_get_uint(&reader, &value), 0);
    assert_true(value == cases[i].value);
    assert_true(msgpack_at_end(&reader));
  }
}

static void ints_take_the_smallest_encoding(void **state) {
  static const struct {
    int64_t value;
    size_t size;
  } cases[] = {{-1, 1},
               {-32, 1},
               {-33, 2},
               {-128, 2},
               {-129, 3},
               {INT16_MIN, 3},
               {INT16_MIN - 1, 5},
               {INT32_MIN, 5},
               {INT32_MIN - INT64_C(1), 9},
               {INT64_MIN, 9},
               {5, 1},
               {INT64_MAX, 9}};
  _cleanup_(buffer_done) Buffer buffer = {0};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    int64_t value = 7;
    MsgpackType type;
    MsgpackReader reader;

    buffer_clear(&buffer);
    msgpack_put_int(&buffer, cases[i].value);
    assert_int_equal(buffer.size, cases[i].size);
    reader = msgpack_reader(buffer_bytes(&buffer));
    assert_int_equal(msgpack_peek_type(&reader, &type), 0);
    assert_int_equal(type, cases[i].value < 0 ? MSGPACK_INT : MSGPACK_UINT);
    assert_int_equal(msgpack_get_int(&reader, &value), 0);
    assert_true(value == cases[i].value);
  }
}

static void a_number_that_does_not_fit_is_of_another_type(void **state) {
  Bytes minus = BYTES(0xff);
  Bytes huge = BYTES(0xcf, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff);
  Bytes wide = BYTES(0xd3, 0, 0, 0, 0, 0, 0, 0, 9); /* an int 64 that holds 9 */
  MsgpackReader reader = msgpack_reader(minus);
  uint64_t u = 7;
  int64_t i = 7;

  (void)state;
  assert_int_equal(msgpack_get_uint(&reader, &u), MSGPACK_E_TYPE);
  assert_true(u == 7 && reader.at == minus.data);
  reader = msgpack_reader(huge);
  assert_int_equal(msgpack_get_int(&reader, &i), MSGPACK_E_TYPE);
  assert_true(i == 7 && reader.at == huge.data);
  reader = msgpack_reader(wide);
  assert_int_equal(msgpack_get_uint(&reader, &u), 0);
  assert_true(u == 9);
}

static void reals_keep_their_value(void **state) {
  static const double cases[] = {0.0, -0.0, 1.5, 0.1, 1e300, -1e-300, INFINITY, -INFINITY, 3.4028235e38, 1e39};
  _cleanup_(buffer_done) Buffer buffer = {0};
  MsgpackReader reader;
  double value = 7;

  (void)state;
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    buffer_clear(&buffer);
    msgpack_put_real(&buffer, cases[i]);
    reader = msgpack_reader(buffer_bytes(&buffer));
    assert_int_equal(msgpack_get_real(&reader, &value), 0);
    assert_memory_equal(&value, &cases[i], sizeof value);
  }
  buffer_clear(&buffer);
  msgpack_put_real(&buffer, 1.5);
  assert_int_equal(buffer.size, 5);
  msgpack_put_real(&buffer, 0.1);
  assert_int_equal(buffer.size, 14);
  reader = msgpack_reader(BYTES(0xfe));
  assert_int_equal(msgpack_get_real(&reader, &value), 0);
  assert_true(value == -2.0);
  reader = msgpack_reader(BYTES(0xa1, 'x'));
  assert_int_equal(msgpack_get_real(&reader, &value), MSGPACK_E_TYPE);
  assert_true(value == -2.0);
}

static void texts_and_bytes_of_each_length_come_back(void **state) {
  static const size_t sizes[] = {0, 1, 31, 32, 255, 256, 65535, 65536};
  _cleanup_(buffer_done) Buffer buffer = {0};
  char *letters = malloc(65536);

  (void)state;
  memset(letters, 'x', 65536);
  for (size_t i = 0; i < ELEMENTS(sizes); i++) {
    Text text = TEXT_NONE;
    Bytes bytes = BYTES_NONE;
    MsgpackReader reader;

    buffer_clear(&buffer);
    msgpack_put_text(&buffer, (Text){letters, sizes[i]});
    msgpack_put_bytes(&buffer, (Bytes){(const uint8_t *)letters, sizes[i]});
    reader = msgpack_reader(buffer_bytes(&buffer));
    assert_int_equal(msgpack_get_text(&reader, &text), 0);
    assert_true(text_equal(text, (Text){letters, sizes[i]}));
    assert_int_equal(msgpack_get_bytes(&reader, &bytes), 0);
    assert_int_equal(bytes.size, sizes[i]);
    assert_true(msgpack_at_end(&reader));
  }
  free(letters);
}

static void a_claim_beyond_the_bytes_is_short_at_once(void **state) {
  const Bytes cases[] = {
      {(const uint8_t[]){0xdd, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0}, 10}, /* array of 4 Gi */
      {(const uint8_t[]){0xdf, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0}, 10}, /* map of 4 Gi */
      {(const uint8_t[]){0x82, 0, 0, 0}, 4},                                /* two pairs in three bytes */
      {(const uint8_t[]){0xdb, 0xff, 0xff, 0xff, 0xff, 'x'}, 6},
      {(const uint8_t[]){0xc6, 0xff, 0xff, 0xff, 0xff, 'x'}, 6},
      {(const uint8_t[]){0xc9, 0xff, 0xff, 0xff, 0xff, 1}, 6},
      {(const uint8_t[]){0xd8, 1, 2}, 3},
      {(const uint8_t[]){0xa2, 'x'}, 2},
      {(const uint8_t[]){0xcd, 1}, 2},
      {(const uint8_t[]){0xcb, 1, 2, 3}, 4},
      {NULL, 0},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(cases); i++) {
    MsgpackReader reader = msgpack_reader(cases[i]);

    assert_int_equal(msgpack_skip(&reader), MSGPACK_E_SHORT);
    assert_ptr_equal(reader.at, cases[i].data);
  }
  MsgpackReader reader = msgpack_reader(cases[0]);
  uint32_t count = 7;
  assert_int_equal(msgpack_get_array(&reader, &count), MSGPACK_E_SHORT);
  assert_int_equal(count, 7);
  reader = msgpack_reader(cases[1]);
  assert_int_equal(msgpack_get_map(&reader, &count), MSGPACK_E_SHORT);
  assert_int_equal(count, 7);
}

static void nesting_is_bounded(void **state) {
  uint8_t bomb[MSGPACK_DEPTH_MAX + 2];
  MsgpackReader reader;
  Bytes span = BYTES_NONE;

  (void)state;
  memset(bomb, 0x91, sizeof bomb);
  bomb[MSGPACK_DEPTH_MAX] = 0xc0;
  reader = msgpack_reader((Bytes){bomb, MSGPACK_DEPTH_MAX + 1});
  assert_int_equal(msgpack_get_span(&reader, &span), 0);
  assert_int_equal(span.size, MSGPACK_DEPTH_MAX + 1);
  bomb[MSGPACK_DEPTH_MAX] = 0x91;
  bomb[MSGPACK_DEPTH_MAX + 1] = 0xc0;
  reader = msgpack_reader((Bytes){bomb, sizeof bomb});
  assert_int_equal(msgpack_skip(&reader), MSGPACK_E_DEPTH);
  assert_ptr_equal(reader.at, bomb);
}

static void skip_passes_over_every_format(void **state) {
  Bytes all =
      BYTES(0x9e, 0xc0, 0xc2, 0xca, 0, 0, 0, 0, 0xd0, 0x80, 0xa1, 'x', 0xc4, 1, 9, 0x82, 1, 2, 3, 0x91, 4, 0xd4, 1, 2,
            0xc7, 3, 1, 1, 2, 3, 0xd9, 1, 'x', 0xdc, 0, 1, 5, 0xde, 0, 1, 1, 1, 0xd6, 1, 1, 2, 3, 4, 0xe0);
  MsgpackReader reader = msgpack_reader(all);

  (void)state;
  assert_int_equal(msgpack_skip(&reader), 0);
  assert_true(msgpack_at_end(&reader));
  reader = msgpack_reader(BYTES(0x91, 0xc1));
  assert_int_equal(msgpack_skip(&reader), MSGPACK_E_TYPE);
}

static void utf8_is_checked(void **state) {
  static const char *const good[] = {
      "", "abcdefghijklmnop", "ä€𝄞", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf", "abcdefgh\xc3\xa4"};
  static const char *const bad[] = {
      "\x80", "\xc0\x80",         "\xc3",        "\xe0\x80\x80", "\xed\xa0\x80", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80",
      "\xff", "abcdefgh\xe2\x82", "\xe2\x28\xa1"};
  Text text = TEXT("kept");
  MsgpackReader reader = msgpack_reader(BYTES(0xa1, 0xff));

  (void)state;
  for (size_t i = 0; i < ELEMENTS(good); i++)
    assert_true(text_is_utf8(text_of(good[i])));
  for (size_t i = 0; i < ELEMENTS(bad); i++)
    assert_false(text_is_utf8(text_of(bad[i])));
  assert_int_equal(msgpack_get_text(&reader, &text), MSGPACK_E_UTF8);
  assert_true(text_is(text, "kept"));
}

static void small_values_are_one_byte(void **state) {
  _cleanup_(buffer_done) Buffer buffer = {0};
  MsgpackReader reader;
  bool flag = false;

  (void)state;
  msgpack_put_map(&buffer, 1);
  msgpack_put_nil(&buffer);
  msgpack_put_array(&buffer, 2);
  msgpack_put_bool(&buffer, true);
  msgpack_put_raw(&buffer, BYTES(0xc2));
  assert_bytes(&buffer, BYTES(0x81, 0xc0, 0x92, 0xc3, 0xc2));
  reader = msgpack_reader(buffer_bytes(&buffer));
  assert_int_equal(msgpack_get_nil(&reader), MSGPACK_E_TYPE);
  assert_int_equal(msgpack_get_bool(&reader, &flag), MSGPACK_E_TYPE);
  assert_false(flag);
  buffer_clear(&buffer);
  msgpack_put_array(&buffer, 70000);
  msgpack_put_map(&buffer, 70000);
  msgpack_put_array(&buffer, 16);
  msgpack_put_map(&buffer, 16);
  assert_bytes(&buffer, BYTES(0xdd, 0, 1, 0x11, 0x70, 0xdf, 0, 1, 0x11, 0x70, 0xdc, 0, 16, 0xde, 0, 16));
}

/* Python's msgpack reads what we write, and writes the same bytes. */
static void python_agrees(void **state) {
  static const char script[] =
      "/usr/bin/python3 -c 'import "
      "sys,msgpack;b=bytes.fromhex(sys.argv[1]);v=msgpack.unpackb(b,raw=False,strict_map_key=False);"
      "print(v);print(msgpack.packb(v,use_bin_type=True)==b)' %s";
  _cleanup_(buffer_done) Buffer buffer = {0};
  _cleanup_(buffer_done) Buffer command = {0};
  _cleanup_(buffer_done) Buffer hex = {0};
  char answer[512] = "";
  FILE *python;

  (void)state;
  msgpack_put_map(&buffer, 3);
  msgpack_put_text(&buffer, TEXT("text"));
  msgpack_put_text(&buffer, TEXT("gr\xc3\xbc\xc3\x9f"));
  msgpack_put_text(&buffer, TEXT("numbers"));
  msgpack_put_array(&buffer, 6);
  msgpack_put_uint(&buffer, 300);
  msgpack_put_int(&buffer, -300);
  msgpack_put_uint(&buffer, UINT64_MAX);
  msgpack_put_int(&buffer, INT64_MIN);
  msgpack_put_real(&buffer, 0.1);
  msgpack_put_nil(&buffer);
  msgpack_put_text(&buffer, TEXT("bytes"));
  msgpack_put_bytes(&buffer, BYTES(0, 255));
  for (size_t i = 0; i < buffer.size; i++)
    buffer_printf(&hex, "%02x", buffer.data[i]);
  buffer_append(&hex, "", 1);
  buffer_printf(&command, script, (const char *)hex.data);
  buffer_append(&command, "", 1);
  python = popen((const char *)command.data, "r");
  assert_non_null(python);
  assert_true(fread(answer, 1, sizeof answer - 1, python) > 0);
  pclose(python);
  assert_string_equal(answer, "{'text': 'gr\xc3\xbc\xc3\x9f', 'numbers': [300, -300, 18446744073709551615, "
                              "-9223372036854775808, 0.1, None], 'bytes': b'\\x00\\xff'}\nTrue\n");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(uints_take_the_smallest_encoding),
      cmocka_unit_test(ints_take_the_smallest_encoding),
      cmocka_unit_test(a_number_that_does_not_fit_is_of_another_type),
      cmocka_unit_test(reals_keep_their_value),
      cmocka_unit_test(texts_and_bytes_of_each_length_come_back),
      cmocka_unit_test(a_claim_beyond_the_bytes_is_short_at_once),
      cmocka_unit_test(nesting_is_bounded),
      cmocka_unit_test(skip_passes_over_every_format),
      cmocka_unit_test(utf8_is_checked),
      cmocka_unit_test(small_values_are_one_byte),
      cmocka_unit_test(python_agrees),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
