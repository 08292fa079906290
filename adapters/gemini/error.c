/* Google's errors have google.rpc.Status' shape: a status of gRPC, a sentence, details. A key that is not valid, a prompt that is
   too long and a malformed request are all INVALID_ARGUMENT; details and sentence tell them apart. */
#include "adapters/dialect/retry_after.h"
#include "adapters/gemini/gemini-internal.h"

static const struct {
  const char *status;
  Cause cause;
} statuses[] = {
    {"INVALID_ARGUMENT", CAUSE_CALLER},       {"OUT_OF_RANGE", CAUSE_CALLER},
    {"FAILED_PRECONDITION", CAUSE_AUTH}, /* not from this country, or not without an account that pays */
    {"UNAUTHENTICATED", CAUSE_AUTH},          {"PERMISSION_DENIED", CAUSE_AUTH},
    {"NOT_FOUND", CAUSE_UNAVAILABLE},         {"UNIMPLEMENTED", CAUSE_UNAVAILABLE},
    {"RESOURCE_EXHAUSTED", CAUSE_RATE_LIMIT}, {"DEADLINE_EXCEEDED", CAUSE_STALL},
};

/* The detail of that type, by the end of its name. */
static Json find_detail(Json error, const char *type) {
  JsonWalk walk = json_walk(json_find(error, "details"));
  size_t n = strlen(type);
  Text name;
  Json one;

  while (json_next_element(&walk, &one))
    if (json_get_plain(json_find(one, "@type"), &name) == 0 && name.size >= n &&
        memcmp(name.data + name.size - n, type, n) == 0)
      return one;
  return (Json){TEXT_NONE};
}

/* A quota of a day is not there again when a limit of a minute is. */
static bool is_used_up(Json error) {
  JsonWalk walk = json_walk(json_find(find_detail(error, "google.rpc.QuotaFailure"), "violations"));
  Json one;

  while (json_next_element(&walk, &one))
    if (dialect_says(json_find(one, "quotaId").text, "PerDay"))
      return true;
  return false;
}

static Cause cause_of(Json error, unsigned http_status, Text message) {
  Json status = json_find(error, "status");
  Cause cause = dialect_cause_of_status(http_status);

  for (size_t i = 0; i < ELEMENTS(statuses); i++)
    if (json_string_is(status, statuses[i].status))
      cause = statuses[i].cause;
  if (cause == CAUSE_CALLER &&
      json_string_is(json_find(find_detail(error, "google.rpc.ErrorInfo"), "reason"), "API_KEY_INVALID"))
    return CAUSE_AUTH;
  if (cause == CAUSE_CALLER && dialect_says(message, "token count") && dialect_says(message, "exceeds"))
    return CAUSE_CONTEXT;
  return cause == CAUSE_RATE_LIMIT && is_used_up(error) ? CAUSE_QUOTA : cause;
}

/* "1.5s" of RetryInfo, else what the headers say. */
static uint64_t read_retry(Json error, const DialectHead *head) {
  Text delay;

  if (json_get_plain(json_find(find_detail(error, "google.rpc.RetryInfo"), "retryDelay"), &delay) == 0 &&
      delay.size > 1 && delay.data[delay.size - 1] == 's')
    return retry_after_us((Text){delay.data, delay.size - 1}, TEXT_NONE, head->now_s);
  return retry_after_us(head->retry_after, head->retry_after_ms, head->now_s);
}

/* The path of the first field that is wrong. */
static void read_field(Json error, Buffer *ret) {
  JsonWalk walk = json_walk(json_find(find_detail(error, "google.rpc.BadRequest"), "fieldViolations"));
  Json one;

  if (json_next_element(&walk, &one))
    json_get_string(json_find(one, "field"), ret);
}

void gemini_decode_error(const DialectHead *head, Text body, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer message = {0};
  _cleanup_(buffer_done) Buffer code = {0};
  _cleanup_(buffer_done) Buffer param = {0};
  Json answer = {TEXT_NONE}, error;
  uint64_t status = head->status;
  JsonWalk walk;
  Cause cause;

  json_check(body, &answer, NULL);
  walk = json_walk(answer);
  if (json_type(answer) == JSON_ARRAY) /* a stream that is no events, but one list */
    json_next_element(&walk, &answer);
  error = json_find(answer, "error");
  json_get_string(json_find(error, "message"), &message);
  json_get_string(json_find(error, "status"), &code);
  read_field(error, &param);
  if (head->status == 200)
    json_get_uint(json_find(error, "code"), &status);
  cause = cause_of(error, (unsigned)min_u64(status, 599), buffer_text(&message));
  dialect_explain(head, &message);
  dialect_fault_set(ret_fault,
                    &(Fault){.cause = cause,
                             .message = buffer_text(&message),
                             .code = cause == CAUSE_CONTEXT ? TEXT("context_length_exceeded") : buffer_text(&code),
                             .param = buffer_text(&param),
                             .http_status = (unsigned)min_u64(status, 599),
                             .retry_after_us = read_retry(error, head)});
}
