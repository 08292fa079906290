/* What an error means: its type decides, but for invalid_request_error, which is said of many things; of these the sentence tells
   which. */
#include <stdio.h>

#include "adapters/anthropic/anthropic-internal.h"
#include "adapters/dialect/retry_after.h"

static const struct {
  const char *type;
  const char *words; /* in the sentence; NULL: any */
  Cause cause;
} kinds[] = {
    {"invalid_request_error", "prompt is too long", CAUSE_CONTEXT},
    {"invalid_request_error", "exceed context limit", CAUSE_CONTEXT},
    {"invalid_request_error", "content filtering policy", CAUSE_POLICY},
    {"invalid_request_error", "credit balance is too low", CAUSE_QUOTA},
    {"invalid_request_error", "usage limits", CAUSE_QUOTA},
    {"invalid_request_error", NULL, CAUSE_CALLER},
    {"authentication_error", NULL, CAUSE_AUTH},
    {"permission_error", NULL, CAUSE_AUTH},
    {"billing_error", NULL, CAUSE_QUOTA},
    {"not_found_error", NULL, CAUSE_UNAVAILABLE},
    {"request_too_large", NULL, CAUSE_CALLER},
    {"rate_limit_error", NULL, CAUSE_RATE_LIMIT},
    {"timeout_error", NULL, CAUSE_STALL},
    {"conflict_error", NULL, CAUSE_OVERLOAD},
    {"overloaded_error", NULL, CAUSE_OVERLOAD},
    {"api_error", NULL, CAUSE_OVERLOAD},
};

static Cause cause_of(unsigned status, Text type, Text message) {
  for (size_t i = 0; i < ELEMENTS(kinds); i++) {
    const char *words = kinds[i].words;

    if (!text_is(type, kinds[i].type) || (words && !dialect_says(message, words)))
      continue;
    /* Who stands between says it of keys and limits too, with their status. */
    return kinds[i].cause == CAUSE_CALLER && status >= 400 ? dialect_cause_of_status(status) : kinds[i].cause;
  }
  return dialect_cause_of_status(status);
}

void anthropic_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer message = {0};
  _cleanup_(buffer_done) Buffer type = {0};
  Json answer = {TEXT_NONE};
  Json error;

  json_check(body, &answer, NULL);
  error = json_find(answer, "error");
  json_get_string(json_find(error, "message"), &message);
  json_get_string(json_find(error, "type"), &type);
  dialect_explain(head, &message);
  dialect_fault_set(ret_fault,
                    &(Fault){.cause = cause_of(head->status, buffer_text(&type), buffer_text(&message)),
                             .message = buffer_text(&message),
                             .code = buffer_text(&type),
                             .http_status = head->status,
                             .retry_after_us = retry_after_us(head->retry_after, head->retry_after_ms, head->now_s)});
}
