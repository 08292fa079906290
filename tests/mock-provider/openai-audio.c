/* OpenAI's /v1/audio/transcriptions, which takes a form, and /v1/audio/speech, which answers with sound. */
#include <stdio.h>
#include <stdlib.h>

#include "tests/mock-provider/openai-internal.h"
#include "tests/mock-provider/sha256.h"

static const char INVALID[] = "invalid_request_error";
enum { FIELDS_MAX = 16 };

typedef struct Field {
  Text name;
  Text file_name; /* empty: no file */
  Text value;
} Field;

typedef struct Form {
  Field fields[FIELDS_MAX];
  unsigned count;
} Form;

/* --- the form --- */

static Text cut_before(Text *rest, const char *mark) {
  size_t n = strlen(mark);
  const char *at = rest->size ? memmem(rest->data, rest->size, mark, n) : NULL;
  Text before = {rest->data, at ? (size_t)(at - rest->data) : rest->size};

  if (!at)
    return (Text){NULL, 0};
  *rest = (Text){at + n, rest->size - before.size - n};
  return before;
}

/* The value of a parameter in quotes: name="x". */
static Text parameter(Text head, const char *name) {
  Text value = TEXT_NONE;

  if (cut_before(&head, name).data)
    value = cut_before(&head, "\"");
  return value;
}

/* Strictly: a first line that is the boundary, heads that name their field, a last line with two dashes, nothing behind it. */
static const char *read_form(Text body, Text type, Form *ret) {
  static const char PREFIX[] = "multipart/form-data; boundary=";
  char line[128], next[132];

  if (type.size < sizeof PREFIX || memcmp(type.data, PREFIX, sizeof PREFIX - 1) != 0 || type.size > 100)
    return "the content type is no form with a boundary";
  snprintf(line, sizeof line, "--%.*s", (int)(type.size - sizeof PREFIX + 1), type.data + sizeof PREFIX - 1);
  snprintf(next, sizeof next, "\r\n%s", line);
  if (body.size < strlen(line) || memcmp(body.data, line, strlen(line)) != 0)
    return "the form does not begin with its boundary";
  body = (Text){body.data + strlen(line), body.size - strlen(line)};
  while (body.size >= 2 && memcmp(body.data, "\r\n", 2) == 0) {
    Text head = cut_before(&body, "\r\n\r\n"), value = cut_before(&body, next);
    Field field = {parameter(head, "; name=\""), parameter(head, "; filename=\""), value};

    if (!head.data || !value.data || !field.name.size || ret->count == FIELDS_MAX)
      return "a part of the form is cut short, or has no name";
    ret->fields[ret->count++] = field;
  }
  return text_is(body, "--\r\n") ? NULL : "the form does not end with its boundary";
}

static const Field *find(const Form *form, const char *name) {
  for (unsigned i = 0; i < form->count; i++)
    if (text_is(form->fields[i].name, name))
      return &form->fields[i];
  return NULL;
}

/* --- transcriptions --- */

static bool check_fields(const Ask *ask, const Form *form, Answer *ret) {
  for (unsigned i = 0; i < form->count; i++)
    for (unsigned k = 0; k < i; k++)
      if (text_equal(form->fields[i].name, form->fields[k].name) &&
          !memchr(form->fields[i].name.data, '[', form->fields[i].name.size))
        return openai_fail(ret, 400, INVALID, "duplicate_parameter", "form", "Duplicate parameter: '%.*s'.",
                           TEXT_ARG(form->fields[i].name));
  for (unsigned i = 0; i < form->count && !ask->knobs.lax; i++)
    if (!openai_is_one_of(form->fields[i].name, "file model language prompt response_format temperature "
                                                "timestamp_granularities[] stream include[] chunking_strategy"))
      return openai_fail(ret, 400, INVALID, "unknown_parameter", "form", "Unknown parameter: '%.*s'.",
                         TEXT_ARG(form->fields[i].name));
  return true;
}

static bool check_file(const Form *form, Answer *ret) {
  const Field *file = find(form, "file");
  const char *dot;

  if (!file || !file->file_name.size)
    return openai_fail(ret, 400, INVALID, "missing_required_parameter", "file", "Missing required parameter: 'file'.");
  dot = memrchr(file->file_name.data, '.', file->file_name.size);
  if (!file->value.size || !dot ||
      !openai_is_one_of((Text){dot + 1, (size_t)(file->file_name.data + file->file_name.size - dot) - 1},
                        "flac m4a mp3 mp4 mpeg mpga oga ogg wav webm"))
    return openai_fail(ret, 400, INVALID, NULL, "file",
                       "Unrecognized file format. Supported formats: ['flac', 'm4a', 'mp3', 'mp4', 'mpeg', 'mpga', "
                       "'oga', 'ogg', 'wav', 'webm']");
  return true;
}

/* The models after whisper-1 have no segments. */
static bool is_newer(const Form *form) {
  Text model = find(form, "model")->value;

  return model.size > 6 && memcmp(model.data, "gpt-4o", 6) == 0;
}

/* Numbers and words of a form are text. */
static bool check_values(const Form *form, Answer *ret) {
  const Field *language = find(form, "language"), *format = find(form, "response_format");
  const Field *temperature = find(form, "temperature"), *stream = find(form, "stream");
  const Field *granularity = find(form, "timestamp_granularities[]");
  char number[32], *end = number;

  if (language && language->value.size != 2)
    return openai_fail(ret, 400, INVALID, "invalid_language_format", "language",
                       "Invalid language '%.*s'. Language parameter must be specified in ISO-639-1 format.",
                       TEXT_ARG(language->value));
  if (format && !openai_is_one_of(format->value, "json text srt verbose_json vtt diarized_json"))
    return openai_fail(ret, 400, INVALID, "unsupported_value", "response_format", "response_format is not compatible.");
  if (format && is_newer(form) && !openai_is_one_of(format->value, "json text diarized_json"))
    return openai_fail(ret, 400, INVALID, "unsupported_value", "response_format",
                       "response_format '%.*s' is not compatible with model '%.*s'. Use 'json' or 'text' instead.",
                       TEXT_ARG(format->value), TEXT_ARG(find(form, "model")->value));
  if (stream && !openai_is_one_of(stream->value, "true false"))
    return openai_fail(ret, 400, INVALID, "invalid_type", "stream", "Invalid type for 'stream': expected a boolean.");
  if (temperature) {
    snprintf(number, sizeof number, "%.*s", (int)min_u64(temperature->value.size, sizeof number - 1),
             temperature->value.data);
    if (strtod(number, &end) < 0 || strtod(number, NULL) > 1 || end == number || *end)
      return openai_fail(ret, 400, INVALID, "invalid_value", "temperature", "temperature must be between 0 and 1.");
  }
  if (granularity && !openai_is_one_of(granularity->value, "word segment"))
    return openai_fail(ret, 400, INVALID, "invalid_value", "timestamp_granularities", "Unknown granularity.");
  if (granularity && !(format && text_is(format->value, "verbose_json")))
    return openai_fail(ret, 400, INVALID, NULL, "timestamp_granularities",
                       "timestamp_granularities are only supported with response_format verbose_json.");
  return true;
}

static bool check_form(const Ask *ask, const Form *form, Answer *ret) {
  const Field *model = find(form, "model");

  if (!check_fields(ask, form, ret) || !check_file(form, ret))
    return false;
  if (!model)
    return openai_fail(ret, 400, INVALID, NULL, NULL, "you must provide a model parameter");
  if (!openai_has_model(ask, model->value) || model->value.size > 128)
    return openai_fail(ret, 404, INVALID, "model_not_found", NULL, "The model does not exist.");
  return check_values(form, ret);
}

static bool model_is(const Form *form, const char *name) {
  return find(form, "model") && text_is(find(form, "model")->value, name);
}

void openai_put_words(Story *story, Part part, uint32_t index, Buffer *out) {
  if (part == PART_CHUNK) {
    if (story->broken) {
      buffer_printf(out, "data: {\"type\":\n\n");
      story->broken = false;
      return;
    }
    buffer_printf(out, "data: {\"type\":\"transcript.text.delta\",\"delta\":\"");
    story_put_chunk(story, index, out);
    buffer_printf(out, "\"}\n\n");
  } else if (part == PART_ERROR) {
    buffer_printf(out, "data: {\"type\":\"error\",\"error\":{\"type\":\"server_error\",\"message\":\"The server had an "
                       "error.\"}}\n\n");
  } else if (part == PART_DONE) {
    buffer_printf(
        out,
        "data: {\"type\":\"transcript.text.done\",\"text\":\"\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":"
        "14,\"output_tokens\":%u,\"input_token_details\":{\"text_tokens\":0,\"audio_tokens\":14}}}\n\n",
        story->chunks);
  }
}

/* The words of a story, one segment each second; an echo says the file's SHA-256 instead. */
void openai_answer_transcriptions(const Ask *ask, Answer *ret) {
  Form form = {.count = 0};
  const char *wrong = read_form(ask->http->body, http_header(ask->http, "content-type"), &form);
  Story *story = &ret->story;
  char hash[65];
  Buffer text = {0};
  bool verbose;

  if (wrong) {
    openai_fail(ret, 400, INVALID, NULL, NULL, "Could not parse multipart form: %s", wrong);
    return;
  }
  if (!check_form(ask, &form, ret))
    return;
  verbose = find(&form, "response_format") && text_is(find(&form, "response_format")->value, "verbose_json");
  story_begin(story, &ask->knobs, ask->number);
  story_plan(story, &ask->knobs, 0);
  if (find(&form, "stream") && text_is(find(&form, "stream")->value, "true") &&
      !(model_is(&form, "whisper-1"))) { /* which takes no notice of it */
    ret->status = 200;
    ret->streams = true;
    story->words = true;
    ret->type = "text/event-stream; charset=utf-8";
    return;
  }
  sha256_hex(find(&form, "file")->value, hash);
  if (ask->knobs.echo)
    buffer_printf(&text, "%s", hash);
  else
    story_put_all(story, &ask->knobs, &text);
  ret->status = 200;
  ret->type = "application/json";
  buffer_printf(&ret->body, "{\"text\":\"%.*s\"", (int)text.size, (const char *)text.data);
  if (verbose)
    buffer_printf(
        &ret->body,
        ",\"task\":\"transcribe\",\"language\":\"english\",\"duration\":2.5,\"segments\":[{\"id\":0,\"start\":0.0,"
        "\"end\":1.0,\"text\":\" one\"},{\"id\":1,\"start\":1.0,\"end\":2.5,\"text\":\" two\"}],\"usage\":{\"type\":"
        "\"duration\",\"seconds\":3}}");
  else
    buffer_printf(&ret->body,
                  ",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"output_tokens\":%u,\"total_tokens\":%u}}",
                  story->chunks, story->chunks + 14);
  buffer_done(&text);
}

/* --- speech --- */

static const OpenAiField SPEECH[] = {OPENAI_HAS("model", TEXT),
                                     OPENAI_NEEDS("input", TEXT),
                                     OPENAI_NEEDS("voice", ANY),
                                     OPENAI_IS_MAYBE("response_format", "mp3 opus aac flac wav pcm"),
                                     OPENAI_RANGE("speed", REAL, 0.25, 4),
                                     OPENAI_HAS("instructions", TEXT),
                                     OPENAI_IS_MAYBE("stream_format", "audio sse"),
                                     OPENAI_END};

static bool check_speech(const Ask *ask, Json body, Answer *ret) {
  size_t size = json_string_bytes(json_find(body, "input"));

  if (!openai_check_fields(ask, "", body, SPEECH, ret))
    return false;
  if (size == 0 || size > 4096)
    return openai_fail(ret, 400, INVALID, size ? "string_above_max_length" : "string_below_min_length", "input",
                       "Invalid 'input': expected a string with 1 to 4096 characters, but got %zu.", size);
  return json_string_bytes(json_find(body, "voice")) > 0 || json_type(json_find(body, "voice")) == JSON_OBJECT ||
         openai_fail(ret, 400, INVALID, "invalid_value", "voice", "Invalid value for 'voice'.");
}

void openai_answer_speech(const Ask *ask, Answer *ret) {
  uint32_t size = ask->knobs.bytes == UNSET ? 1000 : ask->knobs.bytes;
  Json body = {TEXT_NONE};

  if (!openai_check_body(ask, &body, ret) || !openai_check_model(ask, openai_find(body, "model"), ret) ||
      !check_speech(ask, body, ret))
    return;
  ret->status = 200;
  ret->type = "audio/mpeg";
  for (uint32_t i = 0; i < size; i++)
    buffer_append(&ret->body, &(uint8_t){(uint8_t)(i * 7 % 251)}, 1);
}
