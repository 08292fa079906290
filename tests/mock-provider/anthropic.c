/* Anthropic's dialect: /v1/messages and /v1/messages/count_tokens. */
#include "tests/mock-provider/anthropic-internal.h"

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

static bool check_headers(const Ask *ask, Answer *ret) {
  Text version = http_header(ask->http, "anthropic-version");
  Text type = http_header(ask->http, "content-type");

  if (!version.size)
    return anthropic_invalid(ret, "anthropic-version: header is required");
  if (!text_is(version, "2023-06-01") && !text_is(version, "2023-01-01"))
    return anthropic_invalid(ret, "anthropic-version: \"%.*s\" is not a valid version", (int)min_u64(version.size, 64),
                             version.data);
  return (type.size >= 16 && memcmp(type.data, "application/json", 16) == 0) ||
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

const Dialect DIALECT_ANTHROPIC = {
    .name = "anthropic", .claims = claims, .answer = answer, .error = anthropic_error, .put_part = anthropic_put_part};
