/* Fine-tuning: nothing is remembered, a job is what its id says. ftjob-mock-… runs, ftjob-done… has succeeded, ftjob-failed… has
   not; each has three events. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/mock-provider/openai-internal.h"
#include "tests/mock-provider/pages.h"

#define INVALID "invalid_request_error"

#define JOBS "/v1/fine_tuning/jobs"

static void put_job(Text id, const char *status, Answer *ret) {
  bool done = strcmp(status, "succeeded") == 0, failed = strcmp(status, "failed") == 0;

  ret->status = 200;
  ret->type = "application/json";
  buffer_printf(&ret->body,
                "{\"object\":\"fine_tuning.job\",\"id\":\"%.*s\",\"model\":\"mock-small\",\"created_at\":1700000000,"
                "\"finished_at\":%s,\"fine_tuned_model\":%s,\"status\":\"%s\",\"trained_tokens\":%s,\"error\":%s,"
                "\"result_files\":[],\"organization_id\":\"org-mock\"}",
                TEXT_ARG(id), done || failed ? "1700000900" : "null", done ? "\"ft:mock-small:org::abc\"" : "null",
                status, done ? "5000" : "null",
                failed ? "{\"code\":\"invalid_training_file\",\"message\":\"Line 3 is no example.\",\"param\":"
                         "\"training_file\"}"
                       : "{}");
}

static bool begins(Text text, const char *prefix) {
  size_t n = strlen(prefix);

  return text.size >= n && memcmp(text.data, prefix, n) == 0;
}

#define TABLE static const OpenAiField

TABLE CREATE[] = {OPENAI_NEEDS("model", TEXT),
                  OPENAI_NEEDS("training_file", TEXT),
                  OPENAI_HAS("validation_file", TEXT),
                  OPENAI_HAS("suffix", TEXT),
                  OPENAI_RANGE("seed", WHOLE, 0, 2147483647),
                  OPENAI_HAS("method", OBJECT),
                  OPENAI_HAS("metadata", OBJECT),
                  OPENAI_HAS("integrations", LIST),
                  OPENAI_HAS("hyperparameters", OBJECT),
                  OPENAI_END};
TABLE METHOD[] = {OPENAI_IS("type", "supervised dpo reinforcement"), OPENAI_HAS("supervised", OBJECT),
                  OPENAI_HAS("dpo", OBJECT), OPENAI_HAS("reinforcement", OBJECT), OPENAI_END};
TABLE SUPERVISED[] = {OPENAI_HAS("hyperparameters", OBJECT), OPENAI_END};
TABLE HYPER[] = {OPENAI_HAS("batch_size", ANY), OPENAI_HAS("learning_rate_multiplier", ANY),
                 OPENAI_HAS("n_epochs", ANY), OPENAI_END};
TABLE EPOCHS[] = {OPENAI_RANGE("n_epochs", WHOLE, 1, 50), OPENAI_HAS("batch_size", ANY),
                  OPENAI_HAS("learning_rate_multiplier", ANY), OPENAI_END};

static bool check_file(Json body, const char *name, Answer *ret) {
  Json file = openai_find(body, name);
  Text text = TEXT_NONE;

  json_get_plain(file, &text);
  return json_is_none(file) || begins(text, "file-") ||
         openai_fail(ret, 400, INVALID, "invalid_value", name, "invalid %s: no such File object", name);
}

static bool check_method(const Ask *ask, Json method, Answer *ret) {
  Json supervised = openai_find(method, "supervised"), hyper = openai_find(supervised, "hyperparameters");
  bool is_auto = json_string_is(json_find(hyper, "n_epochs"), "auto");

  return json_is_none(method) ||
         (openai_check_fields(ask, "method.", method, METHOD, ret) &&
          (json_is_none(supervised) || openai_check_fields(ask, "method.supervised.", supervised, SUPERVISED, ret)) &&
          (json_is_none(hyper) ||
           openai_check_fields(ask, "method.supervised.hyperparameters.", hyper, is_auto ? HYPER : EPOCHS, ret)));
}

static bool check_create(const Ask *ask, Json body, Answer *ret) {
  size_t suffix = json_string_bytes(openai_find(body, "suffix"));

  if (!openai_check_fields(ask, "", body, CREATE, ret) || !check_file(body, "training_file", ret) ||
      !check_file(body, "validation_file", ret) || !check_method(ask, openai_find(body, "method"), ret))
    return false;
  return suffix <= 64 || openai_fail(ret, 400, INVALID, "string_above_max_length", "suffix",
                                     "Invalid 'suffix': string too long. Expected a string with maximum length 64, "
                                     "but got %zu.",
                                     suffix);
}

static void answer_create(const Ask *ask, Answer *ret) {
  Json body;
  char id[64];

  if (!openai_check_body(ask, &body, ret) || !check_create(ask, body, ret))
    return;
  snprintf(id, sizeof id, "ftjob-mock-%llu", (unsigned long long)ask->number);
  put_job(text_of(id), "validating_files", ret);
}

static bool check_page(Text limit, Answer *ret) {
  long count = limit.size ? strtol(limit.data, NULL, 10) : 20;

  return (count >= 1 && count <= 100) ||
         openai_fail(ret, 400, INVALID, count < 1 ? "integer_below_min_value" : "integer_above_max_value", "limit",
                     "Invalid 'limit': expected 1 to 100, but got %ld instead.", count);
}

/* Newest first; the id of an event is its number. */
static void answer_events(const Ask *ask, Answer *ret) {
  static const char *const MESSAGES[] = {"Created fine-tuning job", "Step 1/2: \\\"loss\\\" 1.50",
                                         "Step 2/2: loss 0.75"};
  char room[256] = "", limit_room[256] = "";
  Text after = pages_query(ask->http->query, "after", room);
  Text limit = pages_query(ask->http->query, "limit", limit_room);
  int at = after.size ? after.data[after.size - 1] - '0' : 3;
  int count = limit.size ? (int)strtol(limit.data, NULL, 10) : 20;
  bool first = true;

  if (!check_page(limit, ret))
    return;
  ret->status = 200;
  ret->type = "application/json";
  buffer_printf(&ret->body, "{\"object\":\"list\",\"data\":[");
  for (at--; at >= 0 && count > 0; at--, count--, first = false)
    buffer_printf(&ret->body,
                  "%s{\"object\":\"fine_tuning.job.event\",\"id\":\"ftevent-%d\",\"created_at\":%d,\"level\":\"info\","
                  "\"message\":\"%s\",\"type\":\"message\"}",
                  first ? "" : ",", at, 1700000000 + at, MESSAGES[at]);
  buffer_printf(&ret->body, "],\"has_more\":%s}", at >= 0 ? "true" : "false");
}

void openai_answer_tuning(const Ask *ask, Answer *ret) {
  size_t n = sizeof JOBS - 1;
  Text rest = {ask->path.data + n, ask->path.size - n}, verb = TEXT_NONE;
  bool posts = text_is(ask->http->method, "POST");
  const char *slash;

  if (rest.size <= 1) {
    if (posts)
      answer_create(ask, ret);
    else
      openai_fail(ret, 405, INVALID, "method_not_supported", NULL, "Not allowed.");
    return;
  }
  rest = (Text){rest.data + 1, rest.size - 1};
  slash = memchr(rest.data, '/', rest.size);
  if (slash) {
    verb = (Text){slash + 1, rest.size - (size_t)(slash - rest.data) - 1};
    rest.size = (size_t)(slash - rest.data);
  }
  if (!begins(rest, "ftjob-") || rest.size > 128)
    openai_fail(ret, 404, INVALID, "fine_tune_not_found", "fine_tune_id", "Could not find fine tune: %.*s",
                (int)min_u64(rest.size, 128), rest.data);
  else if (text_is(verb, "events") && !posts)
    answer_events(ask, ret);
  else if (text_is(verb, "cancel") && posts && begins(rest, "ftjob-done"))
    openai_fail(ret, 400, INVALID, NULL, NULL, "Job has already completed: %.*s", TEXT_ARG(rest));
  else if (text_is(verb, "cancel") && posts)
    put_job(rest, "cancelled", ret);
  else if (verb.size == 0 && !posts)
    put_job(rest, begins(rest, "ftjob-done") ? "succeeded" : begins(rest, "ftjob-failed") ? "failed" : "running", ret);
  else
    openai_fail(ret, 404, INVALID, "unknown_url", NULL, "Unknown request URL.");
}
