/* What Gemini's answers are made of. Each event of a stream is a whole answer with what is new; there is no end mark, but the
   last one has a finish reason. Google ends the lines of its events with CR LF. */
#include <stdio.h>

#include "tests/mock-provider/gemini-internal.h"

/* --- what is told --- */

static void put_origin(const Story *story, Buffer *out) {
  buffer_printf(out, ",\"modelVersion\":\"%s\",\"responseId\":\"mock%018llx\"}", story->model,
                (unsigned long long)story->number);
}

/* total = prompt + candidates + thoughts: what was thought is not among the candidates' tokens. */
static void put_usage(const Ask *ask, const Story *story, uint32_t told, Buffer *out) {
  uint32_t cached = ask->knobs.cached < story->prompt_tokens ? ask->knobs.cached : story->prompt_tokens;

  if (ask->knobs.no_usage)
    return;
  buffer_printf(out, ",\"usageMetadata\":{\"promptTokenCount\":%u,", story->prompt_tokens);
  if (told)
    buffer_printf(out, "\"candidatesTokenCount\":%u,", told);
  if (cached)
    buffer_printf(out, "\"cachedContentTokenCount\":%u,", cached);
  buffer_printf(out, "\"totalTokenCount\":%u,\"promptTokensDetails\":[{\"modality\":\"TEXT\",\"tokenCount\":%u}]",
                story->prompt_tokens + told + ask->knobs.thoughts, story->prompt_tokens);
  if (ask->knobs.thoughts)
    buffer_printf(out, ",\"thoughtsTokenCount\":%u", ask->knobs.thoughts);
  buffer_append(out, "}", 1);
}

static const char *finish_of(const Ask *ask, const Story *story) {
  return ask->knobs.finish[0] ? ask->knobs.finish : story->cut_short ? "MAX_TOKENS" : "STOP";
}

/* The part with the summary of what was thought. */
static void put_thoughts(const Ask *ask, Buffer *out) {
  buffer_printf(out, "{\"text\":\"");
  for (uint32_t i = 0; i < ask->knobs.thoughts; i++)
    buffer_printf(out, "%sthought", i ? " " : "");
  buffer_printf(out, "\",\"thought\":true}");
}

static void begin_candidate(uint32_t index, Buffer *out) {
  buffer_printf(out, "%s\"content\":{\"parts\":[", index ? ",{" : "{\"candidates\":[{");
}

static void end_candidate(uint32_t index, const char *finish, Buffer *out) {
  buffer_printf(out, "],\"role\":\"model\"}");
  if (finish)
    buffer_printf(out, ",\"finishReason\":\"%s\"", finish);
  buffer_printf(out, ",\"index\":%u}", index);
}

static void put_plain(const Ask *ask, Story *story, Buffer *out) {
  for (uint32_t i = 0; i < story->choices; i++) {
    size_t began;

    begin_candidate(i, out);
    began = out->size;
    if (ask->knobs.thoughts)
      put_thoughts(ask, out);
    if (story->chunks) {
      buffer_printf(out, "%s{\"text\":\"", out->size > began ? "," : "");
      story->echo_at = 0;
      story_put_all(story, &ask->knobs, out);
      buffer_printf(out, "\"}");
    }
    if (story->calls.size)
      buffer_printf(out, "%s%.*s", out->size > began ? "," : "", (int)story->calls.size,
                    (const char *)story->calls.data);
    end_candidate(i, finish_of(ask, story), out);
  }
  buffer_append(out, "]", 1);
  put_usage(ask, story, story->answer_tokens, out);
  put_origin(story, out);
}

static void put_blocked(const Ask *ask, const char *reason, Story *story, Buffer *out) {
  buffer_printf(out, "{\"promptFeedback\":{\"blockReason\":\"%s\"}", reason);
  put_usage(ask, story, 0, out);
  put_origin(story, out);
}

/* --- a stream --- */

static void put_error_event(const Ask *ask, Buffer *out) {
  Answer failed = {0};

  gemini_error(ask, ask->knobs.status == UNSET ? 500 : ask->knobs.status, ask->knobs.code[0] ? ask->knobs.code : NULL,
               NULL, &failed);
  buffer_printf(out, "data: ");
  for (size_t i = 0; i < failed.body.size; i++)
    if (failed.body.data[i] != '\n')
      buffer_append(out, failed.body.data + i, 1);
  buffer_printf(out, "\r\n\r\n");
  answer_done(&failed);
}

/* The parts of one event: what was thought comes before the first words, calls behind the last ones. */
static void put_parts(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  if (part == PART_FIRST) {
    put_thoughts(ask, out);
  } else if (part == PART_CHUNK) {
    buffer_printf(out, "{\"text\":\"");
    story_put_chunk(story, index, out);
    buffer_printf(out, "\"}");
  } else if (story->calls.size) {
    buffer_append(out, story->calls.data, story->calls.size);
  } else {
    buffer_printf(out, "{\"text\":\"\"}");
  }
}

static void put_event(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  size_t at = story->echo_at;

  buffer_printf(out, "data: ");
  for (uint32_t choice = 0; choice < story->choices; choice++) {
    story->echo_at = at;
    begin_candidate(choice, out);
    put_parts(ask, story, part, index, out);
    end_candidate(choice, part == PART_LAST ? finish_of(ask, story) : NULL, out);
  }
  buffer_append(out, "]", 1);
  put_usage(ask, story, part == PART_LAST ? story->answer_tokens : part == PART_FIRST ? 0 : index + 1, out);
  put_origin(story, out);
  if (story->broken)
    out->size--;
  buffer_printf(out, "\r\n\r\n");
}

void gemini_put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  bool told =
      part == PART_CHUNK || (part == PART_FIRST && ask->knobs.thoughts) || (part == PART_LAST && !ask->knobs.no_done);

  if (part == PART_ERROR)
    put_error_event(ask, out);
  else if (told)
    put_event(ask, story, part, index, out);
}

/* --- generateContent --- */

static void put_argument(Json schema, Buffer *out) {
  static const char *const VALUES[][2] = {
      {"string", "\"a word\""}, {"number", "1.5"}, {"integer", "7"}, {"boolean", "true"}, {"array", "[]"}};
  JsonWalk words = json_walk(gemini_find(schema, "enum"));
  Text type = TEXT_NONE;
  Json word;

  if (json_next_element(&words, &word)) {
    buffer_append(out, word.text.data, word.text.size);
    return;
  }
  json_get_plain(gemini_find(schema, "type"), &type);
  for (size_t i = 0; i < ELEMENTS(VALUES); i++)
    if (http_same(type, text_of(VALUES[i][0]))) {
      buffer_printf(out, "%s", VALUES[i][1]);
      return;
    }
  buffer_printf(out, "{}");
}

/* One call with an argument for each property. New models give calls an id, and the first of a turn a signature. */
static void put_call(const Story *story, Json declaration, unsigned number, Buffer *out) {
  Json schema = gemini_find(declaration, "parameters"), key, value;
  bool is_new = strncmp(story->model, "gemini-3", 8) == 0, first = true;
  JsonWalk walk;

  if (json_is_none(schema))
    schema = gemini_find(declaration, "parametersJsonSchema");
  walk = json_walk(gemini_find(schema, "properties"));
  buffer_printf(out, "%s{\"functionCall\":{\"name\":%.*s,\"args\":{", number ? "," : "",
                TEXT_ARG(gemini_find(declaration, "name").text));
  for (; json_next_member(&walk, &key, &value); first = false) {
    buffer_printf(out, "%s%.*s:", first ? "" : ",", TEXT_ARG(key.text));
    put_argument(value, out);
  }
  buffer_append(out, "}", 1);
  if (is_new)
    buffer_printf(out, ",\"id\":\"mock%llx%02u\"", (unsigned long long)story->number, number);
  buffer_append(out, "}", 1);
  if (is_new && !number)
    buffer_printf(out, ",\"thoughtSignature\":\"c2ln%012llx\"", (unsigned long long)story->number);
  buffer_append(out, "}", 1);
}

/* The functions that were declared, one after the other and from the first again. */
static void plan_calls(const Ask *ask, const GeminiAsk *asked, Story *story) {
  unsigned number = 0;
  bool any = !asked->no_calls;

  while (any && number < ask->knobs.calls) {
    JsonWalk tools = json_walk(asked->tools);
    Json tool, declaration;

    any = false;
    while (json_next_element(&tools, &tool)) {
      JsonWalk walk = json_walk(gemini_find(tool, "functionDeclarations"));

      while (number < ask->knobs.calls && json_next_element(&walk, &declaration)) {
        put_call(story, declaration, number++, &story->calls);
        any = true;
      }
    }
  }
}

/* Counts the words of all contents, and keeps the last text of the user for an echo. */
static void read_contents(const Ask *ask, Json contents, Story *story) {
  JsonWalk walk = json_walk(contents);
  Json content, part;

  while (json_next_element(&walk, &content)) {
    JsonWalk parts = json_walk(gemini_find(content, "parts"));
    bool user = !json_string_is(gemini_find(content, "role"), "model"), first = true;

    while (json_next_element(&parts, &part)) {
      Json text = gemini_find(part, "text");

      if (json_type(text) != JSON_STRING)
        continue;
      story->prompt_tokens += story_words((Text){text.text.data + 1, text.text.size - 2});
      if (!ask->knobs.echo || !user)
        continue;
      if (first)
        buffer_clear(&story->echo);
      first = false;
      buffer_append(&story->echo, text.text.data + 1, text.text.size - 2);
    }
  }
}

static void put_array(const Ask *ask, Story *story, Buffer *out) {
  Buffer event = {0};

  buffer_append(out, "[", 1);
  for (uint32_t i = 0; i <= story->chunks; i++) {
    buffer_clear(&event);
    put_event(ask, story, i < story->chunks ? PART_CHUNK : PART_LAST, i, &event);
    buffer_printf(out, "%s", i ? ",\r\n" : "");
    buffer_append(out, event.data + 6, event.size - 10);
  }
  buffer_append(out, "]", 1);
  buffer_done(&event);
}

static void tell(const Ask *ask, bool streams, Answer *ret) {
  bool sse = streams && text_is(gemini_query(ask->http->query, "alt"), "sse");
  Story *story = &ret->story;

  ret->status = 200;
  ret->type = sse ? "text/event-stream" : "application/json; charset=UTF-8";
  if (ask->knobs.block[0]) {
    buffer_printf(&ret->body, sse ? "data: " : "");
    put_blocked(ask, ask->knobs.block, story, &ret->body);
    buffer_printf(&ret->body, sse ? "\r\n\r\n" : "\n");
  } else if (sse) {
    ret->streams = true;
  } else if (streams) {
    put_array(ask, story, &ret->body);
  } else {
    put_plain(ask, story, &ret->body);
  }
}

void gemini_answer_generate(const Ask *ask, Json body, Text model, bool streams, Answer *ret) {
  GeminiAsk asked = {.model = model};
  Story *story = &ret->story;

  if (!gemini_check_generate(ask, body, &asked, ret))
    return;
  story_begin(story, &ask->knobs, ask->number);
  snprintf(story->model, sizeof story->model, "%.*s", TEXT_ARG(model));
  read_contents(ask, asked.contents, story);
  story_plan(story, &ask->knobs, asked.limit_tokens);
  story->choices = (uint32_t)asked.choices;
  story->answer_tokens *= story->choices;
  plan_calls(ask, &asked, story);
  tell(ask, streams, ret);
}
