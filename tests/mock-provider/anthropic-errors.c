/* What Anthropic says when it refuses: a type that goes with the status, and a sentence that tells what was meant. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/mock-provider/anthropic-internal.h"

static const struct Fault {
  unsigned status;
  const char *type;
  const char *code; /* what OpenAI would say, and a knob does; NULL: what goes with the status or the type */
  const char *message;
} FAULTS[] = {
    {400, "invalid_request_error", NULL, "The request was malformed."},
    {400, "invalid_request_error", "context_length_exceeded", "prompt is too long: 210000 tokens > 200000 maximum"},
    {400, "invalid_request_error", "content_filter", "Output blocked by content filtering policy"},
    {400, "invalid_request_error", "content_policy_violation", "Output blocked by content filtering policy"},
    {400, "invalid_request_error", "insufficient_quota",
     "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase "
     "credits."},
    {401, "authentication_error", "invalid_api_key", "invalid x-api-key"},
    {402, "billing_error", NULL, "There is an issue with your billing or payment information."},
    {403, "permission_error", "unsupported_country_region_territory", "Request not allowed"},
    {404, "not_found_error", "model_not_found", "model: unknown"},
    {409, "conflict_error", NULL, "The request conflicts with the state of the resource."},
    {413, "request_too_large", NULL, "Request exceeds the maximum size"},
    {429, "rate_limit_error", "rate_limit_exceeded",
     "This request would exceed your organization's rate limit of 50 requests per minute."},
    {500, "api_error", NULL, "Internal server error"},
    {504, "timeout_error", NULL, "The request timed out while processing."},
    {529, "overloaded_error", NULL, "Overloaded"},
};

static const struct Fault *find(unsigned status, const char *code) {
  for (size_t i = 0; i < ELEMENTS(FAULTS); i++) {
    bool named = code && ((FAULTS[i].code && strcmp(FAULTS[i].code, code) == 0) || strcmp(FAULTS[i].type, code) == 0);

    if ((!status || FAULTS[i].status == status) && (!code || named))
      return &FAULTS[i];
  }
  return NULL;
}

bool anthropic_fail(Answer *ret, unsigned status, const char *type, const char *format, ...) {
  char message[1024];
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(message, sizeof message, format, arguments);
  va_end(arguments);
  ret->status = status;
  ret->type = "application/json";
  ret->streams = false;
  buffer_clear(&ret->body);
  buffer_printf(&ret->body, "{\"type\":\"error\",\"error\":{\"type\":\"%s\",\"message\":", type);
  json_put_string(&ret->body, text_of(message));
  buffer_printf(&ret->body, "},\"request_id\":\"req_mock\"}");
  return false;
}

void anthropic_error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret) {
  static const struct Fault SERVER = {500, "api_error", NULL, "Internal server error"};
  static const struct Fault CALLER = {400, "invalid_request_error", NULL, "The request was refused."};
  const struct Fault *fault = find(status, code);

  if (!fault && status)
    fault = find(status, NULL);
  if (!fault)
    fault = (status && status < 500) || (code && strcmp(code, "bad_knob") == 0) ? &CALLER : &SERVER;
  buffer_printf(&ret->headers, "request-id: req_mock%016llx\r\n", (unsigned long long)ask->number);
  anthropic_fail(ret, status ? status : fault->status, fault->type, "%s", message ? message : fault->message);
}
