/* A key as AWS's tools write it becomes the headers that prove who asks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/bedrock/bedrock.h"

#define PAIR "aws_access_key_id = AKID\naws_secret_access_key = s/e+c=\n"
#define SCOPE(region) "Credential=AKID/20150830/" region "/bedrock/aws4_request, "

typedef struct Row {
  const char *secret;
  const char *region;
  const char *host;
  const char *wanted; /* somewhere in the headers; or in the fault's message */
} Row;

static int authorize_with(const Row *row, DialectMemo *memo, Buffer *headers, DialectFault *ret_fault) {
  DialectSettings settings = {.base_url = "", .region = row->region};

  return dialect_authorize(&bedrock_dialect, &(DialectKey){.secret = row->secret, .memo = memo},
                           &(DialectSend){.settings = &settings,
                                          .method = "POST",
                                          .host = text_of(row->host),
                                          .path = TEXT("/model/m/converse"),
                                          .body = {(const uint8_t *)"{}", 2},
                                          .now_s = 1440938160},
                           headers, ret_fault);
}

static int authorize(const Row *row, Buffer *headers, DialectFault *ret_fault) {
  return authorize_with(row, NULL, headers, ret_fault);
}

static void each_way_to_write_it(void **state) {
  static const Row rows[] = {
      {PAIR, "eu-west-1", "h", SCOPE("eu-west-1") "SignedHeaders=content-type;host;x-amz-date, "},
      {"# mine\n[default]\r\n" PAIR "[other]\naws_session_token = t\n", "eu-west-1", "h",
       "SignedHeaders=content-type;host;x-amz-date, "},
      {"[a]\n[b]\n" PAIR, "eu-west-1", "h", SCOPE("eu-west-1")},
      {"export AWS_ACCESS_KEY_ID=AKID\nAWS_SECRET_ACCESS_KEY=s\nAWS_SESSION_TOKEN=t==", "eu-west-1", "h",
       "X-Amz-Security-Token: t=="},
      {PAIR, NULL, "bedrock-runtime.us-gov-west-1.amazonaws.com", SCOPE("us-gov-west-1")},
      {PAIR, NULL, "vpce-1.bedrock-runtime.eu-central-1.vpce.amazonaws.com", SCOPE("eu-central-1")},
      {PAIR, NULL, "bedrock-runtime-fips.us-east-1.amazonaws.com", SCOPE("us-east-1")},
      {PAIR, "eu-west-1", "bedrock-runtime.us-east-1.amazonaws.com", SCOPE("eu-west-1")},
      {" ABSKkey==\n", NULL, "h", "Authorization: Bearer ABSKkey=="},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer headers = {0};
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

    if (authorize(&rows[i], &headers, &fault) != 0)
      fail_msg("%s: %.*s", rows[i].secret, TEXT_ARG(fault.fault.message));
    if (!memmem(headers.data, headers.size, rows[i].wanted, strlen(rows[i].wanted)))
      fail_msg("row %zu has no %s", i, rows[i].wanted);
    assert_int_equal(headers.data[headers.size - 1], 0);
  }
}

static void what_can_not_be_signed_with(void **state) {
  static const Row rows[] = {
      {"aws_access_key_id = AKID\n", "r", "h", "no aws_secret_access_key"},
      {"aws_secret_access_key = s\n", "r", "h", "no aws_access_key_id"},
      {"two words", "r", "h", "docs/providers.md"},
      {PAIR, NULL, "proxy.example", "set region"},
      {PAIR, NULL, "bedrock-runtime", "set region"},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(buffer_done) Buffer headers = {0};
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};
    Text message;

    assert_int_equal(authorize(&rows[i], &headers, &fault), DIALECT_E_FAULT);
    message = fault.fault.message;
    assert_non_null(memmem(message.data, message.size, rows[i].wanted, strlen(rows[i].wanted)));
    assert_null(memmem(message.data, message.size, "AKID", 4));
    assert_int_equal(headers.size, 0);
  }
}

/* With what was kept the signature is the same, and of another day's or region's nothing is taken. */
static void what_is_kept_changes_nothing(void **state) {
  static const char *const regions[] = {"eu-west-1", "eu-west-1", "us-east-1", "eu-west-1"};
  DialectMemo memo = {{0}};

  (void)state;
  for (size_t i = 0; i < ELEMENTS(regions); i++) {
    Row row = {PAIR, regions[i], "h", NULL};
    _cleanup_(buffer_done) Buffer headers = {0};
    _cleanup_(buffer_done) Buffer fresh = {0};
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

    assert_int_equal(authorize_with(&row, &memo, &headers, &fault), 0);
    assert_int_equal(authorize(&row, &fresh, &fault), 0);
    assert_int_equal(headers.size, fresh.size);
    assert_memory_equal(headers.data, fresh.data, fresh.size);
    assert_int_not_equal(memo.bytes[0], 0);
  }
}

static void without_a_key_nothing_is_proved(void **state) {
  _cleanup_(buffer_done) Buffer headers = {0};
  _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

  (void)state;
  assert_int_equal(authorize(&(Row){NULL, "r", "h", NULL}, &headers, &fault), 0);
  assert_int_equal(headers.size, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_way_to_write_it),
      cmocka_unit_test(what_can_not_be_signed_with),
      cmocka_unit_test(what_is_kept_changes_nothing),
      cmocka_unit_test(without_a_key_nothing_is_proved),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
