/* Messages in Anthropic's shape: the system speaks apart from them, the results of tools are the user's words, and what one
   speaker says in several messages becomes one. Empty texts are refused there, so they are left out. */
#include "adapters/anthropic/anthropic-internal.h"
#include "adapters/dialect/turns.h"

typedef enum Speaker { USER = 1, ASSISTANT } Speaker;

typedef struct Writing {
  const AskChat *ask;
  Turns turns;
} Writing;

/* Ends a block; whole is what may have a mark for the cache. */
static void close_block(Json whole, Buffer *out) {
  json_put_member(out, "cache_control", ask_member(whole, "cache_control"));
  buffer_put(out, TEXT("}"));
}

/* --- blocks --- */

static void put_media(const AskPart *part, Buffer *out) {
  _cleanup_(buffer_done) Buffer room = {0};
  AskMedia media;

  ask_read_media(part->url, &room, &media);
  json_put_key(out, "source");
  if (!media.is_inline) {
    buffer_put(out, TEXT("{\"type\":\"url\""));
    json_put_member(out, "url", part->url);
  } else {
    buffer_put(out, TEXT("{\"type\":\"base64\",\"media_type\":"));
    json_put_string(out, media.type);
    json_put_key(out, "data");
    json_put_string(out, media.base64);
  }
  buffer_put(out, TEXT("}"));
}

/* What a part is, but for its end. */
static void put_part(const AskPart *part, Buffer *out) {
  if (part->kind == ASK_PART_image) {
    buffer_put(out, TEXT("{\"type\":\"image\""));
    put_media(part, out);
  } else if (part->kind == ASK_PART_file) {
    buffer_put(out, TEXT("{\"type\":\"document\""));
    put_media(part, out);
    json_put_member(out, "title", part->format);
  } else {
    buffer_put(out, TEXT("{\"type\":\"text\",\"text\":"));
    buffer_put(out, part->text.text);
  }
}

/* The parts of a content that is one text have their marks at the message. */
static Json marked(const AskMessage *message, const AskPart *part) {
  return json_type(part->whole) == JSON_STRING ? message->whole : part->whole;
}

static void put_parts(Writing *writing, const AskMessage *message, Speaker speaker) {
  AskParts parts = ask_parts(message->content);
  AskPart part;

  while (ask_next_part(&parts, writing->ask, &part)) {
    turns_next(&writing->turns, speaker);
    put_part(&part, writing->turns.out);
    close_block(marked(message, &part), writing->turns.out);
  }
}

/* --- messages --- */

/* An id of a call; other providers give some with characters that are refused here, which become '_' on both sides. */
static void put_id(Json id, Buffer *out) {
  size_t at = out->size + 1;

  buffer_put(out, id.text);
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
    json_put_comma(system);
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
    turns_next(&writing->turns, ASSISTANT);
    buffer_put(writing->turns.out, block.text);
  }
}

static void put_assistant(Writing *writing, const AskMessage *message) {
  JsonWalk walk = json_walk(message->calls);
  Buffer *out = writing->turns.out;
  AskCall call;

  put_thoughts(writing, message);
  put_parts(writing, message, ASSISTANT);
  while (ask_next_call(&walk, &call)) {
    turns_next(&writing->turns, ASSISTANT);
    buffer_put(out, TEXT("{\"type\":\"tool_use\",\"id\":"));
    put_id(call.id, out);
    json_put_member(out, "name", call.name);
    json_put_key(out, "input");
    ask_put_arguments(call.arguments, out);
    close_block(call.whole, out);
  }
}

static void put_result(Writing *writing, const AskMessage *message) {
  AskParts parts = ask_parts(message->content);
  Buffer *out = writing->turns.out;
  bool any = false;
  AskPart part;

  turns_next(&writing->turns, USER);
  buffer_put(out, TEXT("{\"type\":\"tool_result\",\"tool_use_id\":"));
  put_id(message->call_id, out);
  for (; ask_next_part(&parts, writing->ask, &part); any = true) {
    buffer_put(out, any ? TEXT(",") : TEXT(",\"content\":["));
    put_part(&part, out);
    buffer_put(out, TEXT("}"));
  }
  buffer_put(out, any ? TEXT("]") : TEXT_NONE);
  close_block(message->whole, out);
}

bool anthropic_put_messages(const AskChat *ask, Buffer *out, Buffer *ret_system) {
  static const char *const openings[] = {
      [USER] = "{\"role\":\"user\",\"content\":[", [ASSISTANT] = "{\"role\":\"assistant\",\"content\":["};
  Writing writing = {.ask = ask, .turns = {.out = out, .openings = openings}};
  AskMessages messages = ask_messages(ask);
  AskMessage message;
  bool any;

  buffer_put(out, TEXT("["));
  while (ask_next_message(&messages, &message)) {
    if (message.role == ASK_SYSTEM)
      put_system(ask, &message, ret_system);
    else if (message.role == ASK_ASSISTANT)
      put_assistant(&writing, &message);
    else if (message.role == ASK_TOOL)
      put_result(&writing, &message);
    else
      put_parts(&writing, &message, USER);
  }
  any = turns_end(&writing.turns);
  buffer_put(out, TEXT("]"));
  return any;
}
