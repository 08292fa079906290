/* OpenAI's messages become turns of two roles that alternate: what follows in the same role, results of tools among it, is one
   turn. What the system says stands apart. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "adapters/bedrock/bedrock-internal.h"

typedef enum Side { SIDE_NONE, SIDE_USER, SIDE_ASSISTANT } Side;

typedef struct Turns {
  const AskChat *ask;
  Buffer *out;
  DialectFault *ret_fault;
  Side side;          /* of the turn that is open */
  uint32_t documents; /* their names must differ */
  size_t message;     /* which is being read, for a fault's path */
  size_t part;
} Turns;

typedef struct Format {
  const char *type; /* MIME */
  const char *name; /* Bedrock's */
} Format;

static const Format images[] = {
    {"image/png", "png"}, {"image/jpeg", "jpeg"}, {"image/jpg", "jpeg"}, {"image/gif", "gif"}, {"image/webp", "webp"},
};
static const Format documents[] = {
    {"application/pdf", "pdf"},
    {"text/csv", "csv"},
    {"text/html", "html"},
    {"text/plain", "txt"},
    {"text/markdown", "md"},
    {"application/msword", "doc"},
    {"application/vnd.openxmlformats-officedocument.wordprocessingml.document", "docx"},
    {"application/vnd.ms-excel", "xls"},
    {"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "xlsx"},
};

static void put(Buffer *out, Text text) {
  buffer_append(out, text.data, text.size);
}

static const char *find_format(const Format *formats, size_t count, Text type) {
  for (size_t i = 0; i < count; i++)
    if (type.size == strlen(formats[i].type) && strncasecmp(type.data, formats[i].type, type.size) == 0)
      return formats[i].name;
  return NULL;
}

static int refuse(Turns *turns, const char *member, const char *why) {
  char path[96];

  snprintf(path, sizeof path, "messages[%zu].content[%zu].%s", turns->message, turns->part, member);
  return dialect_fault_caller(turns->ret_fault, path, "%s %s", path, why);
}

/* Goes on with a block of side: in the turn that is open, or in a new one. */
static void begin_block(Turns *turns, Side side) {
  if (turns->side == side) {
    put(turns->out, TEXT(","));
    return;
  }
  if (turns->side != SIDE_NONE)
    put(turns->out, TEXT("]},"));
  put(turns->out,
      side == SIDE_USER ? TEXT("{\"role\":\"user\",\"content\":[") : TEXT("{\"role\":\"assistant\",\"content\":["));
  turns->side = side;
}

/* --- blocks --- */

static void put_text(Buffer *out, Json text) {
  put(out, TEXT("{\"text\":"));
  put(out, text.text);
  put(out, TEXT("}"));
}

static void put_bytes(Buffer *out, const char *format, Text base64) {
  buffer_printf(out, "\"format\":\"%s\",\"source\":{\"bytes\":\"", format);
  put(out, base64);
  put(out, TEXT("\"}"));
}

static int put_image(Turns *turns, const AskPart *part) {
  _cleanup_(buffer_done) Buffer room = {0};
  const char *format;
  AskMedia media;

  ask_read_media(part->url, &room, &media);
  if (!media.is_inline)
    return refuse(turns, "image_url.url", "must be a data: URL: Bedrock fetches no images");
  format = find_format(images, ELEMENTS(images), media.type);
  if (!format)
    return refuse(turns, "image_url.url", "must be of type image/png, image/jpeg, image/gif or image/webp");
  put(turns->out, TEXT("{\"image\":{"));
  put_bytes(turns->out, format, media.base64);
  put(turns->out, TEXT("}}"));
  return 0;
}

/* A file's name, of the letters that Bedrock allows, with a number that no other has. */
static void put_name(Turns *turns, Json format) {
  _cleanup_(buffer_done) Buffer name = {0};
  size_t begun = turns->out->size;

  json_get_string(format, &name);
  for (size_t i = 0; i < name.size && name.data[i] != '.' && i < 100; i++)
    if (isalnum(name.data[i]) || name.data[i] == '-')
      buffer_append(turns->out, &name.data[i], 1);
  buffer_printf(turns->out, "%s %u", turns->out->size > begun ? "" : "document", ++turns->documents);
}

static int put_document(Turns *turns, const AskPart *part) {
  _cleanup_(buffer_done) Buffer room = {0};
  const char *format;
  AskMedia media;

  ask_read_media(part->url, &room, &media);
  format = find_format(documents, ELEMENTS(documents), media.type);
  if (!format)
    return refuse(turns, "file.file_data", "must be of type pdf, csv, doc, docx, xls, xlsx, html, txt or md");
  put(turns->out, TEXT("{\"document\":{\"name\":\""));
  put_name(turns, part->format);
  put(turns->out, TEXT("\","));
  put_bytes(turns->out, format, media.base64);
  put(turns->out, TEXT("}}"));
  return 0;
}

static int put_part(Turns *turns, const AskPart *part) {
  if (part->kind == ASK_PART_image)
    return put_image(turns, part);
  if (part->kind == ASK_PART_file)
    return put_document(turns, part);
  put_text(turns->out, part->text);
  return 0;
}

/* --- messages --- */

/* The parts of a message that are not empty texts, each begun by begin. */
static int put_parts(Turns *turns, const AskMessage *message, Side side) {
  AskParts parts = ask_parts(message->content);
  AskPart part;
  int r = 0;

  for (turns->part = 0; r == 0 && ask_next_part(&parts, turns->ask, &part); turns->part++) {
    if (!json_is_none(part.text) && part.text.text.size <= 2)
      continue;
    begin_block(turns, side);
    r = put_part(turns, &part);
  }
  return r;
}

/* A thought goes back as it came, with its signature, or Claude does not take it. */
static void put_thought(Turns *turns, Json block) {
  Json text = json_find(block, "thinking");
  Json signature = json_find(block, "signature");
  Json data = json_find(block, "data");

  if (json_type(data) == JSON_STRING) {
    begin_block(turns, SIDE_ASSISTANT);
    buffer_printf(turns->out, "{\"reasoningContent\":{\"redactedContent\":%.*s}}", TEXT_ARG(data.text));
  } else if (json_type(text) == JSON_STRING && json_type(signature) == JSON_STRING) {
    begin_block(turns, SIDE_ASSISTANT);
    buffer_printf(turns->out, "{\"reasoningContent\":{\"reasoningText\":{\"text\":%.*s,\"signature\":%.*s}}}",
                  TEXT_ARG(text.text), TEXT_ARG(signature.text));
  }
}

static void put_call(Turns *turns, const AskCall *call) {
  begin_block(turns, SIDE_ASSISTANT);
  buffer_printf(turns->out, "{\"toolUse\":{\"toolUseId\":%.*s,\"name\":%.*s,\"input\":", TEXT_ARG(call->id.text),
                TEXT_ARG(call->name.text));
  ask_put_arguments(call->arguments, turns->out);
  put(turns->out, TEXT("}}"));
}

static int put_assistant(Turns *turns, const AskMessage *message) {
  JsonWalk thoughts = json_walk(json_find(message->whole, BEDROCK_THOUGHTS));
  JsonWalk calls = json_walk(message->calls);
  AskCall call;
  Json block;
  int r;

  while (json_next_element(&thoughts, &block))
    put_thought(turns, block);
  r = put_parts(turns, message, SIDE_ASSISTANT);
  while (r == 0 && ask_next_call(&calls, &call))
    put_call(turns, &call);
  return r;
}

/* A result without a word is an empty object: no text may be empty. */
static int put_result(Turns *turns, const AskMessage *message) {
  AskParts parts = ask_parts(message->content);
  AskPart part;
  bool any = false;
  int r = 0;

  begin_block(turns, SIDE_USER);
  buffer_printf(turns->out, "{\"toolResult\":{\"toolUseId\":%.*s,\"content\":[", TEXT_ARG(message->call_id.text));
  for (turns->part = 0; r == 0 && ask_next_part(&parts, turns->ask, &part); turns->part++) {
    if (!json_is_none(part.text) && part.text.text.size <= 2)
      continue;
    if (any)
      put(turns->out, TEXT(","));
    any = true;
    r = put_part(turns, &part);
  }
  put(turns->out, any ? TEXT("]}}") : TEXT("{\"json\":{}}]}}"));
  return r;
}

static int put_message(Turns *turns, const AskMessage *message) {
  switch (message->role) {
  case ASK_USER:
    return put_parts(turns, message, SIDE_USER);
  case ASK_ASSISTANT:
    return put_assistant(turns, message);
  case ASK_TOOL:
    return put_result(turns, message);
  case ASK_SYSTEM:
    break;
  }
  return 0;
}

static void put_system(const AskChat *ask, const AskMessage *message, Buffer *system) {
  AskParts parts = ask_parts(message->content);
  AskPart part;

  while (ask_next_part(&parts, ask, &part)) {
    if (part.text.text.size <= 2)
      continue;
    put(system, system->size > 0 ? TEXT(",") : TEXT(",\"system\":["));
    put_text(system, part.text);
  }
}

int bedrock_put_turns(const AskChat *ask, Buffer *out, DialectFault *ret_fault) {
  Turns turns = {.ask = ask, .out = out, .ret_fault = ret_fault};
  _cleanup_(buffer_done) Buffer system = {0};
  AskMessages messages = ask_messages(ask);
  AskMessage message;
  int r = 0;

  put(out, TEXT("\"messages\":["));
  for (; r == 0 && ask_next_message(&messages, &message); turns.message++)
    if (message.role == ASK_SYSTEM)
      put_system(ask, &message, &system);
    else
      r = put_message(&turns, &message);
  if (turns.side != SIDE_NONE)
    put(out, TEXT("]}"));
  put(out, TEXT("]"));
  if (system.size > 0)
    buffer_printf(out, "%.*s]", (int)system.size, (const char *)system.data);
  return r;
}
