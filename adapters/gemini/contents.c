/* Texts and arguments go over as they came, with their escapes. A thought's signature comes back where the client kept it, in
   extra_content.google.thought_signature of the call or of the message, and goes back on the part that it was on. */
#include "adapters/gemini/contents.h"

#include <strings.h>

#include "adapters/dialect/turns.h"
#include "adapters/gemini/gemini-internal.h"

typedef enum Turn { TURN_USER = 1, TURN_MODEL, TURN_RESULTS } Turn;

typedef struct Writer {
  const AskChat *ask;
  Turns turns;
  int major;
} Writer;

/* --- parts --- */

/* What a picture is whose address ends so; Google asks, and an address says no more. */
static const char *guess_type(Text url) {
  static const char *const types[][2] = {{".png", "image/png"},   {".jpg", "image/jpeg"}, {".jpeg", "image/jpeg"},
                                         {".webp", "image/webp"}, {".gif", "image/gif"},  {".heic", "image/heic"},
                                         {".heif", "image/heif"}};
  const char *query = memchr(url.data, '?', url.size);
  size_t size = query ? (size_t)(query - url.data) : url.size;

  for (size_t i = 0; i < ELEMENTS(types); i++) {
    size_t n = strlen(types[i][0]);

    if (size > n && strncasecmp(url.data + size - n, types[i][0], n) == 0)
      return types[i][1];
  }
  return NULL;
}

static void put_media(Json url, Buffer *out) {
  _cleanup_(buffer_done) Buffer room = {0};
  AskMedia media;
  const char *type;

  ask_read_media(url, &room, &media);
  if (media.is_inline) {
    buffer_put(out, TEXT("{\"inlineData\":{\"mimeType\":"));
    json_put_string(out, media.type);
    json_put_key(out, "data");
    json_put_string(out, media.base64);
    buffer_put(out, TEXT("}}"));
    return;
  }
  type = guess_type(media.url);
  buffer_put(out, TEXT("{\"fileData\":{"));
  if (type)
    buffer_printf(out, "\"mimeType\":\"%s\"", type);
  json_put_key(out, "fileUri");
  json_put_string(out, media.url);
  buffer_put(out, TEXT("}}"));
}

static void put_part(const AskPart *part, Buffer *out) {
  if (part->kind == ASK_PART_audio) {
    buffer_put(out, TEXT("{\"inlineData\":{\"mimeType\":\"audio/"));
    buffer_append(out, part->format.text.data + 1, part->format.text.size - 1);
    json_put_member(out, "data", part->url);
    buffer_put(out, TEXT("}}"));
  } else if (part->kind == ASK_PART_image || part->kind == ASK_PART_file) {
    put_media(part->url, out);
  } else {
    buffer_put(out, TEXT("{\"text\":"));
    buffer_put(out, part->text.text);
    buffer_put(out, TEXT("}"));
  }
}

static void put_parts(Writer *writer, Turn turn, Json content) {
  AskParts parts = ask_parts(content);
  AskPart part;

  while (ask_next_part(&parts, writer->ask, &part)) {
    turns_next(&writer->turns, turn);
    put_part(&part, writer->turns.out);
  }
}

/* --- the model's turns --- */

static Json signature_of(Json whole) {
  Json google = json_find(json_find(whole, "extra_content"), "google");
  Json signature = json_find(google, "thought_signature");

  return json_type(signature) == JSON_STRING ? signature : (Json){TEXT_NONE};
}

/* Onto the part that was written last. */
static void sign(Writer *writer, Json signature) {
  Buffer *out = writer->turns.out;

  out->size--;
  json_put_member(out, "thoughtSignature", signature);
  buffer_put(out, TEXT("}"));
}

static bool is_made_up(Json id) {
  static const char begin[] = "\"" GEMINI_MADE_UP;

  return id.text.size >= sizeof begin - 1 && memcmp(id.text.data, begin, sizeof begin - 1) == 0;
}

/* From generation 3 on the first call of an answer must have a signature. One that another model made has none: there is a
   word for that. */
static void put_call(Writer *writer, const AskCall *call, bool first) {
  Json signature = signature_of(call->whole);
  Buffer *out = writer->turns.out;

  turns_next(&writer->turns, TURN_MODEL);
  buffer_put(out, TEXT("{\"functionCall\":{"));
  if (!is_made_up(call->id))
    json_put_member(out, "id", call->id);
  json_put_member(out, "name", call->name);
  json_put_key(out, "args");
  ask_put_arguments(call->arguments, out);
  buffer_put(out, TEXT("}}"));
  if (!json_is_none(signature))
    sign(writer, signature);
  else if (first && writer->major >= 3)
    sign(writer, (Json){TEXT("\"skip_thought_signature_validator\"")});
}

static void put_answer(Writer *writer, const AskMessage *message) {
  JsonWalk walk = json_walk(message->calls);
  Json signature = signature_of(message->whole);
  size_t before = writer->turns.out->size;
  AskCall call;

  put_parts(writer, TURN_MODEL, message->content);
  if (!json_is_none(signature)) {
    if (writer->turns.out->size == before) {
      turns_next(&writer->turns, TURN_MODEL);
      buffer_put(writer->turns.out, TEXT("{\"text\":\"\"}"));
    }
    sign(writer, signature);
  }
  for (bool first = true; ask_next_call(&walk, &call); first = false)
    put_call(writer, &call, first);
}

/* --- results of calls --- */

/* A result that is an object goes over as one; any other text is the member "output" of one, as Google advises. */
static void put_output(const AskChat *ask, Json content, Buffer *out) {
  _cleanup_(buffer_done) Buffer text = {0};
  AskParts parts = ask_parts(content);
  Json object = {TEXT_NONE};
  AskPart part;

  while (ask_next_part(&parts, ask, &part))
    if (part.kind == ASK_PART_text)
      json_get_string(part.text, &text);
  if (json_check(buffer_text(&text), &object, NULL) == 0 && json_type(object) == JSON_OBJECT) {
    buffer_put(out, object.text);
    return;
  }
  buffer_put(out, TEXT("{\"output\":"));
  json_put_string(out, buffer_text(&text));
  buffer_put(out, TEXT("}"));
}

static void put_result(Writer *writer, const AskMessage *message) {
  Buffer *out = writer->turns.out;

  turns_next(&writer->turns, TURN_RESULTS);
  buffer_put(out, TEXT("{\"functionResponse\":{"));
  if (!is_made_up(message->call_id))
    json_put_member(out, "id", message->call_id);
  json_put_member(out, "name", message->call_name);
  json_put_key(out, "response");
  put_output(writer->ask, message->content, out);
  buffer_put(out, TEXT("}}"));
}

static void put_images(Writer *writer, const AskMessage *message) {
  AskParts parts = ask_parts(message->content);
  AskPart part;

  while (ask_next_part(&parts, writer->ask, &part)) {
    if (part.kind != ASK_PART_image)
      continue;
    turns_next(&writer->turns, TURN_USER);
    put_part(&part, writer->turns.out);
  }
}

/* Calls without an id of Google's find their results by the order alone: those of one call are put after those of the calls
   before it. The results that follow one another are read once; should there be more than can be kept, the rest is a turn of its
   own. Begins with message; the first that is no result comes next. */
static bool put_results(Writer *writer, AskMessages *messages, AskMessage *message) {
  AskMessage results[ASK_CALLS_MAX];
  uint32_t calls = messages->count, count = 0;
  bool more = true;

  for (; more && message->role == ASK_TOOL && count < ASK_CALLS_MAX; more = ask_next_message(messages, message))
    results[count++] = *message;
  for (uint32_t call = 0; call < calls; call++)
    for (uint32_t i = 0; i < count; i++)
      if (results[i].call_index == call)
        put_result(writer, &results[i]);
  for (uint32_t i = 0; i < count; i++)
    put_images(writer, &results[i]);
  return more;
}

static void put_system(const AskChat *ask, const AskMessage *message, Buffer *system) {
  AskParts parts = ask_parts(message->content);
  AskPart part;

  while (ask_next_part(&parts, ask, &part)) {
    json_put_comma(system);
    put_part(&part, system);
  }
}

/* --- all of it --- */

bool gemini_put_contents(const AskChat *ask, int major, Buffer *out, Buffer *ret_system) {
  static const char *const openings[] = {[TURN_USER] = "{\"role\":\"user\",\"parts\":[",
                                         [TURN_MODEL] = "{\"role\":\"model\",\"parts\":[",
                                         [TURN_RESULTS] = "{\"role\":\"user\",\"parts\":["};
  Writer writer = {.ask = ask, .turns = {.out = out, .openings = openings}, .major = major};
  AskMessages messages = ask_messages(ask);
  AskMessage message;
  bool more = ask_next_message(&messages, &message);
  bool any;

  buffer_put(out, TEXT("["));
  while (more) {
    if (message.role == ASK_TOOL) {
      more = put_results(&writer, &messages, &message);
      continue;
    }
    if (message.role == ASK_USER)
      put_parts(&writer, TURN_USER, message.content);
    else if (message.role == ASK_ASSISTANT)
      put_answer(&writer, &message);
    else
      put_system(ask, &message, ret_system);
    more = ask_next_message(&messages, &message);
  }
  any = turns_end(&writer.turns);
  buffer_put(out, TEXT("]"));
  return any;
}
