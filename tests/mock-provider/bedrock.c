/* Bedrock's dialect: POST /model/ID/converse, /converse-stream and /invoke, what is asked and planned. */
#include <stdio.h>

#include "tests/mock-provider/arguments.h"
#include "tests/mock-provider/bedrock-internal.h"
#include "tests/mock-provider/pages.h"

typedef struct Target {
  char model[257]; /* decoded */
  Text operation;
} Target;

static bool is_models(Text path) {
  return text_is(path, "/foundation-models") || text_is(path, "/inference-profiles");
}

static bool claims(Text path) {
  return (path.size > 7 && memcmp(path.data, "/model/", 7) == 0) || is_models(path);
}

static int digit(char c) {
  return c >= '0' && c <= '9' ? c - '0' : (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

/* "/model/ID/OPERATION", ID percent-encoded: a '/' in it too. */
static bool read_target(Text path, Target *ret) {
  const char *slash = memchr(path.data + 7, '/', path.size - 7);
  size_t n = 0;

  if (!slash)
    return false;
  for (const char *at = path.data + 7; at < slash && n < sizeof ret->model - 1; at++) {
    int value = *at == '%' && at + 2 < slash ? digit(at[1]) * 16 + digit(at[2]) : (uint8_t)*at;

    ret->model[n++] = (char)value;
    at += *at == '%' ? 2 : 0;
  }
  ret->model[n] = 0;
  ret->operation = (Text){slash + 1, (size_t)(path.data + path.size - slash) - 1};
  return true;
}

/* --- calls of tools --- */

/* A line of story->calls: one call with an argument for each property. */
static void put_call(const Story *story, Json spec, unsigned number, Buffer *out) {
  buffer_printf(out, "{\"toolUseId\":\"tooluse_%llx_%u\",\"name\":%.*s,\"input\":", (unsigned long long)story->number,
                number, TEXT_ARG(json_find(spec, "name").text));
  arguments_put(json_find(json_find(spec, "inputSchema"), "json"), out);
  buffer_printf(out, "}\n");
}

/* The tools that were declared, one after the other and from the first again. */
static void plan_calls(const Ask *ask, Json tools, Story *story) {
  JsonWalk walk = json_walk(tools);
  unsigned number = 0;
  bool any = true;
  Json tool;

  while (any && number < ask->knobs.calls) {
    any = false;
    walk = json_walk(tools);
    while (number < ask->knobs.calls && json_next_element(&walk, &tool)) {
      Json spec = json_find(tool, "toolSpec");

      if (json_is_none(spec))
        continue;
      put_call(story, spec, number++, &story->calls);
      any = true;
    }
  }
}

/* --- Converse --- */

/* Counts the words of texts and keeps the user's last ones for an echo. */
static void read_blocks(const Ask *ask, Json blocks, bool user, Story *story) {
  JsonWalk walk = json_walk(blocks);
  bool begun = false;
  Json block;

  while (json_next_element(&walk, &block)) {
    Json text = json_find(block, "text");

    if (json_type(text) != JSON_STRING)
      continue;
    story->prompt_tokens += story_words(text.text);
    if (!ask->knobs.echo || !user)
      continue;
    if (!begun)
      buffer_clear(&story->echo);
    begun = true;
    buffer_append(&story->echo, text.text.data + 1, text.text.size - 2);
  }
}

static void plan(const Ask *ask, const BedrockAsk *asked, const char *model, Story *story) {
  JsonWalk walk = json_walk(asked->messages);
  Json message;

  story_begin(story, &ask->knobs, ask->number);
  snprintf(story->model, sizeof story->model, "%.*s", (int)sizeof story->model - 1, model);
  read_blocks(ask, asked->system, false, story);
  while (json_next_element(&walk, &message))
    read_blocks(ask, json_find(message, "content"), json_string_is(json_find(message, "role"), "user"), story);
  story_plan(story, &ask->knobs, asked->limit_tokens);
  story->answer_tokens += ask->knobs.thoughts;
  story->usage = !ask->knobs.no_usage;
  plan_calls(ask, asked->tools, story);
}

static void answer_converse(const Ask *ask, const Target *target, Json body, bool streams, Answer *ret) {
  BedrockAsk asked;

  if (!bedrock_check_fields(ask, body, ret) || !bedrock_check_converse(body, &asked, ret))
    return;
  plan(ask, &asked, target->model, &ret->story);
  ret->status = 200;
  ret->streams = streams;
  ret->type = streams ? "application/vnd.amazon.eventstream" : "application/json";
  if (!streams)
    bedrock_put_plain(ask, &ret->story, &ret->body);
}

/* --- requests --- */

static bool has_model(const Ask *ask, const char *model) {
  const char *at = ask->models;

  while (at && *at) {
    size_t n = strcspn(at, ",");

    if (text_is((Text){at, n}, model))
      return true;
    at += n + (at[n] ? 1 : 0);
  }
  return !ask->models && *model;
}

static bool check_body(const Ask *ask, Json *ret_body, Answer *ret) {
  Text type = http_header(ask->http, "content-type");

  if (!http_same(type, TEXT("application/json")))
    return bedrock_fail(ret, 415, "UnknownOperationException", "The content type must be application/json.");
  if (json_check(ask->http->body, ret_body, NULL) != 0 || json_type(*ret_body) != JSON_OBJECT)
    return bedrock_fail(ret, 400, "SerializationException", "The body is no JSON object.");
  return true;
}

/* --- models --- */

static void put_summary(Text name, Buffer *out) {
  buffer_printf(out, "{\"modelArn\":\"arn:aws:bedrock:eu-central-1::foundation-model/%.*s\",\"modelId\":\"%.*s\"}",
                TEXT_ARG(name), TEXT_ARG(name));
}

static void put_profile(Text name, Buffer *out) {
  buffer_printf(out, "{\"inferenceProfileId\":\"eu.%.*s\",\"status\":\"ACTIVE\",\"type\":\"SYSTEM_DEFINED\"}",
                TEXT_ARG(name));
}

static void answer_models(const Ask *ask, Answer *ret) {
  char room[256];
  Text last;
  Ask whole = *ask;

  if (!bedrock_check_signature(ask, ret))
    return;
  ret->status = 200;
  ret->type = "application/json";
  whole.knobs.page = UNSET;
  if (text_is(ask->path, "/foundation-models")) {
    buffer_printf(&ret->body, "{\"modelSummaries\":[");
    pages_put(&whole, TEXT_NONE, put_summary, &ret->body, &last);
    buffer_printf(&ret->body, "]}");
    return;
  }
  buffer_printf(&ret->body, "{\"inferenceProfileSummaries\":[");
  if (pages_put(ask, pages_query(ask->http->query, "nextToken", room), put_profile, &ret->body, &last))
    buffer_printf(&ret->body, "],\"nextToken\":\"%.*s\"}", TEXT_ARG(last));
  else
    buffer_printf(&ret->body, "]}");
}

static void answer(const Ask *ask, Answer *ret) {
  Target target;
  Json body;

  buffer_printf(&ret->headers, "x-amzn-RequestId: 00000000-0000-4000-8000-%012llx\r\n",
                (unsigned long long)ask->number & 0xffffffffffff);
  if (is_models(ask->path) && text_is(ask->http->method, "GET")) {
    answer_models(ask, ret);
    return;
  }
  if (!read_target(ask->path, &target) || !text_is(ask->http->method, "POST")) {
    bedrock_fail(ret, 404, "UnknownOperationException", "There is no such operation.");
    return;
  }
  if (!bedrock_check_signature(ask, ret) || !check_body(ask, &body, ret))
    return;
  if (!has_model(ask, target.model))
    bedrock_invalid(ret, "The provided model identifier is invalid.");
  else if (text_is(target.operation, "converse") || text_is(target.operation, "converse-stream"))
    answer_converse(ask, &target, body, text_is(target.operation, "converse-stream"), ret);
  else if (text_is(target.operation, "invoke-with-response-stream") ||
           (text_is(target.operation, "invoke") && json_type(json_find(body, "messages")) == JSON_ARRAY))
    bedrock_answer_claude(ask, target.model, body, !text_is(target.operation, "invoke"), ret);
  else if (text_is(target.operation, "invoke"))
    bedrock_answer_invoke(ask, text_of(target.model), body, ret);
  else
    bedrock_fail(ret, 404, "UnknownOperationException", "There is no such operation.");
}

const Dialect DIALECT_BEDROCK = {
    .name = "bedrock", .claims = claims, .answer = answer, .error = bedrock_error, .put_part = bedrock_put_part};
