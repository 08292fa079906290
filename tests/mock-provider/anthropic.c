/* Anthropic's dialect: /v1/messages and /v1/messages/count_tokens. */
#include <stdlib.h>

#include "tests/mock-provider/anthropic-internal.h"
#include "tests/mock-provider/pages.h"

static const char MESSAGES[] = "/v1/messages";
static const char COUNT[] = "/v1/messages/count_tokens";

static bool claims(Text path) {
  return text_is(path, MESSAGES) || text_is(path, COUNT);
}

/* The key stands in a header of its own, or as a bearer's. */
static bool check_key(const Ask *ask, Answer *ret) {
  static const char BEARER[] = "Bearer ";
  Text key = http_header(ask->http, "x-api-key");
  Text bearer = http_header(ask->http, "authorization");

  if (!ask->key)
    return true;
  if (!key.size && bearer.size >= sizeof BEARER && memcmp(bearer.data, BEARER, sizeof BEARER - 1) == 0)
    key = (Text){bearer.data + sizeof BEARER - 1, bearer.size - (sizeof BEARER - 1)};
  if (!key.size)
    return anthropic_fail(ret, 401, "authentication_error", "x-api-key header is required");
  return text_is(key, ask->key) || anthropic_fail(ret, 401, "authentication_error", "invalid x-api-key");
}

static bool check_version(const Ask *ask, Answer *ret) {
  Text version = http_header(ask->http, "anthropic-version");

  if (!version.size)
    return anthropic_invalid(ret, "anthropic-version: header is required");
  if (!text_is(version, "2023-06-01") && !text_is(version, "2023-01-01"))
    return anthropic_invalid(ret, "anthropic-version: \"%.*s\" is not a valid version", (int)min_u64(version.size, 64),
                             version.data);
  return true;
}

static bool check_headers(const Ask *ask, Answer *ret) {
  Text type = http_header(ask->http, "content-type");

  if (!check_version(ask, ret))
    return false;
  return (type.size >= 16 && memcmp(type.data, "application/json", 16) == 0 &&
          (type.size == 16 || type.data[16] == ';')) ||
         anthropic_invalid(ret, "content-type: must be application/json");
}

static void answer(const Ask *ask, Answer *ret) {
  bool counts = text_is(ask->path, COUNT);
  AnthropicAsk asked;

  buffer_printf(&ret->headers, "request-id: req_mock%016llx\r\nanthropic-organization-id: mock\r\n",
                (unsigned long long)ask->number);
  if (!text_is(ask->http->method, "POST")) {
    anthropic_fail(ret, 405, "invalid_request_error", "Method Not Allowed");
    return;
  }
  if (!check_key(ask, ret) || !check_headers(ask, ret) || !anthropic_check(ask, counts, &asked, ret))
    return;
  anthropic_plan(ask, &asked, &ret->story);
  ret->status = 200;
  ret->streams = asked.stream;
  ret->type = asked.stream ? "text/event-stream; charset=utf-8" : "application/json";
  if (counts)
    buffer_printf(&ret->body, "{\"input_tokens\":%u}", ret->story.prompt_tokens);
  else if (!asked.stream)
    anthropic_put_plain(ask, &ret->story, &ret->body);
}

/* --- models --- */

static void put_model(Text name, Buffer *out) {
  buffer_printf(out,
                "{\"type\":\"model\",\"id\":\"%.*s\",\"display_name\":\"Mock\",\"created_at\":"
                "\"2025-01-01T00:00:00Z\"}",
                TEXT_ARG(name));
}

void anthropic_answer_models(const Ask *ask, Answer *ret) {
  char room[256] = "", limit_room[256] = "";
  Text after = pages_query(ask->http->query, "after_id", room), last;
  Text limit = pages_query(ask->http->query, "limit", limit_room);
  bool has_more;

  if (!check_key(ask, ret) || !check_version(ask, ret))
    return;
  if (limit.size && (strtol(limit.data, NULL, 10) < 1 || strtol(limit.data, NULL, 10) > 1000)) {
    anthropic_invalid(ret, "limit: Input should be from 1 to 1000");
    return;
  }
  ret->status = 200;
  ret->type = "application/json";
  buffer_printf(&ret->body, "{\"data\":[");
  has_more = pages_put(ask, after, put_model, &ret->body, &last);
  buffer_printf(&ret->body, "],\"has_more\":%s,\"last_id\":", has_more ? "true" : "false");
  buffer_printf(&ret->body, last.size ? "\"%.*s\"}" : "null}", TEXT_ARG(last));
}

const Dialect DIALECT_ANTHROPIC = {
    .name = "anthropic", .claims = claims, .answer = answer, .error = anthropic_error, .put_part = anthropic_put_part};
