/* Gemini's dialect: /v1beta/models/NAME:METHOD. */
#include <stdarg.h>
#include <stdio.h>

#include "tests/mock-provider/gemini-internal.h"
#include "tests/mock-provider/pages.h"

static const char MODELS[] = "/v1beta/models";

bool gemini_fail(Answer *ret, unsigned code, const char *status, const char *details, const char *format, ...) {
  Buffer message = {0};
  va_list arguments;
  char text[768];

  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  ret->status = code;
  ret->type = "application/json; charset=UTF-8";
  ret->streams = false;
  buffer_clear(&ret->body);
  json_put_string(&message, text_of(text));
  buffer_printf(&ret->body, "{\n  \"error\": {\n    \"code\": %u,\n    \"message\": %.*s,\n    \"status\": \"%s\"",
                code, (int)message.size, (const char *)message.data, status);
  if (details)
    buffer_printf(&ret->body, ",\n    \"details\": [\n      %s\n    ]", details);
  buffer_printf(&ret->body, "\n  }\n}\n");
  buffer_done(&message);
  return false;
}

/* --- routes --- */

static bool claims(Text path) {
  return path.size >= 8 && memcmp(path.data, "/v1beta/", 8) == 0;
}

/* What a path asks for: the model's name, and the method behind the colon; both empty for the list of models. */
typedef struct Target {
  Text model;
  Text method;
  bool found;
} Target;

static Target read_target(Text path) {
  size_t n = sizeof MODELS - 1;
  Target target = {.found =
                       path.size >= n && memcmp(path.data, MODELS, n) == 0 && (path.size == n || path.data[n] == '/')};
  const char *colon;

  if (!target.found || path.size <= n + 1)
    return target;
  target.model = (Text){path.data + n + 1, path.size - n - 1};
  colon = memchr(target.model.data, ':', target.model.size);
  if (colon) {
    target.method = (Text){colon + 1, (size_t)(path.data + path.size - colon) - 1};
    target.model.size = (size_t)(colon - target.model.data);
  }
  return target;
}

Text gemini_query(Text query, const char *name) {
  size_t n = strlen(name);

  while (query.size) {
    const char *end = memchr(query.data, '&', query.size);
    Text pair = {query.data, end ? (size_t)(end - query.data) : query.size};

    if (pair.size > n && memcmp(pair.data, name, n) == 0 && pair.data[n] == '=')
      return (Text){pair.data + n + 1, pair.size - n - 1};
    query = (Text){pair.data + pair.size + (end ? 1 : 0), query.size - pair.size - (end ? 1 : 0)};
  }
  return TEXT_NONE;
}

static bool check_key(const Ask *ask, Answer *ret) {
  Text given = http_header(ask->http, "x-goog-api-key");

  if (!ask->key)
    return true;
  if (!given.size && http_header(ask->http, "authorization").size)
    return gemini_fail(ret, 401, "UNAUTHENTICATED", NULL,
                       "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or "
                       "other valid authentication credential. See https://developers.google.com/identity/sign-in/web/"
                       "devconsole-project.");
  if (!given.size)
    given = gemini_query(ask->http->query, "key");
  if (text_is(given, ask->key))
    return true;
  if (given.size)
    gemini_error(ask, 0, "invalid_api_key", NULL, ret);
  else
    gemini_error(ask, 403, NULL, NULL, ret);
  return false;
}

bool gemini_has_model(const Ask *ask, Text model) {
  const char *at = ask->models;

  while (at && *at) {
    size_t n = strcspn(at, ",");

    if (text_equal((Text){at, n}, model))
      return true;
    at += n + (at[n] ? 1 : 0);
  }
  return !ask->models && model.size && model.size <= 128;
}

static bool no_model(Text model, const char *method, Answer *ret) {
  return gemini_fail(
      ret, 404, "NOT_FOUND", NULL,
      "models/%.*s is not found for API version v1beta, or is not supported for %s. Call ListModels to see "
      "the list of available models and their supported methods.",
      model.size > 128 ? 128 : (int)model.size, model.data, method);
}

/* What a method has no parameter for is refused, but for what Google's servers take everywhere, and the mock's own knobs. */
static bool check_query(const Ask *ask, bool lists, Answer *ret) {
  static const char *const KNOWN[] = {"key", "alt", "prettyPrint", "fields", "quotaUser", "$alt"};
  static const char *const OF_LISTS[] = {"pageSize", "pageToken"};
  Text query = ask->http->query;

  while (query.size) {
    const char *end = memchr(query.data, '&', query.size);
    size_t size = end ? (size_t)(end - query.data) : query.size;
    const char *is = memchr(query.data, '=', size);
    Text name = {query.data, is ? (size_t)(is - query.data) : size};
    bool known = knobs_has(name);

    for (size_t i = 0; i < ELEMENTS(KNOWN); i++)
      known |= text_is(name, KNOWN[i]);
    for (size_t i = 0; lists && i < ELEMENTS(OF_LISTS); i++)
      known |= text_is(name, OF_LISTS[i]);
    if (!known)
      return gemini_invalid(ret,
                            "Invalid JSON payload received. Unknown name \"%.*s\": Cannot bind query parameter. Field "
                            "'%.*s' could not be found in request message.",
                            TEXT_ARG(name), TEXT_ARG(name));
    query = (Text){query.data + size + (end ? 1 : 0), query.size - size - (end ? 1 : 0)};
  }
  return true;
}

/* --- embeddings and models --- */

static uint32_t put_embedding(Json request, uint32_t index, Buffer *out) {
  JsonWalk walk = json_walk(gemini_find(gemini_find(request, "content"), "parts"));
  uint64_t dimensions = 8;
  uint32_t words = 0;
  Json part;

  json_get_uint(gemini_find(request, "outputDimensionality"), &dimensions);
  while (json_next_element(&walk, &part))
    words += story_words(gemini_find(part, "text").text);
  buffer_printf(out, "{\"values\":[");
  for (uint64_t i = 0; i < dimensions; i++)
    buffer_printf(out, "%s%.7g", i ? "," : "", (double)((i * 37 + words * 11 + index) % 128) / 128 - 0.5);
  buffer_printf(out, "]}");
  return words;
}

static void answer_embed(const Ask *ask, Json body, Text model, Answer *ret) {
  uint32_t words;

  if (!gemini_check_fields(ask, GEMINI_EMBED, body, ret) || !gemini_check_embed(body, model, false, ret))
    return;
  buffer_printf(&ret->body, "{\"embedding\":");
  words = put_embedding(body, 0, &ret->body);
  if (!ask->knobs.no_usage)
    buffer_printf(&ret->body, ",\"usageMetadata\":{\"promptTokenCount\":%u}", words);
  buffer_append(&ret->body, "}", 1);
}

static void answer_batch(const Ask *ask, Json body, Text model, Answer *ret) {
  Json requests = gemini_find(body, "requests"), request;
  uint32_t count = 0, words = 0;
  JsonWalk walk = json_walk(requests);

  if (!gemini_check_fields(ask, GEMINI_BATCH_EMBED, body, ret))
    return;
  buffer_printf(&ret->body, "{\"embeddings\":[");
  for (; json_next_element(&walk, &request); count++) {
    if (!gemini_check_embed(request, model, true, ret))
      return;
    buffer_printf(&ret->body, "%s", count ? "," : "");
    words += put_embedding(request, count, &ret->body);
  }
  if (!count || count > 100)
    gemini_invalid(ret,
                   "* BatchEmbedContentsRequest.requests: at least 1 and at most 100 requests can be in one batch\n");
  else if (!ask->knobs.no_usage)
    buffer_printf(&ret->body, "],\"usageMetadata\":{\"promptTokenCount\":%u}}", words);
  else
    buffer_printf(&ret->body, "]}");
}

static void put_model(Text name, Buffer *out) {
  buffer_printf(out,
                "{\"name\":\"models/%.*s\",\"version\":\"001\",\"displayName\":\"Mock\",\"inputTokenLimit\":1048576,"
                "\"outputTokenLimit\":65536,\"supportedGenerationMethods\":[\"generateContent\",\"embedContent\"]}",
                TEXT_ARG(name));
}

static void answer_models(const Ask *ask, Text model, Answer *ret) {
  char room[256];
  Text last;

  if (model.size) {
    if (gemini_has_model(ask, model))
      put_model(model, &ret->body);
    else
      gemini_fail(ret, 404, "NOT_FOUND", NULL, "Model is not found: models/%.*s for api version v1beta",
                  model.size > 128 ? 128 : (int)model.size, model.data);
    return;
  }
  buffer_printf(&ret->body, "{\"models\":[");
  if (pages_put(ask, pages_query(ask->http->query, "pageToken", room), put_model, &ret->body, &last))
    buffer_printf(&ret->body, "],\"nextPageToken\":\"%.*s\"}", TEXT_ARG(last));
  else
    buffer_printf(&ret->body, "]}");
}

/* --- all of it --- */

static bool check_body(const Ask *ask, Json *ret_body, Answer *ret) {
  Text type = http_header(ask->http, "content-type");
  JsonFault fault;

  if (type.size < 16 || memcmp(type.data, "application/json", 16) != 0 || (type.size > 16 && type.data[16] != ';'))
    return gemini_invalid(ret, "Invalid JSON payload received. Unknown name \"\": Cannot bind query parameter. Field "
                               "'' could not be found in request message.");
  if (json_check(ask->http->body, ret_body, &fault))
    return gemini_invalid(ret, "Invalid JSON payload received. %s\nat byte %zu", fault.message, fault.offset_bytes);
  return json_type(*ret_body) == JSON_OBJECT ||
         gemini_invalid(ret, "Invalid JSON payload received. Unknown name \"\": Root element must be a message.");
}

static void answer_method(const Ask *ask, const Target *target, Answer *ret) {
  char name[32];
  Json body;

  snprintf(name, sizeof name, "%.*s", TEXT_ARG(target->method));
  if (!gemini_has_model(ask, target->model))
    no_model(target->model, name, ret);
  else if (!check_body(ask, &body, ret))
    return;
  else if (text_is(target->method, "embedContent"))
    answer_embed(ask, body, target->model, ret);
  else if (text_is(target->method, "batchEmbedContents"))
    answer_batch(ask, body, target->model, ret);
  else if (text_is(target->method, "generateContent") || text_is(target->method, "streamGenerateContent"))
    gemini_answer_generate(ask, body, target->model, text_is(target->method, "streamGenerateContent"), ret);
  else
    no_model(target->model, name, ret);
}

static void answer(const Ask *ask, Answer *ret) {
  Target target = read_target(ask->path);
  bool get = text_is(ask->http->method, "GET") || text_is(ask->http->method, "HEAD");

  ret->status = 200;
  ret->type = "application/json; charset=UTF-8";
  buffer_printf(&ret->headers, "vary: Origin\r\nserver-timing: gfet4t7; dur=%u\r\n", ask->knobs.delay_ms);
  if (!check_key(ask, ret) || !check_query(ask, get && !target.model.size, ret))
    return;
  if (target.found && get && !target.method.size)
    answer_models(ask, target.model, ret);
  else if (target.found && target.method.size && text_is(ask->http->method, "POST"))
    answer_method(ask, &target, ret);
  else
    gemini_fail(ret, 404, "NOT_FOUND", NULL, "The requested URL was not found on this server.");
}

/* A prompt that a policy forbids is an answer here, and no error. */
static void error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret) {
  bool policy = code && (strcmp(code, "content_policy_violation") == 0 || strcmp(code, "content_filter") == 0);
  Ask blocked = *ask;

  if (!policy) {
    gemini_error(ask, status, code, message, ret);
    return;
  }
  snprintf(blocked.knobs.block, sizeof blocked.knobs.block, "PROHIBITED_CONTENT");
  blocked.knobs.code[0] = 0;
  answer(&blocked, ret);
}

const Dialect DIALECT_GEMINI = {.name = "gemini",
                                .claims = claims,
                                .retry_in_body = true,
                                .answer = answer,
                                .error = error,
                                .put_part = gemini_put_part};
