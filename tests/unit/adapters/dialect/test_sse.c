/* Events come out whole however their bytes were cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "adapters/dialect/sse.h"

static void on_event(void *userdata, Text type, Text data) {
  buffer_printf(userdata, "[%.*s|%.*s]", TEXT_ARG(type), TEXT_ARG(data));
}

static const char sample[] =
    "\xef\xbb\xbf: a comment\r\ndata: one\n\nevent: named\rdata:two\rdata: and\ndata\n\r\nid: 7\nretry: 5\n\n"
    "data:  spaced\n\nevent: lost\n\ndata: {\"a\": [1]}\r\n\r\ndata: not ended";
static const char expected[] = "[|one][named|two\nand\n][| spaced][|{\"a\": [1]}]";

static void each_cut_gives_the_same(void **state) {
  size_t size = sizeof sample - 1;

  (void)state;
  for (size_t first = 0; first <= size; first++)
    for (size_t second = first; second <= size; second += 1 + size / 40) {
      _cleanup_(buffer_done) Buffer seen = {0};
      _cleanup_(sse_done) Sse sse = {.begun = false};
      const uint8_t *at = (const uint8_t *)sample;

      assert_int_equal(sse_feed(&sse, (Bytes){at, first}, on_event, &seen), 0);
      assert_int_equal(sse_feed(&sse, (Bytes){at + first, second - first}, on_event, &seen), 0);
      assert_int_equal(sse_feed(&sse, (Bytes){at + second, size - second}, on_event, &seen), 0);
      if (!text_is((Text){(const char *)seen.data, seen.size}, expected))
        fail_msg("cut at %zu and %zu: %.*s", first, second, (int)seen.size, (const char *)seen.data);
    }
}

static void an_endless_event_is_refused(void **state) {
  _cleanup_(buffer_done) Buffer seen = {0};
  _cleanup_(sse_done) Sse sse = {.begun = false};
  static uint8_t bytes[65536];
  size_t fed = 0;
  int r = 0;

  (void)state;
  memset(bytes, 'x', sizeof bytes);
  for (; r == 0 && fed < 4 * SSE_EVENT_MAX_BYTES; fed += sizeof bytes)
    r = sse_feed(&sse, (Bytes){bytes, sizeof bytes}, on_event, &seen);
  assert_int_equal(r, SSE_E_TOO_LARGE);
  assert_true(fed <= SSE_EVENT_MAX_BYTES + sizeof bytes);
  assert_int_equal(seen.size, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_cut_gives_the_same),
      cmocka_unit_test(an_endless_event_is_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
