/* An answer of Converse, whole or as an event stream: what was thought, the words, the calls of tools, a block each. */
#include "tests/mock-provider/bedrock-internal.h"

/* --- the words of an answer --- */

static const char *stop_of(const Ask *ask, const Story *story) {
  if (ask->knobs.finish[0])
    return ask->knobs.finish;
  return story->cut_short ? "max_tokens" : story->calls.size ? "tool_use" : "end_turn";
}

static void put_usage(const Ask *ask, const Story *story, Buffer *out) {
  buffer_printf(out,
                "\"usage\":{\"inputTokens\":%u,\"outputTokens\":%u,\"totalTokens\":%u,\"cacheReadInputTokens\":%u,"
                "\"cacheWriteInputTokens\":0,\"serverToolUsage\":{}}",
                story->prompt_tokens, story->answer_tokens,
                story->prompt_tokens + story->answer_tokens + ask->knobs.cached, ask->knobs.cached);
}

static void put_thoughts(const Ask *ask, Buffer *out) {
  for (uint32_t i = 0; i < ask->knobs.thoughts; i++)
    buffer_printf(out, i ? " thought%u" : "thought%u", i + 1);
}

static void put_signature(const Story *story, Buffer *out) {
  buffer_printf(out, "c2ln%012llx", (unsigned long long)story->number);
}

/* One call, a line of story->calls. */
static Text line_of(const Story *story, size_t at) {
  const char *line = (const char *)story->calls.data + at;

  return (Text){line, (size_t)((const char *)memchr(line, '\n', story->calls.size - at) - line)};
}

void bedrock_put_plain(const Ask *ask, Story *story, Buffer *out) {
  bool first = true;

  buffer_printf(out, "{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[");
  if (ask->knobs.thoughts) {
    buffer_printf(out, "{\"reasoningContent\":{\"reasoningText\":{\"text\":\"");
    put_thoughts(ask, out);
    buffer_printf(out, "\",\"signature\":\"");
    put_signature(story, out);
    buffer_printf(out, "\"}}}");
    first = false;
  }
  if (story->chunks) {
    buffer_printf(out, "%s{\"text\":\"", first ? "" : ",");
    story_put_all(story, &ask->knobs, out);
    buffer_printf(out, "\"}");
    first = false;
  }
  for (size_t at = 0; at < story->calls.size; first = false) {
    Text line = line_of(story, at);

    buffer_printf(out, "%s{\"toolUse\":%.*s}", first ? "" : ",", TEXT_ARG(line));
    at += line.size + 1;
  }
  buffer_printf(out, "]}},\"stopReason\":\"%s\",", stop_of(ask, story));
  if (!ask->knobs.no_usage) {
    put_usage(ask, story, out);
    buffer_append(out, ",", 1);
  }
  buffer_printf(out, "\"metrics\":{\"latencyMs\":%u}}", ask->knobs.delay_ms);
}

/* --- a stream --- */

/* Real ones pad their deltas, so that sizes tell nothing about words. */
static void put_delta(const Story *story, unsigned block, const Buffer *delta, Buffer *out) {
  static const char PADDING[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
  Buffer payload = {0};

  buffer_printf(&payload, "{\"contentBlockIndex\":%u,\"delta\":{%.*s},\"p\":\"%.*s\"}", block, (int)delta->size,
                (const char *)delta->data, (int)((story->number + delta->size) % 60) + 1, PADDING);
  if (story->broken)
    payload.size--;
  bedrock_put_message(BEDROCK_EVENT, "contentBlockDelta", (Text){(const char *)payload.data, payload.size}, out);
  buffer_done(&payload);
}

static void put_stop(unsigned block, Buffer *out) {
  bedrock_put_event(out, "contentBlockStop", "{\"contentBlockIndex\":%u,\"p\":\"abcdef\"}", block);
}

static void put_first(const Ask *ask, const Story *story, Buffer *out) {
  Buffer delta = {0};

  bedrock_put_event(out, "messageStart", "{\"p\":\"abcd\",\"role\":\"assistant\"}");
  if (!ask->knobs.thoughts)
    return;
  buffer_printf(&delta, "\"reasoningContent\":{\"text\":\"");
  put_thoughts(ask, &delta);
  buffer_printf(&delta, "\"}");
  put_delta(story, 0, &delta, out);
  buffer_clear(&delta);
  buffer_printf(&delta, "\"reasoningContent\":{\"signature\":\"");
  put_signature(story, &delta);
  buffer_printf(&delta, "\"}");
  put_delta(story, 0, &delta, out);
  put_stop(0, out);
  buffer_done(&delta);
}

static void put_chunk(const Ask *ask, Story *story, uint32_t index, Buffer *out) {
  Buffer delta = {0};

  buffer_printf(&delta, "\"text\":\"");
  story_put_chunk(story, index, &delta);
  buffer_append(&delta, "\"", 1);
  put_delta(story, ask->knobs.thoughts ? 1 : 0, &delta, out);
  buffer_done(&delta);
}

/* The input of a call comes as the text of its JSON, in two pieces. */
static void put_call(const Story *story, Json call, unsigned block, Buffer *out) {
  Text input = json_find(call, "input").text;
  size_t half = input.size / 2;
  const Text pieces[] = {{input.data, half}, {input.data + half, input.size - half}};
  Buffer delta = {0};

  bedrock_put_event(
      out, "contentBlockStart",
      "{\"contentBlockIndex\":%u,\"p\":\"abc\",\"start\":{\"toolUse\":{\"name\":%.*s,\"toolUseId\":%.*s}}}", block,
      TEXT_ARG(json_find(call, "name").text), TEXT_ARG(json_find(call, "toolUseId").text));
  for (size_t i = 0; i < ELEMENTS(pieces); i++) {
    buffer_clear(&delta);
    buffer_printf(&delta, "\"toolUse\":{\"input\":");
    json_put_string(&delta, pieces[i]);
    buffer_append(&delta, "}", 1);
    put_delta(story, block, &delta, out);
  }
  put_stop(block, out);
  buffer_done(&delta);
}

static void put_last(const Ask *ask, const Story *story, Buffer *out) {
  unsigned block = ask->knobs.thoughts ? 1 : 0;

  if (story->chunks)
    put_stop(block++, out);
  for (size_t at = 0; at < story->calls.size;) {
    Text line = line_of(story, at);
    Json call;

    if (json_check(line, &call, NULL) == 0)
      put_call(story, call, block++, out);
    at += line.size + 1;
  }
  if (!ask->knobs.no_done)
    bedrock_put_event(out, "messageStop", "{\"p\":\"ab\",\"stopReason\":\"%s\"}", stop_of(ask, story));
}

static void put_metadata(const Ask *ask, const Story *story, Buffer *out) {
  Buffer payload = {0};

  buffer_printf(&payload, "{\"metrics\":{\"latencyMs\":%u},\"p\":\"abcde\",", ask->knobs.delay_ms);
  put_usage(ask, story, &payload);
  buffer_append(&payload, "}", 1);
  bedrock_put_message(BEDROCK_EVENT, "metadata", (Text){(const char *)payload.data, payload.size}, out);
  buffer_done(&payload);
}

void bedrock_put_part(const Ask *ask, Story *story, Part part, uint32_t index, Buffer *out) {
  if (story->claude) {
    bedrock_put_claude(ask, story, part, index, out);
    return;
  }
  if (part == PART_FIRST)
    put_first(ask, story, out);
  else if (part == PART_CHUNK)
    put_chunk(ask, story, index, out);
  else if (part == PART_LAST)
    put_last(ask, story, out);
  else if (part == PART_USAGE && story->usage && !ask->knobs.no_done)
    put_metadata(ask, story, out);
  else if (part == PART_ERROR)
    bedrock_put_exception(ask, out);
  if (part == PART_CHUNK && index + 1 == ask->knobs.bad_checksum)
    out->data[out->size - 1] ^= 1;
}
