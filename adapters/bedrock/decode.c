/* Blocks become the members of one message: texts one after the other, thoughts, calls. Their strings are not unescaped. */
#include <stdio.h>

#include "adapters/bedrock/bedrock-internal.h"

/* What of a stream's thoughts is kept, so that they can be told as a whole. */
enum { THOUGHT_MAX_BYTES = 1 << 20 };

static const char a_call_is_none[] = "a call of a tool has no id, no name or no arguments";

/* --- what both have --- */

static void begin(Tell *tell, const DialectAsked *asked) {
  char id[40];

  snprintf(id, sizeof id, "chatcmpl-bedrock-%016llx", (unsigned long long)asked->number);
  tell_begin(tell, asked->streams, text_of(id), asked->now_s, asked->model);
}

/* NULL: the model has failed. */
static const char *finish_of(Json reason) {
  static const char *const reasons[][2] = {
      {"end_turn", "stop"},
      {"stop_sequence", "stop"},
      {"max_tokens", "length"},
      {"model_context_window_exceeded", "length"},
      {"tool_use", "tool_calls"},
      {"content_filtered", "content_filter"},
      {"guardrail_intervened", "content_filter"},
      {"malformed_model_output", NULL},
      {"malformed_tool_use", NULL},
  };

  for (size_t i = 0; i < ELEMENTS(reasons); i++)
    if (json_string_is(reason, reasons[i][0]))
      return reasons[i][1];
  return "stop"; /* one that is newer than this table */
}

static uint64_t count_of(Json usage, const char *name, bool *ret_has) {
  uint64_t count = 0;

  *ret_has |= json_get_uint(json_find(usage, name), &count) == 0;
  return min_u64(count, UINT32_MAX);
}

/* Of what was written to a cache, what is kept for an hour. */
static uint64_t count_hour(Json details, bool *ret_has) {
  JsonWalk walk = json_walk(details);
  uint64_t count = 0;
  Json one;

  while (json_next_element(&walk, &one))
    if (json_string_is(json_find(one, "ttl"), "1h"))
      count += count_of(one, "inputTokens", ret_has);
  return min_u64(count, UINT32_MAX);
}

/* Bedrock's input leaves out what went through a cache; OpenAI's has all of it. */
static void read_usage(Json usage, ChatUsage *ret) {
  ret->cached_tokens = count_of(usage, "cacheReadInputTokens", &ret->has_cached_tokens);
  ret->cache_write_tokens = count_of(usage, "cacheWriteInputTokens", &ret->has_cache_write_tokens);
  ret->cache_write_hour_tokens = count_hour(json_find(usage, "cacheDetails"), &ret->has_cache_write_hour_tokens);
  ret->input_tokens =
      min_u64(count_of(usage, "inputTokens", &ret->has_input_tokens) + ret->cached_tokens + ret->cache_write_tokens,
              UINT32_MAX);
  ret->output_tokens = count_of(usage, "outputTokens", &ret->has_output_tokens);
}

static Text inside(Json string) {
  return json_type(string) == JSON_STRING ? (Text){string.text.data + 1, string.text.size - 2} : TEXT_NONE;
}

/* Appends a thought to a list of them; both texts stand between quotes. */
static void put_thought(Buffer *list, Text text, Text signature) {
  buffer_put(list, list->size > 0 ? TEXT(",") : TEXT("["));
  buffer_put(list, TEXT("{\"type\":\"thinking\",\"thinking\":\""));
  buffer_put(list, text);
  buffer_put(list, TEXT("\",\"signature\":\""));
  buffer_put(list, signature);
  buffer_put(list, TEXT("\"}"));
}

static void put_redacted(Buffer *list, Json data) {
  buffer_put(list, list->size > 0 ? TEXT(",") : TEXT("["));
  buffer_printf(list, "{\"type\":\"redacted_thinking\",\"data\":%.*s}", TEXT_ARG(data.text));
}

/* --- whole answers --- */

static void tell_thought(Tell *tell, Json reasoning, Buffer *list) {
  Json text = json_find(json_find(reasoning, "reasoningText"), "text");
  Json signature = json_find(json_find(reasoning, "reasoningText"), "signature");
  Json redacted = json_find(reasoning, "redactedContent");

  tell_reasoning(tell, text, NULL);
  if (json_type(signature) == JSON_STRING)
    put_thought(list, inside(text), inside(signature));
  if (json_type(redacted) == JSON_STRING)
    put_redacted(list, redacted);
}

/* Begins a call of a tool. Returns whether it is one. */
static bool begin_call(Tell *tell, Json use, Buffer *out) {
  Json id = json_find(use, "toolUseId");
  Json name = json_find(use, "name");

  if (json_type(id) != JSON_STRING || json_type(name) != JSON_STRING)
    return false;
  tell_call(tell, id, name, out);
  return true;
}

/* Returns false when it is no block of Converse's. */
static bool tell_block(Tell *tell, Json block, Buffer *thoughts) {
  Json use = json_find(block, "toolUse");
  JsonWalk cited = json_walk(json_find(json_find(block, "citationsContent"), "content"));
  Json part;

  tell_content(tell, json_find(block, "text"), NULL);
  while (json_next_element(&cited, &part))
    tell_content(tell, json_find(part, "text"), NULL);
  tell_thought(tell, json_find(block, "reasoningContent"), thoughts);
  if (json_is_none(use))
    return true;
  if (!begin_call(tell, use, NULL) || json_type(json_find(use, "input")) != JSON_OBJECT)
    return false;
  tell_arguments_object(tell, json_find(use, "input"), NULL);
  return true;
}

static int fail_model(Json reason, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer message = {0};

  buffer_printf(&message, "the model's own output is broken: %.*s%c", TEXT_ARG(inside(reason)), 0);
  return dialect_fault_malformed(ret_fault, (const char *)message.data);
}

int bedrock_decode_chat(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                        DialectFault *ret_fault) {
  _cleanup_(tell_done) Tell tell = {.streams = false};
  _cleanup_(buffer_done) Buffer thoughts = {0};
  const char *finish;
  Json answer;
  Json content;
  Json block;
  JsonWalk walk;

  if (json_check(body, &answer, NULL) != 0)
    return dialect_fault_malformed(ret_fault, "its answer is not JSON");
  content = json_find(json_find(json_find(answer, "output"), "message"), "content");
  if (json_type(content) != JSON_ARRAY)
    return dialect_fault_malformed(ret_fault, "its answer has no list output.message.content");
  finish = finish_of(json_find(answer, "stopReason"));
  if (!finish)
    return fail_model(json_find(answer, "stopReason"), ret_fault);
  begin(&tell, asked);
  walk = json_walk(content);
  while (json_next_element(&walk, &block))
    if (!tell_block(&tell, block, &thoughts))
      return dialect_fault_malformed(ret_fault, a_call_is_none);
  if (thoughts.size > 0) {
    buffer_put(&thoughts, TEXT("]"));
    tell_member(&tell, BEDROCK_THOUGHTS, buffer_text(&thoughts), NULL);
  }
  read_usage(json_find(answer, "usage"), ret_usage);
  tell_end(&tell, finish, ret_usage, ret_response);
  return 0;
}

/* --- streams --- */

typedef int OnEvent(DialectStream *stream, BedrockStream *own, Json data, DialectFault *ret_fault);

static int on_block_start(DialectStream *stream, BedrockStream *own, Json data, DialectFault *ret_fault) {
  Json use = json_find(json_find(data, "start"), "toolUse");

  own->in_call = !json_is_none(use);
  own->has_input = false;
  if (own->in_call && !begin_call(&own->tell, use, &stream->events))
    return dialect_fault_malformed(ret_fault, a_call_is_none);
  return 0;
}

static void keep(BedrockStream *own, Buffer *buffer, Json piece) {
  Text text = inside(piece);

  own->is_too_long |= buffer->size + text.size > THOUGHT_MAX_BYTES;
  if (!own->is_too_long)
    buffer_put(buffer, text);
}

static void tell_redacted(DialectStream *stream, BedrockStream *own, Json data) {
  _cleanup_(buffer_done) Buffer list = {0};

  put_redacted(&list, data);
  buffer_put(&list, TEXT("]"));
  tell_member(&own->tell, BEDROCK_THOUGHTS, buffer_text(&list), &stream->events);
}

static int on_delta(DialectStream *stream, BedrockStream *own, Json data, DialectFault *ret_fault) {
  Json delta = json_find(data, "delta");
  Json text = json_find(delta, "text");
  Json input = json_find(json_find(delta, "toolUse"), "input");
  Json reasoning = json_find(delta, "reasoningContent");
  Json redacted = json_find(reasoning, "redactedContent");

  (void)ret_fault;
  tell_content(&own->tell, text, &stream->events);
  if (json_is_none(reasoning)) {
    own->has_input |= inside(input).size > 0;
    tell_arguments(&own->tell, input, &stream->events);
    return 0;
  }
  tell_reasoning(&own->tell, json_find(reasoning, "text"), &stream->events);
  keep(own, &own->thought, json_find(reasoning, "text"));
  keep(own, &own->signature, json_find(reasoning, "signature"));
  if (json_type(redacted) == JSON_STRING)
    tell_redacted(stream, own, redacted);
  return 0;
}

/* A call without arguments has an empty object of them; a thought is told once more as a whole, to be sent back. */
static int on_block_stop(DialectStream *stream, BedrockStream *own, Json data, DialectFault *ret_fault) {
  _cleanup_(buffer_done) Buffer list = {0};

  (void)data;
  (void)ret_fault;
  if (own->in_call && !own->has_input)
    tell_arguments_object(&own->tell, (Json){TEXT("{}")}, &stream->events);
  own->in_call = false;
  if (own->signature.size > 0 && !own->is_too_long) {
    put_thought(&list, buffer_text(&own->thought), buffer_text(&own->signature));
    buffer_put(&list, TEXT("]"));
    tell_member(&own->tell, BEDROCK_THOUGHTS, buffer_text(&list), &stream->events);
  }
  buffer_clear(&own->thought);
  buffer_clear(&own->signature);
  own->is_too_long = false;
  return 0;
}

static int on_message_stop(DialectStream *stream, BedrockStream *own, Json data, DialectFault *ret_fault) {
  const char *finish = finish_of(json_find(data, "stopReason"));

  if (!finish)
    return fail_model(json_find(data, "stopReason"), ret_fault);
  tell_end(&own->tell, finish, NULL, &stream->events);
  stream->finished = true;
  return 0;
}

static int on_metadata(DialectStream *stream, BedrockStream *own, Json data, DialectFault *ret_fault) {
  (void)ret_fault;
  read_usage(json_find(data, "usage"), &stream->usage);
  if (!stream->asked.hides_usage && stream->usage.has_output_tokens)
    tell_usage(&own->tell, &stream->usage, &stream->events);
  stream->done = true;
  return 0;
}

int bedrock_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  static const struct {
    const char *type;
    OnEvent *on_event;
  } events[] = {
      {"contentBlockDelta", on_delta},     {"contentBlockStart", on_block_start},
      {"contentBlockStop", on_block_stop}, {"messageStop", on_message_stop},
      {"metadata", on_metadata},
  };
  BedrockStream *own = stream->own;
  Json object;
  int r = 0;

  if (type.size > 0 && type.data[0] == '!')
    return bedrock_fail_stream((Text){type.data + 1, type.size - 1}, data, ret_fault);
  if (json_check(data, &object, NULL) != 0 || json_type(object) != JSON_OBJECT)
    return dialect_fault_malformed(ret_fault, "a piece of its answer is not a JSON object");
  if (!tell_has_begun(&own->tell))
    begin(&own->tell, &stream->asked);
  for (size_t i = 0; i < ELEMENTS(events); i++)
    if (text_is(type, events[i].type)) {
      r = events[i].on_event(stream, own, object, ret_fault);
      break;
    }
  stream->said_bytes = own->tell.said_bytes;
  return r; /* 0 for messageStart, and for what is newer than this table */
}

bool bedrock_stream_is_whole(const DialectStream *stream) {
  return stream->finished;
}

void bedrock_stream_done(void *own) {
  BedrockStream *stream = own;

  tell_done(&stream->tell);
  buffer_done(&stream->thought);
  buffer_done(&stream->signature);
}
