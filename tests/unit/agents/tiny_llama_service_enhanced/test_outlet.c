/* What may be shown of a model's bytes, whatever way they are cut into tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agents/tiny_llama_service_enhanced/outlet.h"

static Outlet outlet_of(size_t count, const char *const *stops) {
  Outlet outlet = {.stops_count = count};

  for (size_t i = 0; i < count; i++)
    outlet.stops[i] = text_of(stops[i]);
  return outlet;
}

/* Pushes text in tokens of size bytes, and holds what is shown after each against what may be. */
static void run(const char *text, size_t size, size_t count, const char *const *stops, const char *shown,
                bool stopped) {
  Outlet outlet = outlet_of(count, stops);
  _cleanup_(buffer_done) Buffer out = {0};
  size_t length = strlen(text);
  bool goes_on = true;

  for (size_t at = 0; at < length && goes_on; at += size) {
    goes_on = outlet_push(&outlet, (Bytes){(const uint8_t *)text + at, (size_t)min_u64(size, length - at)}, &out);
    assert_true(out.size <= strlen(shown));
    assert_memory_equal(out.data ? (const char *)out.data : "", shown, out.size);
  }
  outlet_end(&outlet, &out);
  assert_int_equal(goes_on, !stopped);
  assert_int_equal(out.size, strlen(shown));
  assert_memory_equal(out.data ? (const char *)out.data : "", shown, out.size);
  outlet_done(&outlet);
}

static void all_cuts(const char *text, size_t count, const char *const *stops, const char *shown, bool stopped) {
  for (size_t size = 1; size <= strlen(text); size++)
    run(text, size, count, stops, shown, stopped);
}

static void test_without_stops(void **state) {
  (void)state;
  all_cuts("plain words", 0, NULL, "plain words", false);
  all_cuts("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", 0, NULL,
           "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80", false);
}

static void test_characters_come_whole(void **state) {
  Outlet outlet = {0};
  _cleanup_(buffer_done) Buffer out = {0};
  static const char smile[] = "\xf0\x9f\x98\x80";

  (void)state;
  for (size_t i = 0; i < 3; i++) {
    assert_true(outlet_push(&outlet, (Bytes){(const uint8_t *)smile + i, 1}, &out));
    assert_int_equal(out.size, 0);
  }
  assert_true(outlet_push(&outlet, (Bytes){(const uint8_t *)smile + 3, 1}, &out));
  assert_int_equal(out.size, 4);
  outlet_done(&outlet);
}

/* What is no UTF-8 is not held for ever: the JSON writer puts U+FFFD there. */
static void test_broken_characters_pass(void **state) {
  (void)state;
  all_cuts("a\xff\xfe z", 0, NULL, "a\xff\xfe z", false);
  all_cuts("a\x80\x80\x80\x80 z", 0, NULL, "a\x80\x80\x80\x80 z", false);
  all_cuts("cut \xe2\x82", 0, NULL, "cut \xe2\x82", false);
}

static void test_stop_strings(void **state) {
  static const char *const one[] = {"STOP"};
  static const char *const two[] = {"\n\n", "###"};
  static const char *const overlapping[] = {"abac"};
  static const char *const both[] = {"end of", "d"};

  (void)state;
  all_cuts("go on STOP here", 1, one, "go on ", true);
  all_cuts("go on STO", 1, one, "go on STO", false);
  all_cuts("STOP", 1, one, "", true);
  all_cuts("a\nb\n\nc", 2, two, "a\nb", true);
  all_cuts("a##b###", 2, two, "a##b", true);
  all_cuts("ababac", 1, overlapping, "ab", true);
  /* Tokens that bring two of them at once: the one that begins first counts. */
  run("the end of it", 100, 2, both, "the ", true);
}

static void test_nothing_comes_after_a_stop(void **state) {
  static const char *const stops[] = {"."};
  Outlet outlet = outlet_of(1, stops);
  _cleanup_(buffer_done) Buffer out = {0};

  (void)state;
  assert_false(outlet_push(&outlet, (Bytes){(const uint8_t *)"a.b", 3}, &out));
  assert_false(outlet_push(&outlet, (Bytes){(const uint8_t *)"c", 1}, &out));
  outlet_end(&outlet, &out);
  assert_int_equal(out.size, 1);
  outlet_done(&outlet);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_without_stops),
      cmocka_unit_test(test_characters_come_whole),
      cmocka_unit_test(test_broken_characters_pass),
      cmocka_unit_test(test_stop_strings),
      cmocka_unit_test(test_nothing_comes_after_a_stop),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
