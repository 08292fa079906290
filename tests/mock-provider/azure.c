/* Azure's OpenAI: OpenAI's answers behind other paths, with a key of its own form, filters, and gateway errors of its own. */
#include <stdio.h>

#include "tests/mock-provider/openai-internal.h"

static const char FILTERS[] = "\"prompt_filter_results\":[{\"prompt_index\":0,\"content_filter_results\":{\"hate\":"
                              "{\"filtered\":false,\"severity\":\"safe\"}}}]";

static bool begins(Text text, const char *prefix) {
  size_t n = strlen(prefix);

  return text.size >= n && memcmp(text.data, prefix, n) == 0;
}

static bool claims(Text path) {
  return begins(path, "/openai/");
}

/* What the gateway before the model says: a code that is the status. */
static void refuse(Answer *ret, unsigned status, const char *code, const char *message) {
  answer_done(ret);
  ret->status = status;
  ret->type = "application/json";
  buffer_printf(&ret->body, "{\"error\":{\"code\":\"%s\",\"message\":\"%s\"}}", code, message);
}

/* The API v1 takes the key as a bearer's too, as OpenAI's SDK sends it; the dated one takes only Entra's tokens there. */
static bool check_key(const Ask *ask, Answer *ret) {
  static const char BEARER[] = "Bearer ";
  Text key = http_header(ask->http, "api-key"), bearer = http_header(ask->http, "authorization");

  if (!key.size && begins(ask->path, "/openai/v1/") && begins(bearer, BEARER))
    key = (Text){bearer.data + sizeof BEARER - 1, bearer.size - (sizeof BEARER - 1)};
  if (!ask->key || text_is(key, ask->key))
    return true;
  refuse(ret, 401, "401", "Access denied due to invalid subscription key or wrong API endpoint.");
  return false;
}

/* The path behind the deployment or the version; empty when it is none. */
static Text method_of(const Ask *ask, bool *ret_dated) {
  static const char V1[] = "/openai/v1/", DATED[] = "/openai/deployments/";
  const char *slash;
  Text rest;

  *ret_dated = begins(ask->path, DATED);
  if (begins(ask->path, V1))
    return (Text){ask->path.data + sizeof V1 - 1, ask->path.size - sizeof V1 + 1};
  if (!*ret_dated)
    return TEXT_NONE;
  rest = (Text){ask->path.data + sizeof DATED - 1, ask->path.size - sizeof DATED + 1};
  slash = rest.size ? memchr(rest.data, '/', rest.size) : NULL;
  return slash && slash > rest.data ? (Text){slash + 1, rest.size - (size_t)(slash - rest.data) - 1} : TEXT_NONE;
}

/* A day, maybe of a preview, up to the end or the next parameter. */
static bool is_version(Text text) {
  static const char SHAPE[] = "dddd-dd-dd";
  size_t n = sizeof SHAPE - 1;

  for (size_t i = 0; i < n; i++)
    if (i >= text.size || (SHAPE[i] == 'd' ? text.data[i] < '0' || text.data[i] > '9' : text.data[i] != '-'))
      return false;
  text = (Text){text.data + n, text.size - n};
  if (begins(text, "-preview"))
    text = (Text){text.data + 8, text.size - 8};
  return text.size == 0 || *text.data == '&';
}

/* The dated API wants its date, and before 2024-09 it knew no stream_options. */
static bool check_version(const Ask *ask, Answer *ret) {
  static const char NAME[] = "api-version=";
  Text query = ask->http->query;
  const char *at = query.size ? memmem(query.data, query.size, NAME, sizeof NAME - 1) : NULL;
  Text body = ask->http->body;

  if (!at || !is_version((Text){at + sizeof NAME - 1, query.size - (size_t)(at - query.data) - (sizeof NAME - 1)})) {
    refuse(ret, 404, "404", "Resource not found");
    return false;
  }
  if (memcmp(at + sizeof NAME - 1, "2024-09-01", 10) >= 0 || !body.size ||
      !memmem(body.data, body.size, "\"stream_options\"", 16))
    return true;
  openai_fail(ret, 400, "invalid_request_error", NULL, NULL, "Unrecognized request argument supplied: stream_options");
  return false;
}

static void put_filters(Answer *ret) {
  Buffer with = {0};

  buffer_printf(&with, "{%s,", FILTERS);
  buffer_append(&with, ret->body.data + 1, ret->body.size - 1);
  buffer_done(&ret->body);
  ret->body = with;
}

/* What lies under no deployment: "/fine_tuning/jobs/…", "/models". */
static Text plain_path(const Ask *ask, bool *ret_dated, char room[512]) {
  static const char *const PLAIN[] = {"fine_tuning/jobs", "models"};
  Text rest = {ask->path.data + sizeof "/openai/" - 1, ask->path.size - (sizeof "/openai/" - 1)};

  *ret_dated = !begins(rest, "v1/");
  if (!*ret_dated)
    rest = (Text){rest.data + 3, rest.size - 3};
  for (size_t i = 0; i < ELEMENTS(PLAIN); i++)
    if (begins(rest, PLAIN[i]) && rest.size < 500)
      return (Text){room, (size_t)snprintf(room, 512, "/v1/%.*s", TEXT_ARG(rest))};
  return TEXT_NONE;
}

static void answer_plain(const Ask *ask, Text path, bool dated, Answer *ret) {
  Ask inner = *ask;

  if (!check_key(ask, ret) || (dated && !check_version(ask, ret)))
    return;
  inner.key = NULL;
  inner.path = path;
  DIALECT_OPENAI.answer(&inner, ret);
  if (ret->status == 200 && text_is(ask->http->method, "POST") && text_is(path, "/v1/fine_tuning/jobs"))
    ret->status = 201; /* a new job is Created here */
}

static void answer(const Ask *ask, Answer *ret) {
  bool dated = false;
  Text method = method_of(ask, &dated);
  Ask inner = *ask;
  char room[512];
  bool plain_dated;
  Text plain = plain_path(ask, &plain_dated, room);

  if (plain.size) {
    answer_plain(ask, plain, plain_dated, ret);
    return;
  }

  if (!check_key(ask, ret) || (dated && !check_version(ask, ret)))
    return;
  inner.key = NULL;
  if (text_is(method, "chat/completions"))
    inner.path = TEXT("/v1/chat/completions");
  else if (text_is(method, "embeddings"))
    inner.path = TEXT("/v1/embeddings");
  else if (text_is(method, "audio/transcriptions"))
    inner.path = TEXT("/v1/audio/transcriptions");
  else if (text_is(method, "audio/speech"))
    inner.path = TEXT("/v1/audio/speech");
  else {
    refuse(ret, 404, "404", "Resource not found");
    return;
  }
  DIALECT_OPENAI.answer(&inner, ret);
  if (ret->status == 200 && !ret->streams && text_is(method, "chat/completions"))
    put_filters(ret);
}

static void error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret) {
  if (!code && status == 401)
    refuse(ret, 401, "401", "Access denied due to invalid subscription key or wrong API endpoint.");
  else if (!code && status == 404)
    refuse(ret, 404, "DeploymentNotFound", "The API deployment for this resource does not exist.");
  else if (!code && status == 429)
    refuse(ret, 429, "429", "Requests to the ChatCompletions_Create Operation have exceeded call rate limit.");
  else
    DIALECT_OPENAI.error(ask, status, code, message, ret);
}

static void put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  if (part == PART_FIRST && !story->words)
    buffer_printf(out, "data: {\"choices\":[],\"created\":0,\"id\":\"\",\"model\":\"\",\"object\":\"\",%s}\n\n",
                  FILTERS);
  DIALECT_OPENAI.put_part(ask, story, part, index, out);
}

const Dialect DIALECT_AZURE = {
    .name = "azure", .claims = claims, .answer = answer, .error = error, .put_part = put_part};
