/* Messages in Anthropic's shape: the system speaks apart from them, the results of tools are the user's words, and what one
   speaker says in several messages becomes one. Empty texts are refused there, so they are left out. */
#include "adapters/anthropic/anthropic-internal.h"

#define PUT(out, literal) buffer_append(out, literal, sizeof(literal) - 1)

typedef struct Writing {
  const AskChat *ask;
  Buffer *out;
  const char *speaker; /* of the message that is open; NULL: none is */
  size_t messages;
  size_t blocks; /* of the open one */
} Writing;

static void put_text(Buffer *out, Text text) {
  buffer_append(out, text.data, text.size);
}

/* Begins a block of what speaker says. */
static void open_block(Writing *writing, const char *speaker) {
  Buffer *out = writing->out;

  if (writing->speaker != speaker) {
    buffer_printf(out, "%s{\"role\":\"%s\",\"content\":[", writing->speaker ? "]}," : "", speaker);
    writing->speaker = speaker;
    writing->messages++;
    writing->blocks = 0;
  }
  buffer_append(out, ",", writing->blocks++ ? 1 : 0);
}

/* Ends a block; whole is what may have a mark for the cache. */
static void close_block(Json whole, Buffer *out) {
  Json cache = ask_member(whole, "cache_control");

  if (!json_is_none(cache)) {
    PUT(out, ",\"cache_control\":");
    put_text(out, cache.text);
  }
  PUT(out, "}");
}

/* --- blocks --- */

static void put_media(const AskPart *part, Buffer *out) {
  _cleanup_(buffer_done) Buffer room = {0};
  AskMedia media;

  ask_read_media(part->url, &room, &media);
  PUT(out, "\"source\":{\"type\":\"");
  if (!media.is_inline) {
    PUT(out, "url\",\"url\":");
    put_text(out, part->url.text);
  } else {
    PUT(out, "base64\",\"media_type\":");
    json_put_string(out, media.type);
    PUT(out, ",\"data\":");
    json_put_string(out, media.base64);
  }
  PUT(out, "}");
}

/* What a part is, but for its end. */
static void put_part(const AskPart *part, Buffer *out) {
  if (part->kind == ASK_PART_image) {
    PUT(out, "{\"type\":\"image\",");
    put_media(part, out);
  } else if (part->kind == ASK_PART_file) {
    PUT(out, "{\"type\":\"document\",");
    put_media(part, out);
    if (!json_is_none(part->format)) {
      PUT(out, ",\"title\":");
      put_text(out, part->format.text);
    }
  } else {
    PUT(out, "{\"type\":\"text\",\"text\":");
    put_text(out, part->text.text);
  }
}

static bool says_something(const AskPart *part) {
  return json_is_none(part->text) || part->text.text.size > 2;
}

/* The parts of a content that is one text have their marks at the message. */
static Json marked(const AskMessage *message, const AskPart *part) {
  return json_type(part->whole) == JSON_STRING ? message->whole : part->whole;
}

static void put_parts(Writing *writing, const AskMessage *message, const char *speaker) {
  AskParts parts = ask_parts(message->content);
  AskPart part;

  while (ask_next_part(&parts, writing->ask, &part)) {
    if (!says_something(&part))
      continue;
    open_block(writing, speaker);
    put_part(&part, writing->out);
    close_block(marked(message, &part), writing->out);
  }
}

/* --- messages --- */

/* An id of a call; other providers give some with characters that are refused here, which become '_' on both sides. */
static void put_id(Json id, Buffer *out) {
  size_t at = out->size + 1;

  put_text(out, id.text);
  for (; at + 1 < out->size; at++) {
    uint8_t c = out->data[at];

    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'))
      out->data[at] = '_';
  }
}

static void put_system(const AskChat *ask, const AskMessage *message, Buffer *system) {
  AskParts parts = ask_parts(message->content);
  AskPart part;

  while (ask_next_part(&parts, ask, &part)) {
    if (!says_something(&part))
      continue;
    buffer_append(system, ",", system->size ? 1 : 0);
    put_part(&part, system);
    close_block(marked(message, &part), system);
  }
}

/* What was thought before, with its signatures: it has to come back as it was told. */
static void put_thoughts(Writing *writing, const AskMessage *message) {
  JsonWalk walk = json_walk(ask_member(message->whole, "thinking_blocks"));
  Json block;

  while (json_next_element(&walk, &block)) {
    Json type = json_find(block, "type");

    if (!json_string_is(type, "thinking") && !json_string_is(type, "redacted_thinking"))
      continue;
    open_block(writing, "assistant");
    put_text(writing->out, block.text);
  }
}

static void put_assistant(Writing *writing, const AskMessage *message) {
  JsonWalk walk = json_walk(message->calls);
  Buffer *out = writing->out;
  AskCall call;

  put_thoughts(writing, message);
  put_parts(writing, message, "assistant");
  while (ask_next_call(&walk, &call)) {
    open_block(writing, "assistant");
    PUT(out, "{\"type\":\"tool_use\",\"id\":");
    put_id(call.id, out);
    PUT(out, ",\"name\":");
    put_text(out, call.name.text);
    PUT(out, ",\"input\":");
    ask_put_arguments(call.arguments, out);
    close_block(call.whole, out);
  }
}

static void put_result(Writing *writing, const AskMessage *message) {
  AskParts parts = ask_parts(message->content);
  Buffer *out = writing->out;
  bool first = true;
  AskPart part;

  open_block(writing, "user");
  PUT(out, "{\"type\":\"tool_result\",\"tool_use_id\":");
  put_id(message->call_id, out);
  while (ask_next_part(&parts, writing->ask, &part)) {
    if (!says_something(&part))
      continue;
    if (first)
      PUT(out, ",\"content\":[");
    else
      PUT(out, ",");
    first = false;
    put_part(&part, out);
    PUT(out, "}");
  }
  buffer_append(out, "]", first ? 0 : 1);
  close_block(message->whole, out);
}

size_t anthropic_put_messages(const AskChat *ask, Buffer *out, Buffer *ret_system) {
  Writing writing = {.ask = ask, .out = out};
  AskMessages messages = ask_messages(ask);
  AskMessage message;

  PUT(out, "[");
  while (ask_next_message(&messages, &message)) {
    if (message.role == ASK_SYSTEM)
      put_system(ask, &message, ret_system);
    else if (message.role == ASK_ASSISTANT)
      put_assistant(&writing, &message);
    else if (message.role == ASK_TOOL)
      put_result(&writing, &message);
    else
      put_parts(&writing, &message, "user");
  }
  if (writing.speaker)
    PUT(out, "]}");
  PUT(out, "]");
  return writing.messages;
}
