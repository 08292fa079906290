/* The names and properties of the tables, and which names are names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/wire/header.h"

/* Each number of a table once, as a case: two equal ones don't compile. */
static void test_tables(void **state _unused_) {
  static const char *const kinds[] = {
#define MSG(number, name, from, fields) [number] = #name,
#include "bus/wire/msgs.def"
#undef MSG
  };
  static const char *const statuses[] = {
#define STATUS(number, name, retry, http, about) [number] = #name,
#include "bus/wire/status.def"
#undef STATUS
  };

  assert_string_equal(kind_name(0), "?");
  for (Kind kind = 1; kind < KIND_END; kind++)
    assert_string_equal(kind_name(kind), kinds[kind]);
  for (Status status = 0; status < STATUS_END; status++) {
    assert_string_equal(status_name(status), statuses[status]);
    assert_true(strlen(status_about(status)) > 0);
    assert_in_range(status_http(status), 200, 599);
    assert_in_range(status_retry(status), RETRY_NEVER, RETRY_UNSURE);
  }
}

/* A newer peer's numbers are not ours to know. */
static void test_beyond_the_tables(void **state _unused_) {
  assert_string_equal(kind_name(KIND_END), "?");
  assert_string_equal(kind_name(UINT32_MAX), "?");
  assert_string_equal(status_name(STATUS_END), "?");
  assert_string_equal(status_about(127), status_about(STATUS_INTERNAL));
  assert_int_equal(status_http(127), status_http(STATUS_INTERNAL));
  assert_int_equal(status_retry(127), RETRY_NEVER);
  assert_false(kind_from_peer(KIND_END));
  assert_false(kind_from_broker(KIND_END));
}

static void test_who_sends(void **state _unused_) {
  assert_true(kind_from_peer(KIND_HELLO) && !kind_from_broker(KIND_HELLO));
  assert_true(!kind_from_peer(KIND_WELCOME) && kind_from_broker(KIND_WELCOME));
  assert_true(kind_from_peer(KIND_PING) && kind_from_broker(KIND_PING));
  assert_true(!kind_from_peer(KIND_PROBE) && kind_from_broker(KIND_PROBE));
  assert_true(kind_from_peer(KIND_HAVE) && kind_from_peer(KIND_PASS) && !kind_from_broker(KIND_PASS));
  assert_true(!kind_from_peer(KIND_LEASE) && !kind_from_broker(KIND_LEASE));
  assert_false(kind_from_peer(0));
}

static void test_retry(void **state _unused_) {
  assert_int_equal(status_retry(STATUS_OVERLOADED), RETRY_LATER);
  assert_int_equal(status_retry(STATUS_NO_SERVICE), RETRY_KNOWN);
  assert_int_equal(status_retry(STATUS_WORKER_LOST), RETRY_UNSURE);
  assert_int_equal(status_retry(STATUS_INVALID), RETRY_NEVER);
  assert_int_equal(status_http(STATUS_UNKNOWN), 502);
}

static void test_name_is_valid(void **state _unused_) {
  char longest[LIMIT_NAME_BYTES + 1];

  memset(longest, 'n', sizeof longest);
  assert_true(name_is_valid(TEXT("a")));
  assert_true(name_is_valid(TEXT("Az09_.-")));
  assert_true(name_is_valid((Text){longest, LIMIT_NAME_BYTES}));
  assert_false(name_is_valid((Text){longest, LIMIT_NAME_BYTES + 1}));
  assert_false(name_is_valid(TEXT_NONE));
  assert_false(name_is_valid(TEXT("")));
  for (unsigned c = 0; c < 256; c++) {
    char text[2] = {'a', (char)c};
    bool ok = c && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-", (int)c);

    assert_int_equal(name_is_valid((Text){text, 2}), ok);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tables), cmocka_unit_test(test_beyond_the_tables), cmocka_unit_test(test_who_sends),
      cmocka_unit_test(test_retry),  cmocka_unit_test(test_name_is_valid),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
