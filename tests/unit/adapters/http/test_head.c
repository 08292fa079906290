/* What is kept of an answer's head, and what is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/http/head-internal.h"

static void each_that_is_wanted_is_kept(void **state) {
  static const char *const lines[] = {"HTTP/1.1 200 OK\r\n", "Content-TYPE:a/b; c=d \r\n", "x-other: y\r\n",
                                      "retry-after:\t7\r\n", "Retry-After-Ms: 70\n",       "x-amzn-ErrorType: T\r\n",
                                      "X-Request-Id: r\r\n", "content-type-x: z\r\n",      "x\r\n"};
  Head head = {.values = {""}};
  HttpHead said;

  (void)state;
  for (size_t i = 0; i < ELEMENTS(lines); i++)
    head_take(&head, text_of(lines[i]));
  said = head_tell(&head, 200);
  assert_int_equal(said.status, 200);
  assert_true(text_is(said.content_type, "a/b; c=d"));
  assert_true(text_is(said.retry_after, "7"));
  assert_true(text_is(said.retry_after_ms, "70"));
  assert_true(text_is(said.error_type, "T"));
  assert_true(text_is(said.request_id, "r"));
  assert_int_equal(said.location.size, 0);
}

/* Of where a redirect points to neither query nor password, which may be keys. */
static void an_address_is_kept_without_secrets(void **state) {
  static const char *const rows[][2] = {
      {"Location: https://a.example:8443/v1/chat?key=k#f\r\n", "a.example:8443/v1/chat"},
      {"location: https://user:word@a.example/v1\r\n", "a.example/v1"},
      {"location: https://user:w@rd@a.example\r\n", "a.example"},
      {"location: //a.example/@b\r\n", "a.example/@b"},
      {"location: /v1//chat/?q\r\n", "/v1//chat/"},
      {"location: chat#f\r\n", "chat"},
      {"location: https://\r\n", ""},
      {"location: ?key=k\r\n", ""},
      {"location:\r\n", ""},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    Head head = {.values = {""}};

    head_take(&head, text_of(rows[i][0]));
    assert_string_equal(head.values[HEAD_LOCATION], rows[i][1]);
  }
}

/* A proxy answers first, and a server may say that more is to come. */
static void the_last_head_counts(void **state) {
  static const char *const lines[] = {"HTTP/1.1 200 Connection established\r\n",
                                      "Content-Type: proxy/x\r\n",
                                      "Retry-After: 7\r\n",
                                      "\r\n",
                                      "HTTP/2 200\r\n",
                                      "request-id: r\r\n"};
  Head head = {.values = {""}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(lines); i++)
    head_take(&head, text_of(lines[i]));
  assert_string_equal(head.values[HEAD_CONTENT_TYPE], "");
  assert_string_equal(head.values[HEAD_RETRY_AFTER], "");
  assert_string_equal(head.values[HEAD_REQUEST_ID], "r");
}

static void what_is_no_text_becomes_one(void **state) {
  char line[400] = "x-request-id: a\xff\x1b[31m";
  Head head = {.values = {""}};

  (void)state;
  head_take(&head, text_of(line));
  assert_string_equal(head.values[HEAD_REQUEST_ID], "a??[31m");
  memset(line + 14, 'r', sizeof line - 15);
  head_take(&head, text_of(line));
  assert_int_equal(strlen(head.values[HEAD_REQUEST_ID]), HEAD_VALUE_BYTES - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_that_is_wanted_is_kept),
      cmocka_unit_test(an_address_is_kept_without_secrets),
      cmocka_unit_test(the_last_head_counts),
      cmocka_unit_test(what_is_no_text_becomes_one),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
