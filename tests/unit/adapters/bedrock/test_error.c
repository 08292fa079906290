/* What Bedrock's refusals mean: by their type, by the sentence where the type says nothing, else by the status. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "adapters/bedrock/bedrock.h"

#define ADDRESS ":http://internal.amazon.com/coral/com.amazon.bedrock/"

static const struct {
  unsigned status;
  const char *type;
  const char *body;
  Cause cause;
  const char *code;
  const char *message;
} rows[] = {
    {429, "ThrottlingException" ADDRESS, "{\"message\":\"Too many requests\"}", CAUSE_RATE_LIMIT, "ThrottlingException",
     "Too many requests"},
    {400, "ServiceQuotaExceededException", "{\"message\":\"q\"}", CAUSE_QUOTA, "ServiceQuotaExceededException", "q"},
    {403, "ExpiredTokenException", "{\"Message\":\"expired\"}", CAUSE_AUTH, "ExpiredTokenException", "expired"},
    {403, "", "{\"__type\":\"com.amazon.coral.service#UnrecognizedClientException\",\"message\":\"t\"}", CAUSE_AUTH,
     "UnrecognizedClientException", "t"},
    {404, "ResourceNotFoundException", "{\"message\":\"m\"}", CAUSE_UNAVAILABLE, "ResourceNotFoundException", "m"},
    {408, "ModelTimeoutException", "{}", CAUSE_STALL, "ModelTimeoutException",
     "it answered with status 408 and no reason"},
    {424, "ModelErrorException", "{\"message\":\"m\"}", CAUSE_OVERLOAD, "ModelErrorException", "m"},
    {429, "ModelNotReadyException", "{\"message\":\"m\"}", CAUSE_OVERLOAD, "ModelNotReadyException", "m"},
    {503, "ServiceUnavailableException", "{\"message\":\"m\"}", CAUSE_OVERLOAD, "ServiceUnavailableException", "m"},
    {400, "ValidationException", "{\"message\":\"m\"}", CAUSE_CALLER, "ValidationException", "m"},
    {400, "ValidationException", "{\"message\":\"prompt is TOO LONG: 5 > 4\"}", CAUSE_CONTEXT, "ValidationException",
     "prompt is TOO LONG: 5 > 4"},
    {400, "ValidationException", "{\"message\":\"Output blocked by content filtering policy\"}", CAUSE_POLICY,
     "ValidationException", "Output blocked by content filtering policy"},
    {400, "ValidationException", "{\"message\":\"The provided model identifier is invalid.\"}", CAUSE_UNAVAILABLE,
     "ValidationException", "The provided model identifier is invalid."},
    {502, "", "<html>", CAUSE_OVERLOAD, "", "it answered with status 502 and no reason"},
    {418, "Wonders", "{\"message\":\"m\"}", CAUSE_CALLER, "Wonders", "m"},
    {301, "", "", CAUSE_UNAVAILABLE, "", "it answered with status 301 and no reason"},
    {99, "", "", CAUSE_OVERLOAD, "", "it answered with status 99 and no reason"},
};

static void each_refusal(void **state) {
  (void)state;
  for (size_t i = 0; i < ELEMENTS(rows); i++) {
    _cleanup_(dialect_fault_done) DialectFault fault = {.texts = {0}};

    bedrock_dialect.decode_error(
        &(DialectHead){.status = rows[i].status, .error_type = text_of(rows[i].type), .retry_after = TEXT("7")},
        text_of(rows[i].body), &fault);
    if (fault.fault.cause != rows[i].cause || !text_is(fault.fault.code, rows[i].code) ||
        !text_is(fault.fault.message, rows[i].message))
      fail_msg("row %zu: %s, %.*s, %.*s", i, cause_name(fault.fault.cause), TEXT_ARG(fault.fault.code),
               TEXT_ARG(fault.fault.message));
    assert_int_equal(fault.fault.http_status, rows[i].status);
    assert_int_equal(fault.fault.retry_after_us, 7000000);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(each_refusal)};

  return cmocka_run_group_tests(tests, NULL, NULL);
}
