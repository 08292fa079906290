/* OpenAI's messages become turns of two roles that alternate: what follows in the same role, results of tools among it, is one
   turn. What the system says stands apart. */
#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "adapters/bedrock/bedrock-internal.h"
#include "adapters/dialect/turns.h"

typedef enum Side { USER = 1, ASSISTANT } Side;

typedef struct Writing {
  const AskChat *ask;
  Turns turns;
  DialectFault *ret_fault;
  uint32_t documents; /* their names must differ */
  size_t message;     /* which is being read, for a fault's path */
} Writing;

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

static const char *find_format(const Format *formats, size_t count, Text type) {
  for (size_t i = 0; i < count; i++)
    if (type.size == strlen(formats[i].type) && strncasecmp(type.data, formats[i].type, type.size) == 0)
      return formats[i].name;
  return NULL;
}

static int refuse(const Writing *writing, const AskPart *part, const char *member, const char *why) {
  char path[96];

  snprintf(path, sizeof path, "messages[%zu].content[%zu].%s", writing->message, part->index, member);
  return dialect_fault_caller(writing->ret_fault, path, "%s %s", path, why);
}

/* --- blocks --- */

static void put_text(Buffer *out, Json text) {
  buffer_put(out, TEXT("{"));
  json_put_member(out, "text", text);
  buffer_put(out, TEXT("}"));
}

static void put_bytes(Buffer *out, const char *format, Text base64) {
  json_put_key(out, "format");
  buffer_printf(out, "\"%s\",\"source\":{\"bytes\":", format);
  json_put_string(out, base64);
  buffer_put(out, TEXT("}"));
}

static int put_image(Writing *writing, const AskPart *part) {
  _cleanup_(buffer_done) Buffer room = {0};
  Buffer *out = writing->turns.out;
  const char *format;
  AskMedia media;

  ask_read_media(part->url, &room, &media);
  if (!media.is_inline)
    return refuse(writing, part, "image_url.url", "must be a data: URL: Bedrock fetches no images");
  format = find_format(images, ELEMENTS(images), media.type);
  if (!format)
    return refuse(writing, part, "image_url.url", "must be of type image/png, image/jpeg, image/gif or image/webp");
  buffer_put(out, TEXT("{\"image\":{"));
  put_bytes(out, format, media.base64);
  buffer_put(out, TEXT("}}"));
  return 0;
}

/* A file's name, of the letters that Bedrock allows, with a number that no other has. */
static void put_name(Writing *writing, Json format) {
  _cleanup_(buffer_done) Buffer name = {0};
  Buffer *out = writing->turns.out;
  size_t begun = out->size;

  json_get_string(format, &name);
  for (size_t i = 0; i < name.size && name.data[i] != '.' && i < 100; i++)
    if (isalnum(name.data[i]) || name.data[i] == '-')
      buffer_append(out, &name.data[i], 1);
  buffer_printf(out, "%s %u", out->size > begun ? "" : "document", ++writing->documents);
}

static int put_document(Writing *writing, const AskPart *part) {
  _cleanup_(buffer_done) Buffer room = {0};
  Buffer *out = writing->turns.out;
  const char *format;
  AskMedia media;

  ask_read_media(part->url, &room, &media);
  format = find_format(documents, ELEMENTS(documents), media.type);
  if (!format)
    return refuse(writing, part, "file.file_data", "must be of type pdf, csv, doc, docx, xls, xlsx, html, txt or md");
  buffer_put(out, TEXT("{\"document\":{\"name\":\""));
  put_name(writing, part->format);
  buffer_put(out, TEXT("\""));
  put_bytes(out, format, media.base64);
  buffer_put(out, TEXT("}}"));
  return 0;
}

static int put_part(Writing *writing, const AskPart *part) {
  if (part->kind == ASK_PART_image)
    return put_image(writing, part);
  if (part->kind == ASK_PART_file)
    return put_document(writing, part);
  put_text(writing->turns.out, part->text);
  return 0;
}

/* --- messages --- */

static int put_parts(Writing *writing, const AskMessage *message, Side side) {
  AskParts parts = ask_parts(message->content);
  AskPart part;
  int r = 0;

  while (r == 0 && ask_next_part(&parts, writing->ask, &part)) {
    turns_next(&writing->turns, side);
    r = put_part(writing, &part);
  }
  return r;
}

/* A thought goes back as it came, with its signature, or Claude does not take it. */
static void put_thought(Writing *writing, Json block) {
  enum { THINKING, SIGNATURE, DATA, COUNT };
  static const char *const names[] = {"thinking", "signature", "data"};
  Buffer *out = writing->turns.out;
  Json found[COUNT];

  json_find_each(block, names, COUNT, found);
  if (json_type(found[DATA]) == JSON_STRING) {
    turns_next(&writing->turns, ASSISTANT);
    buffer_put(out, TEXT("{\"reasoningContent\":{"));
    json_put_member(out, "redactedContent", found[DATA]);
    buffer_put(out, TEXT("}}"));
  } else if (json_type(found[THINKING]) == JSON_STRING && json_type(found[SIGNATURE]) == JSON_STRING) {
    turns_next(&writing->turns, ASSISTANT);
    buffer_put(out, TEXT("{\"reasoningContent\":{\"reasoningText\":{"));
    json_put_member(out, "text", found[THINKING]);
    json_put_member(out, "signature", found[SIGNATURE]);
    buffer_put(out, TEXT("}}}"));
  }
}

static void put_call(Writing *writing, const AskCall *call) {
  Buffer *out = writing->turns.out;

  turns_next(&writing->turns, ASSISTANT);
  buffer_put(out, TEXT("{\"toolUse\":{"));
  json_put_member(out, "toolUseId", call->id);
  json_put_member(out, "name", call->name);
  json_put_key(out, "input");
  ask_put_arguments(call->arguments, out);
  buffer_put(out, TEXT("}}"));
}

static int put_assistant(Writing *writing, const AskMessage *message) {
  JsonWalk thoughts = json_walk(json_find(message->whole, BEDROCK_THOUGHTS));
  JsonWalk calls = json_walk(message->calls);
  AskCall call;
  Json block;
  int r;

  while (json_next_element(&thoughts, &block))
    put_thought(writing, block);
  r = put_parts(writing, message, ASSISTANT);
  while (r == 0 && ask_next_call(&calls, &call))
    put_call(writing, &call);
  return r;
}

/* A result without a word is an empty object: no text may be empty. */
static int put_result(Writing *writing, const AskMessage *message) {
  AskParts parts = ask_parts(message->content);
  Buffer *out = writing->turns.out;
  AskPart part;
  size_t begun;
  int r = 0;

  turns_next(&writing->turns, USER);
  buffer_put(out, TEXT("{\"toolResult\":{"));
  json_put_member(out, "toolUseId", message->call_id);
  json_put_key(out, "content");
  buffer_put(out, TEXT("["));
  begun = out->size;
  while (r == 0 && ask_next_part(&parts, writing->ask, &part)) {
    json_put_comma(out);
    r = put_part(writing, &part);
  }
  buffer_put(out, out->size > begun ? TEXT("]}}") : TEXT("{\"json\":{}}]}}"));
  return r;
}

static void put_system(const AskChat *ask, const AskMessage *message, Buffer *system) {
  AskParts parts = ask_parts(message->content);
  AskPart part;

  while (ask_next_part(&parts, ask, &part)) {
    json_put_comma(system);
    put_text(system, part.text);
  }
}

static int put_message(Writing *writing, const AskMessage *message, Buffer *system) {
  switch (message->role) {
  case ASK_USER:
    return put_parts(writing, message, USER);
  case ASK_ASSISTANT:
    return put_assistant(writing, message);
  case ASK_TOOL:
    return put_result(writing, message);
  case ASK_SYSTEM:
    put_system(writing->ask, message, system);
    break;
  }
  return 0;
}

int bedrock_put_turns(const AskChat *ask, Buffer *out, DialectFault *ret_fault) {
  static const char *const openings[] = {
      [USER] = "{\"role\":\"user\",\"content\":[", [ASSISTANT] = "{\"role\":\"assistant\",\"content\":["};
  Writing writing = {.ask = ask, .turns = {.out = out, .openings = openings}, .ret_fault = ret_fault};
  _cleanup_(buffer_done) Buffer system = {0};
  AskMessages messages = ask_messages(ask);
  AskMessage message;
  int r = 0;

  json_put_key(out, "messages");
  buffer_put(out, TEXT("["));
  for (; r == 0 && ask_next_message(&messages, &message); writing.message++)
    r = put_message(&writing, &message, &system);
  if (r == 0 && !turns_end(&writing.turns))
    return dialect_fault_caller(ret_fault, "messages", "'messages' has no message that says something");
  buffer_put(out, TEXT("]"));
  if (system.size > 0) {
    json_put_key(out, "system");
    buffer_put(out, TEXT("["));
    buffer_put(out, buffer_text(&system));
    buffer_put(out, TEXT("]"));
  }
  return r;
}
