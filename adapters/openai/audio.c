/* Speech. A recording goes there as a file of a form and comes back as it is. */
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#include "adapters/dialect/multipart.h"
#include "adapters/openai/openai.h"

/* --- speech to text --- */

static Bytes bytes_of(Text text) {
  return (Bytes){(const uint8_t *)text.data, text.size};
}

/* What a recording is, for who looks at more than the name. */
static const char *type_of(Text name) {
  static const char *const types[][2] = {{".wav", "audio/wav"},   {".mp3", "audio/mpeg"}, {".m4a", "audio/mp4"},
                                         {".mp4", "audio/mp4"},   {".ogg", "audio/ogg"},  {".flac", "audio/flac"},
                                         {".webm", "audio/webm"}, {".mpga", "audio/mpeg"}};

  for (size_t i = 0; i < ELEMENTS(types); i++) {
    size_t n = strlen(types[i][0]);

    if (name.size > n && strncasecmp(name.data + name.size - n, types[i][0], n) == 0)
      return types[i][1];
  }
  return "application/octet-stream";
}

/* Only the older format has segments, and only older models have that format. */
int openai_encode_transcribe(const TranscribeAsk *ask, DialectRequest *ret, DialectFault *ret_fault) {
  Text name = ask->has_file_name ? ask->file_name : TEXT("audio.wav");
  bool segments = ask->has_timestamps && ask->timestamps;
  char temperature[32];
  int temperature_size = snprintf(temperature, sizeof temperature, "%g", ask->has_temperature ? ask->temperature : 0);
  const struct {
    const char *name;
    bool said;
    Text value;
  } fields[] = {
      {"model", true, ret->asked.model},
      {"response_format", true, segments ? TEXT("verbose_json") : TEXT("json")},
      {"timestamp_granularities[]", segments, TEXT("segment")},
      {"language", ask->has_language, ask->language},
      {"prompt", ask->has_prompt, ask->prompt},
      {"temperature", ask->has_temperature, {temperature, (size_t)temperature_size}},
      {"stream", ret->asked.streams, TEXT("true")},
  };
  Bytes values[ELEMENTS(fields) + 1];
  Multipart form;

  (void)ret_fault;
  for (size_t i = 0; i < ELEMENTS(fields); i++)
    values[i] = bytes_of(fields[i].value);
  values[ELEMENTS(fields)] = ask->audio;
  form = multipart_begin(values, ELEMENTS(values), ret->asked.number, &ret->body);
  for (size_t i = 0; i < ELEMENTS(fields); i++)
    if (fields[i].said)
      multipart_put(&form, fields[i].name, values[i]);
  multipart_put_file(&form, "file", name, type_of(name), ask->audio);
  multipart_end(&form, ret->content_type, sizeof ret->content_type);
  buffer_printf(&ret->path, "/audio/transcriptions");
  return 0;
}

/* Appends a string to the texts, which have room for all of the answer and so stay where they are. */
static Text keep(Json string, Buffer *texts) {
  size_t from = texts->size;

  json_get_string(string, texts);
  return (Text){(const char *)texts->data + from, texts->size - from};
}

/* A moment of a recording; what is none is as good as not said. */
static bool read_seconds(Json value, double *ret) {
  double seconds;

  if (json_get_real(value, &seconds) != 0 || !(seconds >= 0 && seconds <= 1e9))
    return false;
  *ret = seconds;
  return true;
}

static void read_segments(Json list, DialectMade *ret) {
  enum { SEGMENTS_MAX = 65536, TEXT_MAX_BYTES = 65536 };

  JsonWalk walk = json_walk(list);
  size_t count = 0;
  Json one;

  if (json_type(list) != JSON_ARRAY)
    return;
  while (json_next_element(&walk, &one))
    count++;
  count = min_u64(count, SEGMENTS_MAX);
  ret->segments = calloc(count + 1, sizeof *ret->segments);
  if (!ret->segments)
    abort();
  for (walk = json_walk(list); ret->segments_count < count && json_next_element(&walk, &one);) {
    TranscribeSegment *segment = &ret->segments[ret->segments_count];

    if (read_seconds(json_find(one, "start"), &segment->start_s) &&
        read_seconds(json_find(one, "end"), &segment->end_s) && json_type(json_find(one, "text")) == JSON_STRING &&
        json_string_bytes(json_find(one, "text")) <= TEXT_MAX_BYTES) {
      segment->text = keep(json_find(one, "text"), &ret->texts);
      ret->segments_count++;
    }
  }
}

/* Usage is in tokens or in seconds, by the model. */
static void read_usage(Json usage, ChatUsage *ret) {
  double seconds;

  if (json_get_real(json_find(usage, "seconds"), &seconds) == 0 && seconds >= 0 && seconds < UINT32_MAX / 1000) {
    ret->has_audio_ms = true;
    ret->audio_ms = (uint64_t)(seconds * 1000 + 0.5);
  }
  ret->has_input_audio_tokens =
      json_get_uint(json_find(json_find(usage, "input_token_details"), "audio_tokens"), &ret->input_audio_tokens) == 0;
  ret->input_audio_tokens = min_u64(ret->input_audio_tokens, UINT32_MAX);
  ret->has_input_tokens = json_get_uint(json_find(usage, "input_tokens"), &ret->input_tokens) == 0;
  ret->has_output_tokens = json_get_uint(json_find(usage, "output_tokens"), &ret->output_tokens) == 0;
  ret->input_tokens = min_u64(ret->input_tokens, UINT32_MAX);
  ret->output_tokens = min_u64(ret->output_tokens, UINT32_MAX);
}

int openai_decode_transcribe(Text body, DialectMade *ret, ChatUsage *ret_usage, DialectFault *ret_fault) {
  enum { LANGUAGE_MAX_BYTES = 64 };
  Json answer = {TEXT_NONE}, text;

  json_check(body, &answer, NULL);
  if (json_type(json_find(answer, "error")) == JSON_OBJECT || json_type(json_find(answer, "error")) == JSON_STRING) {
    openai_decode_error(&(DialectHead){.status = 200}, body, ret_fault);
    return DIALECT_E_FAULT;
  }
  text = json_find(answer, "text");
  if (json_type(text) != JSON_STRING)
    return dialect_fault_malformed(ret_fault, "its answer is not JSON with a text");
  buffer_reserve(&ret->texts, body.size + 1);
  ret->text = keep(text, &ret->texts);
  if (json_string_bytes(json_find(answer, "language")) <= LANGUAGE_MAX_BYTES)
    ret->language = keep(json_find(answer, "language"), &ret->texts);
  ret->has_duration = read_seconds(json_find(answer, "duration"), &ret->duration_s);
  read_segments(json_find(answer, "segments"), ret);
  read_usage(json_find(answer, "usage"), ret_usage);
  return 0;
}

/* New words, or the end of them with what they took; OpenAI's speech events, each with its type inside. */
int openai_transcribe_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  Json event = {TEXT_NONE}, name;

  (void)type;
  if (stream->done || text_is(data, "[DONE]"))
    return 0;
  if (json_check(data, &event, NULL) != 0 || json_type(event) != JSON_OBJECT)
    return dialect_fault_malformed(ret_fault, "a piece of its answer is not a JSON object");
  name = json_find(event, "type");
  if (json_type(json_find(event, "error")) == JSON_OBJECT) {
    openai_decode_error(&(DialectHead){.status = 200}, data, ret_fault);
    return DIALECT_E_FAULT;
  }
  if (json_string_is(name, "transcript.text.delta")) {
    json_get_string(json_find(event, "delta"), &stream->events);
  } else if (json_string_is(name, "transcript.text.done")) {
    read_usage(json_find(event, "usage"), &stream->usage);
    stream->done = stream->finished = true;
  }
  return 0;
}

/* --- text to speech --- */

static void put_text(const char *name, Text text, Buffer *out) {
  buffer_printf(out, ",\"%s\":", name);
  json_put_string(out, text);
}

int openai_encode_speak(const SpeakAsk *ask, DialectRequest *ret, DialectFault *ret_fault) {
  (void)ret_fault;
  buffer_printf(&ret->path, "/audio/speech");
  buffer_printf(&ret->body, "{\"model\":");
  json_put_string(&ret->body, ret->asked.model);
  put_text("input", ask->text, &ret->body);
  put_text("voice", ask->voice, &ret->body);
  put_text("response_format", ask->has_format ? ask->format : TEXT("mp3"), &ret->body);
  if (ask->has_instructions)
    put_text("instructions", ask->instructions, &ret->body);
  if (ask->has_speed)
    buffer_printf(&ret->body, ",\"speed\":%g", ask->speed);
  buffer_append(&ret->body, "}", 1);
  return 0;
}
