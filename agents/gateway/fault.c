#include "agents/gateway/fault.h"

#include <ctype.h>

#include "bus/json/json.h"

enum { RETRY_DEFAULT_US = 1000000 };

static const uint64_t retry_most_us = 86400 * US_PER_S;

const char *fault_type(unsigned http_status) {
  switch (http_status) {
  case 401:
    return "authentication_error";
  case 403:
    return "permission_error";
  case 429:
    return "rate_limit_error";
  default:
    return http_status >= 500 ? "server_error" : "invalid_request_error";
  }
}

/* The status' name in lower case; of UNKNOWN a word that says what is unknown. */
static Text code_of(Status status, HttpFault *ret) {
  const char *name = status == STATUS_UNKNOWN ? "outcome_unknown" : status_name(status);
  size_t size = 0;

  for (; name[size] && size < sizeof ret->code_text - 1; size++)
    ret->code_text[size] = (char)tolower((unsigned char)name[size]);
  return (Text){ret->code_text, size};
}

/* When to come again. An instance that was lost is replaced in a second; where the outcome is unknown nobody should. */
static uint64_t retry_after_of(const Answer *answer) {
  if (answer->status == STATUS_UNKNOWN)
    return 0;
  if (answer->retry_after_us)
    return answer->retry_after_us;
  return answer->status == STATUS_WORKER_LOST ? RETRY_DEFAULT_US : 0;
}

void fault_of_answer(const Answer *answer, HttpFault *ret) {
  ret->http_status = answer->http_status ? answer->http_status : status_http(answer->status);
  ret->message = answer->message.size ? answer->message : text_of(status_about(answer->status));
  ret->param = answer->path;
  ret->code = answer->code.size ? answer->code : code_of(answer->status, ret);
  ret->retry_after_us = retry_after_of(answer);
  ret->is_final = answer->status == STATUS_UNKNOWN;
}

static void put_text_or_null(Buffer *buffer, Text text) {
  if (text.size)
    json_put_string(buffer, text);
  else
    buffer_append(buffer, "null", 4);
}

void fault_json(const HttpFault *fault, Buffer *ret) {
  buffer_printf(ret, "{\"error\":{\"message\":");
  json_put_string(ret, fault->message);
  buffer_printf(ret, ",\"type\":\"%s\",\"param\":", fault_type(fault->http_status));
  put_text_or_null(ret, fault->param);
  buffer_printf(ret, ",\"code\":");
  put_text_or_null(ret, fault->code);
  buffer_printf(ret, "}}");
}

static uint64_t rounded_up(uint64_t us, uint64_t unit_us) {
  return (min_u64(us, retry_most_us) + unit_us - 1) / unit_us;
}

uint64_t fault_retry_seconds(uint64_t retry_after_us) {
  return rounded_up(retry_after_us, US_PER_S);
}

uint64_t fault_retry_ms(uint64_t retry_after_us) {
  return rounded_up(retry_after_us, US_PER_MS);
}
