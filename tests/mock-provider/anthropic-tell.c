/* What Anthropic's answers are made of: blocks, each begun, told and ended; what was thought before the words, calls behind them. */
#include <stdio.h>

#include "tests/mock-provider/anthropic-internal.h"
#include "tests/mock-provider/arguments.h"

static void put_signature(const Story *story, Buffer *out) {
  buffer_printf(out, "mockc2ln%012llx", (unsigned long long)story->number);
}

/* --- counts --- */

/* input_tokens are those that came from no cache. */
static void put_usage(const Ask *ask, const Story *story, uint32_t told, Buffer *out) {
  uint32_t cached = ask->knobs.cached < story->prompt_tokens ? ask->knobs.cached : story->prompt_tokens;

  buffer_printf(out,
                "\"usage\":{\"input_tokens\":%u,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":%u,"
                "\"output_tokens\":%u",
                story->prompt_tokens - cached, cached, told);
  if (ask->knobs.thoughts && told)
    buffer_printf(out, ",\"output_tokens_details\":{\"thinking_tokens\":%u}", ask->knobs.thoughts);
  buffer_append(out, "}", 1);
}

static uint32_t all_tokens(const Ask *ask, const Story *story) {
  return story->answer_tokens + ask->knobs.thoughts;
}

static const char *stop_of(const Ask *ask, const Story *story) {
  if (ask->knobs.finish[0])
    return ask->knobs.finish;
  return story->cut_short ? "max_tokens" : story->calls.size ? "tool_use" : "end_turn";
}

/* --- calls --- */

static void begin_call(const Story *story, Json tool, unsigned number, Buffer *out) {
  buffer_printf(out, "{\"type\":\"tool_use\",\"id\":\"toolu_mock%llx%02u\",\"name\":%.*s,\"input\":",
                (unsigned long long)story->number, number, TEXT_ARG(json_find(tool, "name").text));
}

static void put_call(const Story *story, Json tool, unsigned number, Buffer *out) {
  buffer_append(out, ",", number ? 1 : 0);
  begin_call(story, tool, number, out);
  arguments_put(json_find(tool, "input_schema"), out);
  buffer_append(out, "}", 1);
}

/* The input comes in two pieces of text, the first of them empty. */
static void put_call_events(const Story *story, Json tool, unsigned number, unsigned index, Buffer *out) {
  Buffer input = {0};

  buffer_printf(
      out,
      "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":%u,\"content_block\":", index);
  begin_call(story, tool, number, out);
  buffer_printf(out,
                "{}}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":%u,\"delta\":"
                "{\"type\":\"input_json_delta\",\"partial_json\":\"\"}}\n\n",
                index);
  arguments_put(json_find(tool, "input_schema"), &input);
  if (input.size > 2) {
    buffer_printf(
        out,
        "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":%u,\"delta\":{\"type\":"
        "\"input_json_delta\",\"partial_json\":",
        index);
    json_put_string(out, (Text){(const char *)input.data, input.size});
    buffer_printf(out, "}}\n\n");
  }
  buffer_printf(out, "event: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":%u}\n\n", index);
  buffer_done(&input);
}

/* Which index the block of words has. */
static unsigned text_index(const Ask *ask) {
  return ask->knobs.thoughts ? 1 : 0;
}

static void plan_calls(const Ask *ask, const AnthropicAsk *asked, Story *story) {
  unsigned number = 0, index = text_index(ask) + (story->chunks ? 1 : 0);
  bool any = !asked->no_calls;

  while (any && number < ask->knobs.calls) {
    JsonWalk walk = json_walk(asked->tools);
    Json tool;

    for (any = false; number < ask->knobs.calls && json_next_element(&walk, &tool); any = true, number++) {
      if (asked->stream)
        put_call_events(story, tool, number, index + number, &story->calls);
      else
        put_call(story, tool, number, &story->calls);
    }
  }
}

/* --- the story --- */

static void read_text(const Ask *ask, Json text, bool user, bool *first, Story *story) {
  if (json_type(text) != JSON_STRING)
    return;
  story->prompt_tokens += story_words((Text){text.text.data + 1, text.text.size - 2});
  if (!ask->knobs.echo || !user)
    return;
  if (*first)
    buffer_clear(&story->echo);
  *first = false;
  buffer_append(&story->echo, text.text.data + 1, text.text.size - 2);
}

static void read_content(const Ask *ask, Json content, bool user, Story *story) {
  JsonWalk walk = json_walk(content);
  bool first = true;
  Json block;

  read_text(ask, content, user, &first, story);
  while (json_type(content) == JSON_ARRAY && json_next_element(&walk, &block))
    read_text(ask, json_find(block, "text"), user, &first, story);
}

void anthropic_plan(const Ask *ask, const AnthropicAsk *asked, Story *story) {
  JsonWalk walk = json_walk(asked->messages);
  Json message;

  story_begin(story, &ask->knobs, ask->number);
  snprintf(story->model, sizeof story->model, "%.*s", (int)asked->model.text.size - 2, asked->model.text.data + 1);
  read_content(ask, json_find(asked->body, "system"), false, story);
  while (json_next_element(&walk, &message))
    read_content(ask, json_find(message, "content"), json_string_is(json_find(message, "role"), "user"), story);
  story_plan(story, &ask->knobs, asked->limit_tokens);
  plan_calls(ask, asked, story);
}

/* --- plain --- */

static void put_origin(const Story *story, Buffer *out) {
  buffer_printf(
      out, "{\"id\":\"msg_mock%020llx\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"%s\",\"content\":[",
      (unsigned long long)story->number, story->model);
}

static void put_thoughts(const Ask *ask, Buffer *out) {
  for (uint32_t i = 0; i < ask->knobs.thoughts; i++)
    buffer_printf(out, "%sthought", i ? " " : "");
}

void anthropic_put_plain(const Ask *ask, Story *story, Buffer *out) {
  size_t began;

  put_origin(story, out);
  began = out->size;
  if (ask->knobs.thoughts) {
    buffer_printf(out, "{\"type\":\"thinking\",\"thinking\":\"");
    put_thoughts(ask, out);
    buffer_printf(out, "\",\"signature\":\"");
    put_signature(story, out);
    buffer_printf(out, "\"}");
  }
  if (story->chunks) {
    buffer_printf(out, "%s{\"type\":\"text\",\"text\":\"", out->size > began ? "," : "");
    story_put_all(story, &ask->knobs, out);
    buffer_printf(out, "\"}");
  }
  if (story->calls.size)
    buffer_printf(out, "%s%.*s", out->size > began ? "," : "", (int)story->calls.size, (const char *)story->calls.data);
  buffer_printf(out, "],\"stop_reason\":\"%s\",\"stop_sequence\":null", stop_of(ask, story));
  if (!ask->knobs.no_usage) {
    buffer_append(out, ",", 1);
    put_usage(ask, story, all_tokens(ask, story), out);
  }
  buffer_append(out, "}", 1);
}

/* --- a stream --- */

static void begin_event(const char *type, Buffer *out) {
  buffer_printf(out, "event: %s\ndata: {\"type\":\"%s\"", type, type);
}

static void put_thinking_events(const Ask *ask, const Story *story, Buffer *out) {
  buffer_printf(
      out,
      "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":"
      "\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n");
  begin_event("content_block_delta", out);
  buffer_printf(out, ",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"");
  put_thoughts(ask, out);
  buffer_printf(out, "\"}}\n\n");
  begin_event("content_block_delta", out);
  buffer_printf(out, ",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"");
  put_signature(story, out);
  buffer_printf(out, "\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n");
}

static void put_first(const Ask *ask, const Story *story, Buffer *out) {
  begin_event("message_start", out);
  buffer_printf(out, ",\"message\":");
  put_origin(story, out);
  buffer_printf(out, "],\"stop_reason\":null,\"stop_sequence\":null");
  if (!ask->knobs.no_usage) {
    buffer_append(out, ",", 1);
    put_usage(ask, story, 0, out);
  }
  buffer_printf(out, "}}\n\nevent: ping\ndata: {\"type\": \"ping\"}\n\n");
  if (ask->knobs.thoughts)
    put_thinking_events(ask, story, out);
  if (!story->chunks)
    return;
  begin_event("content_block_start", out);
  buffer_printf(out, ",\"index\":%u,\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n", text_index(ask));
}

static void put_chunk(const Ask *ask, Story *story, uint32_t index, Buffer *out) {
  begin_event("content_block_delta", out);
  buffer_printf(out, ",\"index\":%u,\"delta\":{\"type\":\"text_delta\",\"text\":\"", text_index(ask));
  story_put_chunk(story, index, out);
  buffer_printf(out, story->broken ? "\"}\n\n" : "\"}}\n\n");
}

static void put_last(const Ask *ask, const Story *story, Buffer *out) {
  if (story->chunks) {
    begin_event("content_block_stop", out);
    buffer_printf(out, ",\"index\":%u}\n\n", text_index(ask));
  }
  buffer_append(out, story->calls.data, story->calls.size);
  begin_event("message_delta", out);
  buffer_printf(out, ",\"delta\":{\"stop_reason\":\"%s\",\"stop_sequence\":null}", stop_of(ask, story));
  if (!ask->knobs.no_usage) {
    buffer_append(out, ",", 1);
    put_usage(ask, story, all_tokens(ask, story), out);
  }
  buffer_printf(out, "}\n\n");
}

static void put_error(const Ask *ask, Buffer *out) {
  Answer failed = {0};

  anthropic_error(ask, ask->knobs.status == UNSET ? 0 : ask->knobs.status,
                  ask->knobs.code[0]           ? ask->knobs.code
                  : ask->knobs.status == UNSET ? "overloaded_error"
                                               : NULL,
                  NULL, &failed);
  buffer_printf(out, "event: error\ndata: %.*s\n\n", (int)failed.body.size, (const char *)failed.body.data);
  answer_done(&failed);
}

void anthropic_put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  if (part == PART_FIRST)
    put_first(ask, story, out);
  else if (part == PART_CHUNK)
    put_chunk(ask, story, index, out);
  else if (part == PART_LAST)
    put_last(ask, story, out);
  else if (part == PART_ERROR)
    put_error(ask, out);
  else if (part == PART_DONE)
    buffer_printf(out, "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}
