/* Streams of each framing come out in events however their bytes were cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "adapters/dialect/framing.h"
#include "adapters/dialect/sse.h"

static const struct {
  const Framing *framing;
  const char *stream;
  const char *events;
} rows[] = {
    {&framing_sse, "event: a\ndata: {}\n\ndata: [1]\n\ndata: cut", "[a|{}][|[1]]"},
    {&framing_lines, "{\"a\":1}\r\n\n{\"b\":2} \n{\"c\"", "[|{\"a\":1}][|{\"b\":2}]"},
};

static void on_frame(void *userdata, Text type, Text data) {
  buffer_printf(userdata, "[%.*s|%.*s]", TEXT_ARG(type), TEXT_ARG(data));
}

static void each_cut_gives_the_same(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++)
    for (size_t cut = 0; cut <= strlen(rows[i].stream); cut++) {
      const uint8_t *at = (const uint8_t *)rows[i].stream;
      _cleanup_(buffer_done) Buffer seen = {0};
      void *frames = calloc(1, rows[i].framing->state_bytes);

      assert_null(rows[i].framing->feed(frames, (Bytes){at, cut}, on_frame, &seen));
      assert_null(rows[i].framing->feed(frames, (Bytes){at + cut, strlen(rows[i].stream) - cut}, on_frame, &seen));
      if (!text_is((Text){(const char *)seen.data, seen.size}, rows[i].events))
        fail_msg("cut at %zu: %.*s", cut, (int)seen.size, (const char *)seen.data);
      rows[i].framing->done(frames);
      free(frames);
    }
}

static void an_endless_event_is_refused(void **state) {
  static uint8_t bytes[65536];

  (void)state;
  memset(bytes, 'x', sizeof bytes);
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer seen = {0};
    void *frames = calloc(1, rows[i].framing->state_bytes);
    const char *wrong = NULL;
    size_t fed = 0;

    for (; !wrong && fed < 4 * SSE_EVENT_MAX_BYTES; fed += sizeof bytes)
      wrong = rows[i].framing->feed(frames, (Bytes){bytes, sizeof bytes}, on_frame, &seen);
    assert_string_equal(wrong, "an event of its stream is over 1 MiB");
    assert_true(fed <= SSE_EVENT_MAX_BYTES + sizeof bytes);
    rows[i].framing->done(frames);
    free(frames);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_cut_gives_the_same),
      cmocka_unit_test(an_endless_event_is_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
