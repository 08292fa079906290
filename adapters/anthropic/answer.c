/* Answers, whole and in events, in OpenAI's words. What was thought goes out as reasoning_content for people, and block by block
   as thinking_blocks for who sends it back. */
#include "adapters/anthropic/anthropic-internal.h"

void anthropic_stream_done(void *own) {
  AnthropicStream *stream = own;

  tell_done(&stream->tell);
  buffer_done(&stream->thinking);
  buffer_done(&stream->signature);
}

/* --- what both have --- */

/* What was written to a cache; of it what is kept for an hour is said apart, and costs more. */
static uint64_t read_written(Json usage, ChatUsage *ret) {
  uint64_t hour = 0;
  uint64_t written = 0;

  if (dialect_read_count(json_find(usage, "cache_creation"), "ephemeral_1h_input_tokens", &hour)) {
    ret->has_cache_write_hour_tokens = true;
    ret->cache_write_hour_tokens = hour;
  }
  if (dialect_read_count(usage, "cache_creation_input_tokens", &written)) {
    ret->has_cache_write_tokens = true;
    ret->cache_write_tokens = written;
  }
  return written;
}

/* input_tokens are those that no cache had a part in; OpenAI counts all of them. A later event may repeat them,
   with or without the cache's part; they never become fewer. */
void anthropic_read_usage(Json usage, ChatUsage *ret) {
  uint64_t written = read_written(usage, ret);
  uint64_t read = 0;
  uint64_t input;
  bool has_read = dialect_read_count(usage, "cache_read_input_tokens", &read);

  if (dialect_read_count(usage, "input_tokens", &input)) {
    ret->has_input_tokens = true;
    ret->input_tokens = min_u64(max_u64(ret->input_tokens, input + written + read), UINT32_MAX);
    ret->has_cached_tokens |= has_read;
    ret->cached_tokens = has_read ? read : ret->cached_tokens;
  }
  ret->has_output_tokens |= dialect_read_count(usage, "output_tokens", &ret->output_tokens);
  ret->has_reasoning_tokens |=
      dialect_read_count(json_find(usage, "output_tokens_details"), "thinking_tokens", &ret->reasoning_tokens);
}

const char *anthropic_finish_of(Json stop_reason) {
  static const struct {
    const char *theirs;
    const char *ours;
  } reasons[] = {
      {"max_tokens", "length"},
      {"model_context_window_exceeded", "length"},
      {"tool_use", "tool_calls"},
      {"refusal", "content_filter"},
  };

  for (size_t i = 0; i < ELEMENTS(reasons); i++)
    if (json_string_is(stop_reason, reasons[i].theirs))
      return reasons[i].ours;
  return "stop";
}

static void begin(Tell *tell, const DialectAsked *asked, Json message) {
  _cleanup_(buffer_done) Buffer id = {0};
  _cleanup_(buffer_done) Buffer model = {0};

  json_get_string(json_find(message, "id"), &id);
  if (json_get_string(json_find(message, "model"), &model) != 0)
    buffer_put(&model, asked->model);
  tell_begin(tell, asked->streams, buffer_text(&id), asked->now_s, buffer_text(&model));
}

/* --- whole answers --- */

static void add_thought(Json block, Buffer *thoughts) {
  buffer_append(thoughts, ",", thoughts->size ? 1 : 0);
  buffer_append(thoughts, block.text.data, block.text.size);
}

static void tell_block(Tell *tell, Json block, Buffer *thoughts, Buffer *out) {
  Json type = json_find(block, "type");

  if (json_string_is(type, "text")) {
    tell_content(tell, json_find(block, "text"), out);
  } else if (json_string_is(type, "thinking")) {
    tell_reasoning(tell, json_find(block, "thinking"), out);
    add_thought(block, thoughts);
  } else if (json_string_is(type, "redacted_thinking")) {
    add_thought(block, thoughts);
  } else if (json_string_is(type, "tool_use") && json_type(json_find(block, "id")) == JSON_STRING &&
             json_type(json_find(block, "name")) == JSON_STRING) {
    Json input = json_find(block, "input");

    tell_call(tell, json_find(block, "id"), json_find(block, "name"), out);
    tell_arguments_object(tell, json_type(input) == JSON_OBJECT ? input : (Json){TEXT("{}")}, out);
  }
}

int anthropic_decode(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                     DialectFault *ret_fault) {
  _cleanup_(tell_done) Tell tell = {.streams = false};
  _cleanup_(buffer_done) Buffer thoughts = {0};
  Json message;
  Json content;
  Json block;
  JsonWalk walk;

  if (json_check(body, &message, NULL) != 0 || json_type(message) != JSON_OBJECT)
    return dialect_fault_malformed(ret_fault, "its answer is not a JSON object");
  if (json_string_is(json_find(message, "type"), "error")) {
    anthropic_decode_error(&(DialectHead){.status = 200}, body, ret_fault);
    return DIALECT_E_FAULT;
  }
  content = json_find(message, "content");
  if (json_type(content) != JSON_ARRAY)
    return dialect_fault_malformed(ret_fault, "its answer has no list content");
  begin(&tell, asked, message);
  walk = json_walk(content);
  while (json_next_element(&walk, &block))
    tell_block(&tell, block, &thoughts, ret_response);
  if (thoughts.size > 0) {
    _cleanup_(buffer_done) Buffer list = {0};

    buffer_printf(&list, "[%.*s]", TEXT_ARG(buffer_text(&thoughts)));
    tell_member(&tell, "thinking_blocks", buffer_text(&list), ret_response);
  }
  anthropic_read_usage(json_find(message, "usage"), ret_usage);
  tell_end(&tell, anthropic_finish_of(json_find(message, "stop_reason")), ret_usage, ret_response);
  return 0;
}

/* --- events --- */

static void put_inside(Json string, Buffer *out) {
  if (json_type(string) == JSON_STRING)
    buffer_append(out, string.text.data + 1, string.text.size - 2);
}

static int on_start(DialectStream *stream, Json event, DialectFault *ret_fault) {
  AnthropicStream *own = stream->own;
  Json message = json_find(event, "message");

  (void)ret_fault;
  begin(&own->tell, &stream->asked, message);
  anthropic_read_usage(json_find(message, "usage"), &stream->usage);
  return 0;
}

static int on_block_start(DialectStream *stream, Json event, DialectFault *ret_fault) {
  AnthropicStream *own = stream->own;
  Json block = json_find(event, "content_block");
  Json type = json_find(block, "type");

  own->block = ANTHROPIC_OTHER;
  if (json_string_is(type, "text")) {
    tell_content(&own->tell, json_find(block, "text"), &stream->events);
  } else if (json_string_is(type, "thinking")) {
    own->block = ANTHROPIC_THINKING;
    buffer_clear(&own->thinking);
    buffer_clear(&own->signature);
  } else if (json_string_is(type, "redacted_thinking")) {
    _cleanup_(buffer_done) Buffer list = {0};

    buffer_printf(&list, "[%.*s]", TEXT_ARG(block.text));
    tell_member(&own->tell, "thinking_blocks", buffer_text(&list), &stream->events);
  } else if (json_string_is(type, "tool_use")) {
    if (json_type(json_find(block, "id")) != JSON_STRING || json_type(json_find(block, "name")) != JSON_STRING)
      return dialect_fault_malformed(ret_fault, "a tool call of its answer has no id or no name");
    own->block = ANTHROPIC_CALL;
    own->has_input = false;
    tell_call(&own->tell, json_find(block, "id"), json_find(block, "name"), &stream->events);
  }
  return 0;
}

static int on_delta(DialectStream *stream, Json event, DialectFault *ret_fault) {
  AnthropicStream *own = stream->own;
  Json delta = json_find(event, "delta");
  Json type = json_find(delta, "type");

  if (json_string_is(type, "text_delta")) {
    tell_content(&own->tell, json_find(delta, "text"), &stream->events);
  } else if (json_string_is(type, "input_json_delta") && own->block == ANTHROPIC_CALL) {
    Json piece = json_find(delta, "partial_json");

    own->has_input |= piece.text.size > 2;
    tell_arguments(&own->tell, piece, &stream->events);
  } else if (json_string_is(type, "thinking_delta")) {
    tell_reasoning(&own->tell, json_find(delta, "thinking"), &stream->events);
    put_inside(json_find(delta, "thinking"), &own->thinking);
  } else if (json_string_is(type, "signature_delta")) {
    put_inside(json_find(delta, "signature"), &own->signature);
  }
  if (own->thinking.size + own->signature.size > LIMIT_REPLY_BYTES)
    return dialect_fault_malformed(ret_fault, "what it thinks is over 16 MiB");
  return 0;
}

static int on_block_stop(DialectStream *stream, Json event, DialectFault *ret_fault) {
  AnthropicStream *own = stream->own;

  (void)event;
  (void)ret_fault;
  if (own->block == ANTHROPIC_THINKING) {
    _cleanup_(buffer_done) Buffer list = {0};

    buffer_printf(&list, "[{\"type\":\"thinking\",\"thinking\":\"%.*s\",\"signature\":\"%.*s\"}]",
                  TEXT_ARG(buffer_text(&own->thinking)), TEXT_ARG(buffer_text(&own->signature)));
    tell_member(&own->tell, "thinking_blocks", buffer_text(&list), &stream->events);
  } else if (own->block == ANTHROPIC_CALL && !own->has_input) {
    tell_arguments(&own->tell, (Json){TEXT("\"{}\"")}, &stream->events);
  }
  own->block = ANTHROPIC_OTHER;
  return 0;
}

/* The last but one event: why it ends, and all that was used. */
static int on_message_delta(DialectStream *stream, Json event, DialectFault *ret_fault) {
  AnthropicStream *own = stream->own;
  Json reason = json_find(json_find(event, "delta"), "stop_reason");

  (void)ret_fault;
  anthropic_read_usage(json_find(event, "usage"), &stream->usage);
  if (json_type(reason) != JSON_STRING || stream->finished)
    return 0;
  stream->finished = true;
  tell_end(&own->tell, anthropic_finish_of(reason), stream->asked.hides_usage ? NULL : &stream->usage, &stream->events);
  return 0;
}

static int on_message_stop(DialectStream *stream, Json event, DialectFault *ret_fault) {
  (void)event;
  if (!stream->finished)
    return dialect_fault_malformed(ret_fault, "its stream ends without a stop_reason");
  stream->done = true;
  return 0;
}

static int on_error(DialectStream *stream, Json event, DialectFault *ret_fault) {
  (void)stream;
  anthropic_decode_error(&(DialectHead){.status = 200}, event.text, ret_fault);
  return DIALECT_E_FAULT;
}

int anthropic_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  static const struct {
    const char *type;
    bool is_inside; /* has no meaning before message_start */
    int (*on)(DialectStream *stream, Json event, DialectFault *ret_fault);
  } events[] = {
      {"content_block_delta", true, on_delta},
      {"content_block_start", true, on_block_start},
      {"content_block_stop", true, on_block_stop},
      {"message_start", false, on_start},
      {"message_delta", true, on_message_delta},
      {"message_stop", true, on_message_stop},
      {"error", false, on_error},
  };
  const AnthropicStream *own = stream->own;
  Json event;
  Json name;
  int r;

  (void)type;
  if (stream->done)
    return 0;
  if (json_check(data, &event, NULL) != 0 || json_type(event) != JSON_OBJECT)
    return dialect_fault_malformed(ret_fault, "a piece of its answer is not a JSON object");
  name = json_find(event, "type");
  for (size_t i = 0; i < ELEMENTS(events); i++) {
    if (!json_string_is(name, events[i].type))
      continue;
    if (events[i].is_inside && !tell_has_begun(&own->tell))
      return dialect_fault_malformed(ret_fault, "its stream does not begin with message_start");
    r = events[i].on(stream, event, ret_fault);
    stream->said_bytes = own->tell.said_bytes;
    return r;
  }
  return 0; /* ping, and what is to come: the reference says that there will be more */
}
