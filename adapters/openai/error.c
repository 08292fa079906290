/* What an error means. The code decides where there is one, else the status; servers of other makes have neither. */
#include "adapters/dialect/retry_after.h"
#include "adapters/openai/openai.h"

static const struct {
  const char *code;
  Cause cause;
} codes[] = {
    {"context_length_exceeded", CAUSE_CONTEXT},
    {"string_above_max_length", CAUSE_CONTEXT},
    {"exceed_context_size_error", CAUSE_CONTEXT}, /* llama-server's type */
    {"content_filter", CAUSE_POLICY},
    {"content_policy_violation", CAUSE_POLICY},
    {"insufficient_quota", CAUSE_QUOTA},
    {"billing_hard_limit_reached", CAUSE_QUOTA},
    {"billing_not_active", CAUSE_QUOTA},
    {"rate_limit_exceeded", CAUSE_RATE_LIMIT},
    {"invalid_api_key", CAUSE_AUTH},
    {"account_deactivated", CAUSE_AUTH},
    {"model_not_found", CAUSE_UNAVAILABLE},
    {"server_error", CAUSE_OVERLOAD},
    {"overloaded_error", CAUSE_OVERLOAD},
};

/* Servers of other makes say "too long" in words alone, with the status of any mistake of the caller. */
static bool says_too_long(Text message) {
  static const char *const phrases[] = {"maximum context length", "context length exceeded", "context window",
                                        "context overflow", "exceeds the available context size"};

  for (size_t i = 0; i < ELEMENTS(phrases); i++)
    if (dialect_says(message, phrases[i]))
      return true;
  return false;
}

static Cause cause_of(unsigned status, Text code, Text type) {
  const Text names[] = {code, type};

  for (size_t n = 0; n < ELEMENTS(names); n++)
    for (size_t i = 0; i < ELEMENTS(codes); i++)
      if (text_is(names[n], codes[i].code))
        return codes[i].cause;
  return dialect_cause_of_status(status);
}

/* The string under name, unescaped into buffer; the text is good until buffer grows. */
static Text read(Json object, const char *name, Buffer *buffer) {
  json_get_string(json_find(object, name), buffer);
  return buffer_text(buffer);
}

/* The status that an error inside an answer 200 tells as its code, a number or digits; else the answer's own. */
static unsigned status_of(unsigned status, Json error) {
  Json code = json_find(error, "code");
  uint64_t number = 0;

  if (json_type(code) == JSON_STRING && code.text.size == 5) /* "429" */
    code.text = (Text){code.text.data + 1, 3};
  if ((status != 0 && status != 200) || json_get_uint(code, &number) != 0 || number < 400 || number > 599)
    return status;
  return (unsigned)number;
}

void openai_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer message = {0};
  _cleanup_(buffer_done) Buffer code = {0};
  _cleanup_(buffer_done) Buffer type = {0};
  _cleanup_(buffer_done) Buffer param = {0};
  Json answer = {TEXT_NONE};
  Json error;
  Fault fault = {.http_status = head->status};

  json_check(body, &answer, NULL);
  error = json_find(answer, "error");
  if (json_type(error) == JSON_STRING)
    json_get_string(error, &message); /* Ollama */
  else if (json_type(error) != JSON_OBJECT)
    error = answer; /* {"message": …} */
  if (message.size == 0)
    json_get_string(json_find(error, "message"), &message);
  dialect_explain(head, &message);
  fault.http_status = status_of(head->status, error);
  fault.message = buffer_text(&message);
  fault.code = read(error, "code", &code);
  fault.param = read(error, "param", &param);
  fault.cause = cause_of(fault.http_status, fault.code, read(error, "type", &type));
  if (fault.cause == CAUSE_CALLER && says_too_long(fault.message)) {
    fault.cause = CAUSE_CONTEXT;
    fault.code = TEXT("context_length_exceeded");
  }
  if (fault.code.size == 0)
    fault.code = buffer_text(&type);
  fault.retry_after_us = retry_after_us(head->retry_after, head->retry_after_ms, head->now_s);
  dialect_fault_set(ret_fault, &fault);
}
