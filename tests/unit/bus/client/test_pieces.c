/* Values come out whole however the chunks were cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "bus/client/pieces.h"
#include "bus/wire/msgpack.h"

static bool on_piece(void *userdata, Bytes value) {
  MsgpackReader reader = msgpack_reader(value);
  Text text;

  assert_int_equal(msgpack_get_text(&reader, &text), 0);
  assert_true(msgpack_at_end(&reader));
  buffer_printf(userdata, "%.*s,", TEXT_ARG(text));
  return !text_is(text, "stop");
}

static void each_cut_gives_the_same(void **state) {
  _cleanup_(buffer_done) Buffer all = {0};

  (void)state;
  msgpack_put_text(&all, TEXT("one"));
  msgpack_put_text(&all, TEXT("two is a text of more than thirty-one bytes"));
  msgpack_put_text(&all, TEXT(""));
  for (size_t a = 0; a <= all.size; a++)
    for (size_t b = a; b <= all.size; b++) {
      _cleanup_(buffer_done) Buffer seen = {0};
      _cleanup_(pieces_done) Pieces pieces = {{0}};

      assert_int_equal(pieces_take(&pieces, (Bytes){all.data, a}, on_piece, &seen), 0);
      assert_int_equal(pieces_take(&pieces, (Bytes){all.data + a, b - a}, on_piece, &seen), 0);
      assert_int_equal(pieces_is_whole(&pieces) && b < all.size && seen.size == 0, b == 0);
      assert_int_equal(pieces_take(&pieces, (Bytes){all.data + b, all.size - b}, on_piece, &seen), 0);
      assert_true(pieces_is_whole(&pieces));
      assert_true(
          text_is((Text){(const char *)seen.data, seen.size}, "one,two is a text of more than thirty-one bytes,,"));
    }
}

static void whoever_takes_them_may_stop(void **state) {
  _cleanup_(buffer_done) Buffer all = {0};
  _cleanup_(buffer_done) Buffer seen = {0};
  _cleanup_(pieces_done) Pieces pieces = {{0}};

  (void)state;
  msgpack_put_text(&all, TEXT("stop"));
  msgpack_put_text(&all, TEXT("lost"));
  assert_int_equal(pieces_take(&pieces, buffer_bytes(&all), on_piece, &seen), 0);
  assert_true(text_is((Text){(const char *)seen.data, seen.size}, "stop,"));
  assert_true(pieces_is_whole(&pieces));
}

static void what_is_no_msgpack_is_refused(void **state) {
  static const uint8_t never[] = {0xc1};
  static const uint8_t endless[] = {0xc6, 0x7f, 0xff, 0xff, 0xff};
  static uint8_t bytes[1 << 20];
  _cleanup_(buffer_done) Buffer seen = {0};
  _cleanup_(pieces_done) Pieces pieces = {{0}};
  int r = 0;

  (void)state;
  assert_int_equal(pieces_take(&pieces, (Bytes){never, 1}, on_piece, &seen), PIECES_E_MALFORMED);
  pieces_done(&pieces);
  assert_int_equal(pieces_take(&pieces, (Bytes){endless, sizeof endless}, on_piece, &seen), 0);
  for (int i = 0; i < 8 && r == 0; i++)
    r = pieces_take(&pieces, (Bytes){bytes, sizeof bytes}, on_piece, &seen);
  assert_int_equal(r, PIECES_E_MALFORMED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_cut_gives_the_same),
      cmocka_unit_test(whoever_takes_them_may_stop),
      cmocka_unit_test(what_is_no_msgpack_is_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
