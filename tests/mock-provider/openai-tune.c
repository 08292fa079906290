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

static bool check_create(Json body, Answer *ret) {
  static const char KNOWN[] = " model training_file validation_file suffix seed method metadata integrations "
                              "hyperparameters ";
  JsonWalk walk = json_walk(body);
  char word[80];
  Text text;
  Json key, value;

  while (json_next_member(&walk, &key, &value)) {
    if (json_get_plain(key, &text) != 0 || snprintf(word, sizeof word, " %.*s ", TEXT_ARG(text)) < 0 ||
        !strstr(KNOWN, word))
      return openai_fail(ret, 400, INVALID, "unknown_parameter", NULL, "Unknown parameter: %.*s.", TEXT_ARG(key.text));
  }
  if (!json_string_bytes(json_find(body, "model")))
    return openai_fail(ret, 400, INVALID, "missing_required_parameter", "model",
                       "Missing required parameter: 'model'.");
  if (json_get_plain(json_find(body, "training_file"), &text) != 0 || !begins(text, "file-"))
    return openai_fail(ret, 400, INVALID, "invalid_value", "training_file",
                       "invalid training_file: no such File object");
  value = json_find(body, "method");
  if (!json_is_none(value) &&
      (!json_string_is(json_find(value, "type"), "supervised") ||
       json_type(json_find(json_find(json_find(value, "supervised"), "hyperparameters"), "n_epochs")) != JSON_NUMBER))
    return openai_fail(ret, 400, INVALID, "invalid_value", "method", "Invalid value for 'method'.");
  return true;
}

static void answer_create(const Ask *ask, Answer *ret) {
  Json body = {TEXT_NONE};
  char id[64];

  if (json_check(ask->http->body, &body, NULL) != 0 || json_type(body) != JSON_OBJECT) {
    openai_fail(ret, 400, INVALID, NULL, NULL, "We could not parse the JSON body of your request.");
    return;
  }
  if (!check_create(body, ret))
    return;
  snprintf(id, sizeof id, "ftjob-mock-%llu", (unsigned long long)ask->number);
  put_job(text_of(id), "validating_files", ret);
}

/* Newest first; the id of an event is its number. */
static void answer_events(const Ask *ask, Answer *ret) {
  static const char *const MESSAGES[] = {"Created fine-tuning job", "Step 1/2: \\\"loss\\\" 1.50",
                                         "Step 2/2: loss 0.75"};
  char room[256], limit_room[256];
  Text after = pages_query(ask->http->query, "after", room);
  Text limit = pages_query(ask->http->query, "limit", limit_room);
  int at = after.size ? after.data[after.size - 1] - '0' : 3;
  int count = limit.size ? (int)strtol(limit.data, NULL, 10) : 20;
  bool first = true;

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
