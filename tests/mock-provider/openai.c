/* OpenAI's dialect: /v1/chat/completions, /v1/embeddings, /v1/models. */
#include <stdio.h>

#include "tests/mock-provider/anthropic-internal.h"
#include "tests/mock-provider/openai-internal.h"

static const char CHAT[] = "/v1/chat/completions";
static const char EMBEDDINGS[] = "/v1/embeddings";
static const char MODELS[] = "/v1/models";
static const char TUNING[] = "/v1/fine_tuning/jobs";

typedef struct Fault {
  unsigned status;
  const char *type;
  const char *code; /* NULL: none */
  const char *message;
} Fault;

/* What OpenAI says with a status; with several of one status the first is meant unless the code is given. */
static const Fault FAULTS[] = {
    {400, "invalid_request_error", NULL, "Your request was malformed."},
    {400, "invalid_request_error", "context_length_exceeded",
     "This model's maximum context length is 128000 tokens. However, your messages resulted in more tokens. Please "
     "reduce "
     "the length of the messages."},
    {400, "invalid_request_error", "content_policy_violation",
     "Your request was rejected as a result of our safety system."},
    {400, "invalid_request_error", "content_filter",
     "The response was filtered due to the prompt triggering our policy."},
    {401, "invalid_request_error", "invalid_api_key", "Incorrect API key provided."},
    {403, "invalid_request_error", "unsupported_country_region_territory",
     "Country, region, or territory not supported."},
    {404, "invalid_request_error", "model_not_found", "The model does not exist or you do not have access to it."},
    {429, "requests", "rate_limit_exceeded", "Rate limit reached for requests. Please try again later."},
    {429, "insufficient_quota", "insufficient_quota",
     "You exceeded your current quota, please check your plan and billing details."},
    {500, "server_error", NULL, "The server had an error while processing your request. Sorry about that!"},
    {503, "server_error", NULL, "The engine is currently overloaded, please try again later."},
};

/* /v1/messages is Anthropic's. */
static bool claims(Text path) {
  return path.size >= 4 && memcmp(path.data, "/v1/", 4) == 0 &&
         (path.size < 12 || memcmp(path.data, "/v1/messages", 12) != 0);
}

static void put_headers(const Ask *ask, Answer *ret) {
  buffer_printf(&ret->headers,
                "x-request-id: req_%016llx\r\nopenai-processing-ms: %u\r\nopenai-version: 2020-10-01\r\n",
                (unsigned long long)ask->number, ask->knobs.delay_ms);
}

/* Both have a list of models there. */
static bool is_anthropics(const Ask *ask) {
  return text_is(ask->path, MODELS) && http_header(ask->http, "anthropic-version").size > 0;
}

static const Fault *find_fault(unsigned status, const char *code) {
  for (size_t i = 0; i < ELEMENTS(FAULTS); i++)
    if ((!status || FAULTS[i].status == status) && (!code || (FAULTS[i].code && strcmp(FAULTS[i].code, code) == 0)))
      return &FAULTS[i];
  return NULL;
}

static void error(const Ask *ask, unsigned status, const char *code, const char *message, Answer *ret) {
  static const Fault SERVER = {500, "server_error", NULL, "The server had an error."};
  static const Fault CALLER = {400, "invalid_request_error", NULL, "The request was refused."};
  const Fault *fault = find_fault(status, code);

  if (is_anthropics(ask)) {
    anthropic_error(ask, status, code, message, ret);
    return;
  }
  if (!fault)
    fault = find_fault(status, NULL);
  if (!fault || !(status || fault->code))
    fault = status && status < 500 ? &CALLER : &SERVER;
  put_headers(ask, ret);
  openai_fail(ret, status ? status : fault->status, fault->type, code ? code : fault->code, NULL, "%s",
              message ? message : fault->message);
}

/* --- chat --- */

/* What is put for each answer and event goes without printf, which was a fifth of the server's own time. */
#define PUT(out, literal) buffer_append(out, literal, sizeof(literal) - 1)

static void put_text(const char *text, Buffer *out) {
  buffer_append(out, text, strlen(text));
}

static void put_number(uint64_t number, unsigned digits, unsigned base, Buffer *out) {
  char text[64];
  size_t at = sizeof text;

  while (number || sizeof text - at < digits) {
    text[--at] = "0123456789abcdef"[number % base];
    number /= base;
  }
  buffer_append(out, text + at, sizeof text - at);
}

static void put_id(const Story *story, Buffer *out) {
  PUT(out, "\"id\":\"chatcmpl-mock");
  put_number(story->number, 24, 16, out);
  PUT(out, "\",");
}

/* created and model, with what stands before and between. */
static void put_origin(const Story *story, const char *object, Buffer *out) {
  PUT(out, "\"object\":\"");
  put_text(object, out);
  PUT(out, "\",\"created\":");
  put_number(story->created_s, 1, 10, out);
  PUT(out, ",\"model\":\"");
  put_text(story->model, out);
  PUT(out, "\",");
}

static void put_usage(const Ask *ask, const Story *story, Buffer *out) {
  PUT(out, "\"usage\":{\"prompt_tokens\":");
  put_number(story->prompt_tokens, 1, 10, out);
  PUT(out, ",\"completion_tokens\":");
  put_number(story->answer_tokens, 1, 10, out);
  PUT(out, ",\"total_tokens\":");
  put_number((uint64_t)story->prompt_tokens + story->answer_tokens, 1, 10, out);
  PUT(out, ",\"prompt_tokens_details\":{\"cached_tokens\":");
  put_number(min_u64(ask->knobs.cached, story->prompt_tokens), 1, 10, out);
  PUT(out, ",\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":");
  put_number(ask->knobs.thoughts, 1, 10, out);
  PUT(out, ",\"audio_tokens\":0,\"accepted_prediction_tokens\":0,\"rejected_prediction_tokens\":0}}");
}

static const char *finish_of(const Ask *ask, const Story *story) {
  if (ask->knobs.finish[0])
    return ask->knobs.finish;
  return story->cut_short ? "length" : story->calls.size > 0 ? "tool_calls" : "stop";
}

static void put_plain(const Ask *ask, Story *story, Buffer *out) {
  PUT(out, "{");
  put_id(story, out);
  put_origin(story, "chat.completion", out);
  PUT(out, "\"choices\":[");
  for (uint32_t i = 0; i < story->choices; i++) {
    put_text(i ? ",{\"index\":" : "{\"index\":", out);
    put_number(i, 1, 10, out);
    PUT(out, ",\"message\":{\"role\":\"assistant\",\"content\":\"");
    story->echo_at = 0;
    story_put_all(story, &ask->knobs, out);
    PUT(out, "\",\"refusal\":null,\"annotations\":[]");
    openai_put_calls(story, out);
    PUT(out, "},\"logprobs\":null,\"finish_reason\":\"");
    put_text(finish_of(ask, story), out);
    PUT(out, "\"}");
  }
  PUT(out, "]");
  if (!ask->knobs.no_usage) {
    PUT(out, ",");
    put_usage(ask, story, out);
  }
  PUT(out, ",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\"}");
}

/* The contents of a message, as JSON string text: a string's own, or those of its text parts. */
static void put_content(Json content, Buffer *out) {
  JsonWalk walk = json_walk(content);
  Json part;

  if (json_type(content) == JSON_STRING)
    buffer_append(out, content.text.data + 1, content.text.size - 2);
  while (json_type(content) == JSON_ARRAY && json_next_element(&walk, &part)) {
    Json text = json_find(part, "text");

    if (json_type(text) == JSON_STRING)
      buffer_append(out, text.text.data + 1, text.text.size - 2);
  }
}

/* Counts the words of all messages, and keeps the last user message for an echo. */
static void read_messages(const Ask *ask, Json messages, Story *story) {
  JsonWalk walk = json_walk(messages);
  Buffer words = {0};
  Json message;

  while (json_next_element(&walk, &message)) {
    Json content = json_find(message, "content");

    buffer_clear(&words);
    put_content(content, &words);
    story->prompt_tokens += story_words((Text){(const char *)words.data, words.size});
    if (ask->knobs.echo && json_string_is(json_find(message, "role"), "user")) {
      buffer_clear(&story->echo);
      buffer_append(&story->echo, words.data, words.size);
    }
  }
  buffer_done(&words);
}

static void answer_chat(const Ask *ask, Answer *ret) {
  Story *story = &ret->story;
  OpenAiAsk chat;

  if (!openai_check_chat(ask, &chat, ret))
    return;
  story_begin(story, &ask->knobs, ask->number);
  snprintf(story->model, sizeof story->model, "%.*s", (int)chat.model.text.size - 2, chat.model.text.data + 1);
  read_messages(ask, chat.messages, story);
  story_plan(story, &ask->knobs, chat.limit_tokens);
  story->choices = (uint32_t)chat.choices;
  openai_plan_calls(ask, &chat, story);
  story->answer_tokens = story->answer_tokens * story->choices + ask->knobs.thoughts;
  story->usage = chat.include_usage && !ask->knobs.no_usage;
  ret->status = 200;
  ret->streams = chat.stream;
  ret->type = chat.stream ? "text/event-stream; charset=utf-8" : "application/json";
  if (!chat.stream)
    put_plain(ask, story, &ret->body);
}

static void put_event(const Story *story, uint32_t choice, const char *delta, Buffer *out) {
  PUT(out, "data: {");
  put_id(story, out);
  put_origin(story, "chat.completion.chunk", out);
  PUT(out, "\"service_tier\":\"default\",\"system_fingerprint\":\"fp_mock\",\"choices\":[");
  if (!delta)
    return;
  PUT(out, "{\"index\":");
  put_number(choice, 1, 10, out);
  PUT(out, ",\"delta\":{");
  put_text(delta, out);
}

static void end_event(const Story *story, Buffer *out) {
  PUT(out, "},\"logprobs\":null,\"finish_reason\":null");
  put_text(story->usage ? "}],\"usage\":null" : "}]", out);
  put_text(story->broken ? "\n\n" : "}\n\n", out);
}

void openai_put_delta(const Story *story, const char *delta, Buffer *out) {
  put_event(story, 0, delta, out);
  end_event(story, out);
}

static void put_end(const Ask *ask, const Story *story, uint32_t choice, Buffer *out) {
  if (choice == 0)
    openai_put_call_events(story, out);
  put_event(story, choice, "", out);
  PUT(out, "},\"logprobs\":null,\"finish_reason\":\"");
  put_text(finish_of(ask, story), out);
  put_text(story->usage ? "\"}],\"usage\":null}\n\n" : "\"}]}\n\n", out);
}

static void put_choice(const Ask *ask, Story *story, Part part, uint32_t index, uint32_t choice, Buffer *out) {
  if (part == PART_FIRST) {
    put_event(story, choice, "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null", out);
    end_event(story, out);
  } else if (part == PART_CHUNK) {
    size_t at = story->echo_at;

    put_event(story, choice, "\"content\":\"", out);
    story_put_chunk(story, index, out);
    buffer_append(out, "\"", 1);
    end_event(story, out);
    if (choice + 1 < story->choices)
      story->echo_at = at;
  } else {
    put_end(ask, story, choice, out);
  }
}

static void put_error_event(const Ask *ask, Buffer *out) {
  Answer failed = {0};

  error(ask, ask->knobs.status == UNSET ? 500 : ask->knobs.status, ask->knobs.code[0] ? ask->knobs.code : NULL, NULL,
        &failed);
  buffer_printf(out, "data: ");
  for (size_t i = 0; i < failed.body.size; i++)
    if (failed.body.data[i] != '\n')
      buffer_append(out, failed.body.data + i, 1);
  buffer_printf(out, "\n\n");
  answer_done(&failed);
}

static void put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  if (story->words) {
    openai_put_words(story, part, index, out);
    return;
  }
  switch (part) {
  case PART_FIRST:
  case PART_CHUNK:
  case PART_LAST:
    for (uint32_t choice = 0; choice < story->choices; choice++)
      put_choice(ask, story, part, index, choice, out);
    break;
  case PART_USAGE:
    if (!story->usage)
      break;
    put_event(story, 0, NULL, out);
    buffer_printf(out, "],");
    put_usage(ask, story, out);
    buffer_printf(out, "}\n\n");
    break;
  case PART_ERROR:
    put_error_event(ask, out);
    break;
  case PART_DONE:
    buffer_printf(out, "data: [DONE]\n\n");
    break;
  }
}

/* --- embeddings and models --- */

void openai_put_base64(const uint8_t *data, size_t size, Buffer *out) {
  static const char LETTERS[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  for (size_t i = 0; i < size; i += 3) {
    uint32_t bits =
        (uint32_t)data[i] << 16 | (i + 1 < size ? (uint32_t)data[i + 1] << 8 : 0) | (i + 2 < size ? data[i + 2] : 0);
    char four[4] = {LETTERS[bits >> 18], LETTERS[bits >> 12 & 63], i + 1 < size ? LETTERS[bits >> 6 & 63] : '=',
                    i + 2 < size ? LETTERS[bits & 63] : '='};

    buffer_append(out, four, 4);
  }
}

static void put_embedding(const OpenAiAsk *asked, uint32_t index, uint32_t words, Buffer *out) {
  float values[3072];

  for (uint64_t i = 0; i < asked->dimensions; i++)
    values[i] = (float)((i * 37 + words * 11 + index) % 128) / 128.0F - 0.5F;
  buffer_printf(out, "%s{\"object\":\"embedding\",\"index\":%u,\"embedding\":", index ? "," : "", index);
  if (asked->base64) {
    buffer_append(out, "\"", 1);
    openai_put_base64((const uint8_t *)values, (size_t)asked->dimensions * sizeof values[0], out);
    buffer_append(out, "\"", 1);
  } else {
    for (uint64_t i = 0; i < asked->dimensions; i++)
      buffer_printf(out, "%c%.7g", i ? ',' : '[', (double)values[i]);
    buffer_append(out, "]", 1);
  }
  buffer_append(out, "}", 1);
}

/* A string or a list of numbers is one input; a list of strings or of lists is one each. */
static void answer_embeddings(const Ask *ask, Answer *ret) {
  uint32_t count = 0, words, total = 0;
  OpenAiAsk asked;
  JsonWalk walk;
  Json one;

  if (!openai_check_embeddings(ask, &asked, ret))
    return;
  ret->status = 200;
  ret->type = "application/json";
  buffer_printf(&ret->body, "{\"object\":\"list\",\"data\":[");
  walk = json_walk(asked.input);
  while (json_type(asked.input) == JSON_ARRAY && json_next_element(&walk, &one) && json_type(one) != JSON_NUMBER) {
    words = story_words(one.text);
    total += words;
    put_embedding(&asked, count++, words, &ret->body);
  }
  if (!count) {
    total = words = story_words(asked.input.text);
    put_embedding(&asked, 0, words, &ret->body);
  }
  buffer_printf(&ret->body, "],\"model\":%.*s", TEXT_ARG(asked.model.text));
  if (!ask->knobs.no_usage)
    buffer_printf(&ret->body, ",\"usage\":{\"prompt_tokens\":%u,\"total_tokens\":%u}", total, total);
  buffer_printf(&ret->body, "}");
}

static void put_model(Text name, Buffer *out) {
  buffer_printf(out, "{\"id\":");
  json_put_string(out, name);
  buffer_printf(out, ",\"object\":\"model\",\"created\":1700000000,\"owned_by\":\"mock\"}");
}

static void answer_models(const Ask *ask, Answer *ret) {
  Text name = {ask->path.data + sizeof MODELS, ask->path.size - sizeof MODELS};
  const char *at = ask->models ? ask->models : "mock-small,mock-large";

  ret->status = 200;
  ret->type = "application/json";
  if (ask->path.size > sizeof MODELS - 1) {
    if (openai_has_model(ask, name))
      put_model(name, &ret->body);
    else
      openai_fail(ret, 404, "invalid_request_error", "model_not_found", "model", "The model '%.*s' does not exist",
                  name.size > 128 ? 128 : (int)name.size, name.data);
    return;
  }
  buffer_printf(&ret->body, "{\"object\":\"list\",\"data\":[");
  while (*at) {
    size_t n = strcspn(at, ",");

    put_model((Text){at, n}, &ret->body);
    at += n + (at[n] ? 1 : 0);
    buffer_printf(&ret->body, "%s", *at ? "," : "");
  }
  buffer_printf(&ret->body, "]}");
}

static bool is_models(Text path) {
  size_t n = sizeof MODELS - 1;

  return path.size >= n && memcmp(path.data, MODELS, n) == 0 &&
         (path.size == n || (path.data[n] == '/' && path.size > n + 1));
}

static bool is_tuning(Text path) {
  return path.size >= sizeof TUNING - 1 && memcmp(path.data, TUNING, sizeof TUNING - 1) == 0;
}

static const struct {
  const char *path;
  const char *method;
  void (*answer)(const Ask *ask, Answer *ret);
} ROUTES[] = {{"/v1/audio/transcriptions", "POST", openai_answer_transcriptions},
              {"/v1/audio/speech", "POST", openai_answer_speech},
              {CHAT, "POST", answer_chat},
              {EMBEDDINGS, "POST", answer_embeddings},
              {MODELS, "GET", answer_models},
              {TUNING, "", openai_answer_tuning}};

static void answer(const Ask *ask, Answer *ret) {
  Text method = ask->http->method;

  if (is_anthropics(ask)) {
    anthropic_answer_models(ask, ret);
    return;
  }
  put_headers(ask, ret);
  for (size_t i = 0; i < ELEMENTS(ROUTES); i++) {
    if (!text_is(ask->path, ROUTES[i].path) && !(ROUTES[i].path == MODELS && is_models(ask->path)) &&
        !(ROUTES[i].path == TUNING && is_tuning(ask->path)))
      continue;
    if (*ROUTES[i].method && !text_is(method, ROUTES[i].method) &&
        !(text_is(method, "HEAD") && ROUTES[i].path == MODELS))
      openai_fail(ret, 405, "invalid_request_error", "method_not_supported", NULL, "Not allowed to %.*s on %s.",
                  TEXT_ARG(method), ROUTES[i].path);
    else if (openai_check_key(ask, ret))
      ROUTES[i].answer(ask, ret);
    return;
  }
  openai_fail(ret, 404, "invalid_request_error", "unknown_url", NULL,
              "Unknown request URL: %.*s %.*s. Please check the URL for typos, or see the docs at "
              "https://platform.openai.com/docs/api-reference/.",
              TEXT_ARG(method), ask->path.size > 200 ? 200 : (int)ask->path.size, ask->path.data);
}

const Dialect DIALECT_OPENAI = {
    .name = "openai", .claims = claims, .answer = answer, .error = error, .put_part = put_part};
