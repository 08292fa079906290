/* Texts and arguments go over as they came, with their escapes. A thought's signature comes back where the client kept it, in
   extra_content.google.thought_signature of the call or of the message, and goes back on the part that it was on. */
#include "adapters/gemini/contents.h"

#include <strings.h>

#include "adapters/gemini/gemini-internal.h"

typedef enum Turn { TURN_NONE, TURN_USER, TURN_MODEL, TURN_RESULTS } Turn;

typedef struct Writer {
  const AskChat *ask;
  Buffer *out;
  int major;
  Turn turn; /* that is open */
  bool any_part;
} Writer;

#define PUT(out, literal) buffer_append(out, literal, sizeof(literal) - 1)

static void put_text(Buffer *out, Text text) {
  buffer_append(out, text.data, text.size);
}

/* --- turns --- */

static void close_turn(Writer *writer) {
  if (writer->turn != TURN_NONE)
    PUT(writer->out, "]}");
  writer->any_part = false;
}

/* Everything up to the next part of a turn of this kind. */
static void begin_part(Writer *writer, Turn turn) {
  if (writer->turn != turn) {
    close_turn(writer);
    if (writer->turn != TURN_NONE)
      PUT(writer->out, ",");
    buffer_printf(writer->out, "{\"role\":\"%s\",\"parts\":[", turn == TURN_MODEL ? "model" : "user");
    writer->turn = turn;
  }
  if (writer->any_part)
    PUT(writer->out, ",");
  writer->any_part = true;
}

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
    PUT(out, "{\"inlineData\":{\"mimeType\":");
    json_put_string(out, media.type);
    PUT(out, ",\"data\":");
    json_put_string(out, media.base64);
    PUT(out, "}}");
    return;
  }
  type = guess_type(media.url);
  PUT(out, "{\"fileData\":{");
  if (type)
    buffer_printf(out, "\"mimeType\":\"%s\",", type);
  PUT(out, "\"fileUri\":");
  json_put_string(out, media.url);
  PUT(out, "}}");
}

static void put_part(const AskPart *part, Buffer *out) {
  if (part->kind == ASK_PART_audio) {
    PUT(out, "{\"inlineData\":{\"mimeType\":\"audio/");
    put_text(out, (Text){part->format.text.data + 1, part->format.text.size - 1});
    PUT(out, ",\"data\":");
    put_text(out, part->url.text);
    PUT(out, "}}");
  } else if (part->kind == ASK_PART_image || part->kind == ASK_PART_file) {
    put_media(part->url, out);
  } else {
    PUT(out, "{\"text\":");
    put_text(out, part->text.text);
    PUT(out, "}");
  }
}

static void put_parts(Writer *writer, Turn turn, Json content) {
  AskParts parts = ask_parts(content);
  AskPart part;

  while (ask_next_part(&parts, writer->ask, &part)) {
    begin_part(writer, turn);
    put_part(&part, writer->out);
  }
}

/* --- the model's turns --- */

static Json signature_of(Json whole) {
  Json google = json_find(json_find(whole, "extra_content"), "google");
  Json signature = json_find(google, "thought_signature");

  return json_type(signature) == JSON_STRING ? signature : (Json){TEXT_NONE};
}

/* Onto the part that was written last. */
static void sign(Writer *writer, Text signature) {
  writer->out->size--;
  PUT(writer->out, ",\"thoughtSignature\":");
  put_text(writer->out, signature);
  PUT(writer->out, "}");
}

static bool is_made_up(Json id) {
  static const char begin[] = "\"" GEMINI_MADE_UP;

  return id.text.size >= sizeof begin - 1 && memcmp(id.text.data, begin, sizeof begin - 1) == 0;
}

static void put_id(Json id, Buffer *out) {
  if (is_made_up(id))
    return;
  PUT(out, "\"id\":");
  put_text(out, id.text);
  PUT(out, ",");
}

/* From generation 3 on the first call of an answer must have a signature. One that another model made has none: there is a
   word for that. */
static void put_call(Writer *writer, const AskCall *call, bool first) {
  Json signature = signature_of(call->whole);
  Buffer *out = writer->out;

  begin_part(writer, TURN_MODEL);
  PUT(out, "{\"functionCall\":{");
  put_id(call->id, out);
  PUT(out, "\"name\":");
  put_text(out, call->name.text);
  PUT(out, ",\"args\":");
  ask_put_arguments(call->arguments, out);
  PUT(out, "}}");
  if (!json_is_none(signature))
    sign(writer, signature.text);
  else if (first && writer->major >= 3)
    sign(writer, TEXT("\"skip_thought_signature_validator\""));
}

static void put_answer(Writer *writer, const AskMessage *message) {
  JsonWalk walk = json_walk(message->calls);
  Json signature = signature_of(message->whole);
  size_t before = writer->out->size;
  AskCall call;

  put_parts(writer, TURN_MODEL, message->content);
  if (!json_is_none(signature)) {
    if (writer->out->size == before) {
      begin_part(writer, TURN_MODEL);
      PUT(writer->out, "{\"text\":\"\"}");
    }
    sign(writer, signature.text);
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
  if (json_check((Text){(const char *)text.data, text.size}, &object, NULL) == 0 && json_type(object) == JSON_OBJECT) {
    put_text(out, object.text);
    return;
  }
  PUT(out, "{\"output\":");
  json_put_string(out, (Text){(const char *)text.data, text.size});
  PUT(out, "}");
}

static void put_result(Writer *writer, const AskMessage *message) {
  Buffer *out = writer->out;

  begin_part(writer, TURN_RESULTS);
  PUT(out, "{\"functionResponse\":{");
  put_id(message->call_id, out);
  PUT(out, "\"name\":");
  put_text(out, message->call_name.text);
  PUT(out, ",\"response\":");
  put_output(writer->ask, message->content, out);
  PUT(out, "}}");
}

static void put_images(Writer *writer, const AskMessage *message) {
  AskParts parts = ask_parts(message->content);
  AskPart part;

  while (ask_next_part(&parts, writer->ask, &part)) {
    if (part.kind != ASK_PART_image)
      continue;
    begin_part(writer, TURN_USER);
    put_part(&part, writer->out);
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
    buffer_printf(system, system->size > 0 ? "," : "{\"parts\":[");
    put_part(&part, system);
  }
}

/* --- all of it --- */

bool gemini_put_contents(const AskChat *ask, int major, Buffer *out, Buffer *ret_system) {
  Writer writer = {.ask = ask, .out = out, .major = major};
  AskMessages messages = ask_messages(ask);
  AskMessage message;
  bool more = ask_next_message(&messages, &message);

  PUT(out, "[");
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
  close_turn(&writer);
  PUT(out, "]");
  if (ret_system->size > 0)
    PUT(ret_system, "]}");
  return writer.turn != TURN_NONE;
}
