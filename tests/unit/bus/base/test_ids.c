/* Request ids as text: what is written reads back, what is not an id is refused and nothing is written. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "bus/base/ids.h"

static void test_format_reads_back(void **state _unused_) {
  static const RequestId ids[] = {
      {{1}, 1},
      {{UINT64_MAX}, UINT64_MAX},
      {{UINT64_C(0x0123456789abcdef)}, 0xa},
      {{UINT64_C(0xf)}, UINT64_C(1) << 63},
  };

  for (size_t i = 0; i < ELEMENTS(ids); i++) {
    char text[REQUEST_ID_TEXT_SIZE];
    RequestId id = {{0}, 0};

    assert_ptr_equal(request_id_format(ids[i], text), text);
    assert_int_equal(request_id_parse(text_of(text), &id), 0);
    assert_true(request_id_equal(id, ids[i]));
  }
}

static void test_format_is_exact(void **state _unused_) {
  char text[REQUEST_ID_TEXT_SIZE];

  assert_string_equal(request_id_format((RequestId){{0xbeef}, 0x2a}, text), "000000000000beef-2a");
  assert_string_equal(request_id_format((RequestId){{UINT64_MAX}, UINT64_MAX}, text),
                      "ffffffffffffffff-ffffffffffffffff");
}

static void test_an_instance_is_named_as_its_requests_begin(void **state _unused_) {
  char name[INSTANCE_TEXT_SIZE];
  char longest[INSTANCE_TEXT_SIZE];
  char agent[71];

  assert_ptr_equal(instance_format(TEXT("echo"), (ClientId){0xbeef}, name), name);
  assert_string_equal(name, "echo:000000000000beef");
  memset(agent, 'a', sizeof agent);
  snprintf(longest, sizeof longest, "%.64s:ffffffffffffffff", agent);
  assert_string_equal(instance_format((Text){agent, 64}, (ClientId){UINT64_MAX}, name), longest);
  assert_string_equal(instance_format((Text){agent, sizeof agent}, (ClientId){UINT64_MAX}, name), longest);
}

static void test_parse_refuses(void **state _unused_) {
  static const char *const texts[] = {
      "",
      "-",
      "1-",
      "-1",
      "1",
      "12",
      "g-1",
      "1-g",
      "A-1",
      "1-1-1",
      " 1-1",
      "1-1 ",
      "0x1-1",
      "00000000000000001-1",
      "1-00000000000000001",
  };
  static const RequestId before = {{7}, 8};

  for (size_t i = 0; i < ELEMENTS(texts); i++) {
    RequestId id = before;

    assert_int_equal(request_id_parse(text_of(texts[i]), &id), -EINVAL);
    assert_true(request_id_equal(id, before));
  }
}

static void test_parse_stays_in_bounds(void **state _unused_) {
  RequestId id = {{7}, 8};

  assert_int_equal(request_id_parse(TEXT_NONE, &id), -EINVAL);
  assert_int_equal(request_id_parse((Text){"1-23", 3}, &id), 0);
  assert_int_equal(id.sequence, 2);
}

static void test_none_and_equal(void **state _unused_) {
  assert_true(request_id_is_none((RequestId){{0}, 5}));
  assert_false(request_id_is_none((RequestId){{1}, 0}));
  assert_false(request_id_equal((RequestId){{1}, 2}, (RequestId){{2}, 2}));
  assert_false(request_id_equal((RequestId){{1}, 2}, (RequestId){{1}, 1}));
}

/* One client's counted-up ids must spread over the buckets of a table: no bucket of 256 gets a fourfold share. */
static void test_hash_spreads(void **state _unused_) {
  unsigned shares[256] = {0};
  unsigned most = 0;

  for (uint64_t i = 1; i <= 25600; i++)
    shares[request_id_hash((RequestId){{UINT64_C(0x1234567890abcdef)}, i}) & 255]++;
  for (size_t i = 0; i < ELEMENTS(shares); i++)
    most = shares[i] > most ? shares[i] : most;
  assert_in_range(most, 100, 400);
}

static void test_random_is_never_none(void **state _unused_) {
  uint64_t a = random_u64();
  uint64_t b = random_u64();

  assert_true(a != 0 && b != 0 && a != b);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_format_reads_back),
      cmocka_unit_test(test_format_is_exact),
      cmocka_unit_test(test_an_instance_is_named_as_its_requests_begin),
      cmocka_unit_test(test_parse_refuses),
      cmocka_unit_test(test_parse_stays_in_bounds),
      cmocka_unit_test(test_none_and_equal),
      cmocka_unit_test(test_hash_spreads),
      cmocka_unit_test(test_random_is_never_none),
  };

  return cmocka_run_group_tests_name("bus/base/ids", tests, NULL, NULL);
}
