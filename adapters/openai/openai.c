/* Encoding and whole answers. A request keeps every byte that nobody has to change. */
#include "adapters/openai/openai.h"

/* --- requests --- */

static bool wants(Json object, const char *name) {
  bool yes = false;

  return json_get_bool(json_find(object, name), &yes) == 0 && yes;
}

static Text text_of_buffer(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

/* Appends request with the model's name there, and without what is meant for ModelManagerSuite alone. */
static void put_model(Buffer *ret, Json request, Text upstream) {
  _cleanup_(buffer_done) Buffer name = {0};
  _cleanup_(buffer_done) Buffer theirs = {0};

  json_put_string(&name, upstream);
  if (!json_is_none(json_find(request, "fallbacks"))) {
    json_put_with(&theirs, request, "fallbacks", TEXT_NONE);
    request.text = text_of_buffer(&theirs);
  }
  json_put_with(ret, request, "model", text_of_buffer(&name));
}

static void put_path(DialectRequest *ret, const char *path) {
  buffer_append(&ret->path, path, strlen(path));
}

void openai_put_chat(Json request, bool asks_usage, DialectRequest *ret) {
  _cleanup_(buffer_done) Buffer with_usage = {0};
  _cleanup_(buffer_done) Buffer options = {0};
  Json stream_options = json_find(request, "stream_options");
  Json whole = request;

  ret->asked.streams = wants(request, "stream");
  if (asks_usage && ret->asked.streams && !wants(stream_options, "include_usage")) {
    /* Without it nobody would ever learn what a stream has cost. */
    ret->asked.hides_usage = true;
    if (json_type(stream_options) == JSON_OBJECT)
      json_put_with(&options, stream_options, "include_usage", TEXT("true"));
    else
      buffer_printf(&options, "{\"include_usage\":true}");
    json_put_with(&with_usage, request, "stream_options", text_of_buffer(&options));
    whole.text = text_of_buffer(&with_usage);
  }
  put_model(&ret->body, whole, ret->asked.model);
}

void openai_put_embed(Json request, DialectRequest *ret) {
  put_model(&ret->body, request, ret->asked.model);
}

static int encode_chat(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  (void)ret_fault;
  put_path(ret, "/chat/completions");
  openai_put_chat(request, true, ret);
  return 0;
}

static int encode_embed(Json request, DialectRequest *ret, DialectFault *ret_fault) {
  (void)ret_fault;
  put_path(ret, "/embeddings");
  openai_put_embed(request, ret);
  return 0;
}

/* --- usage --- */

static bool read_count(Json object, const char *name, uint64_t *ret) {
  uint64_t count;

  if (json_get_uint(json_find(object, name), &count) != 0)
    return false;
  *ret = min_u64(count, UINT32_MAX);
  return true;
}

void openai_read_usage(Json usage, ChatUsage *ret) {
  Json prompt = json_find(usage, "prompt_tokens_details");
  Json completion = json_find(usage, "completion_tokens_details");

  if (json_type(usage) != JSON_OBJECT)
    return;
  ret->has_input_tokens = read_count(usage, "prompt_tokens", &ret->input_tokens);
  ret->has_output_tokens = read_count(usage, "completion_tokens", &ret->output_tokens);
  ret->has_cached_tokens = read_count(prompt, "cached_tokens", &ret->cached_tokens);
  ret->has_cache_write_tokens = read_count(prompt, "cache_write_tokens", &ret->cache_write_tokens);
  ret->has_input_audio_tokens = read_count(prompt, "audio_tokens", &ret->input_audio_tokens);
  ret->has_reasoning_tokens = read_count(completion, "reasoning_tokens", &ret->reasoning_tokens);
  ret->has_output_audio_tokens = read_count(completion, "audio_tokens", &ret->output_audio_tokens);
}

/* --- whole answers --- */

/* Whether a member `error` is one: OpenAI's is an object, Ollama's a string, and some send null where there is none. */
static bool is_error(Json error) {
  return json_type(error) == JSON_OBJECT || json_type(error) == JSON_STRING;
}

/* list: the member that makes it an answer. */
static int decode(Text body, const char *list, Buffer *ret_response, ChatUsage *ret_usage, DialectFault *ret_fault) {
  Json answer;

  if (json_check(body, &answer, NULL) != 0)
    return dialect_fault_malformed(ret_fault, "its answer is not JSON");
  if (is_error(json_find(answer, "error"))) {
    openai_decode_error(&(DialectHead){.status = 200}, body, ret_fault);
    return DIALECT_E_FAULT;
  }
  if (json_type(json_find(answer, list)) != JSON_ARRAY)
    return dialect_fault_malformed(ret_fault, strcmp(list, "data") == 0 ? "its answer has no list data"
                                                                        : "its answer has no list choices");
  openai_read_usage(json_find(answer, "usage"), ret_usage);
  buffer_append(ret_response, answer.text.data, answer.text.size);
  return 0;
}

int openai_decode_chat(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                       DialectFault *ret_fault) {
  (void)asked;
  return decode(body, "choices", ret_response, ret_usage, ret_fault);
}

int openai_decode_embed(const DialectAsked *asked, Text body, Buffer *ret_response, ChatUsage *ret_usage,
                        DialectFault *ret_fault) {
  (void)asked;
  return decode(body, "data", ret_response, ret_usage, ret_fault);
}

/* --- streams --- */

/* Appends data as one event; a chunk that was spread over several lines becomes one line, which JSON may be. */
static void put_event(Buffer *events, Text data) {
  uint8_t *at;

  buffer_append(events, "data: ", 6);
  at = buffer_reserve(events, data.size);
  buffer_append(events, data.data, data.size);
  for (const uint8_t *end = at + data.size; (at = memchr(at, '\n', (size_t)(end - at)));)
    *at = ' ';
  buffer_append(events, "\n\n", 2);
}

/* Whether any choice says why it ends; *ret_count: how many there are. */
static bool has_finished(Json choices, size_t *ret_count) {
  JsonWalk walk = json_walk(choices);
  bool finished = false;
  Json choice;

  *ret_count = 0;
  while (json_next_element(&walk, &choice)) {
    finished |= json_type(json_find(choice, "finish_reason")) == JSON_STRING;
    ++*ret_count;
  }
  return finished;
}

/* The members of a chunk that say something to us, found in one walk: a chunk is read for each word of each answer. */
typedef struct Chunk {
  Json choices;
  Json usage;
  Json error;
} Chunk;

static Chunk read_chunk(Json chunk) {
  Chunk ret = {.choices = {TEXT_NONE}};
  JsonWalk walk = json_walk(chunk);
  Json key;
  Json value;

  while (json_next_member(&walk, &key, &value)) {
    if (json_string_is(key, "choices"))
      ret.choices = value;
    else if (json_string_is(key, "usage"))
      ret.usage = value;
    else if (json_string_is(key, "error"))
      ret.error = value;
  }
  return ret;
}

int openai_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  Json object;
  Chunk chunk;
  size_t choices;

  (void)type;
  if (stream->done)
    return 0;
  if (text_is(data, "[DONE]")) {
    stream->done = true;
    return 0;
  }
  if (json_check(data, &object, NULL) != 0 || json_type(object) != JSON_OBJECT)
    return dialect_fault_malformed(ret_fault, "a piece of its answer is not a JSON object");
  chunk = read_chunk(object);
  if (is_error(chunk.error)) {
    openai_decode_error(&(DialectHead){.status = 200}, data, ret_fault);
    return DIALECT_E_FAULT;
  }
  openai_read_usage(chunk.usage, &stream->usage);
  stream->finished |= has_finished(chunk.choices, &choices);
  if (!(choices == 0 && stream->asked.hides_usage && json_type(chunk.usage) == JSON_OBJECT))
    put_event(&stream->events, data);
  return 0;
}

/* Some servers send no end mark; then a choice that has ended is one. */
bool openai_stream_is_whole(const DialectStream *stream) {
  return stream->done || stream->finished;
}

int openai_encode_models(const DialectModels *models, DialectRequest *ret, DialectFault *ret_fault) {
  (void)models;
  (void)ret_fault;
  put_path(ret, "/models");
  return 0;
}

int openai_decode_models(Text body, DialectModels *ret, DialectFault *ret_fault) {
  Json answer = {TEXT_NONE};

  json_check(body, &answer, NULL);
  return dialect_read_names(json_find(answer, "data"), "id", "", &ret->names, ret_fault);
}

const Dialect openai_dialect = {
    .name = "openai",
    .about = "OpenAI's API",
    .key_header = "Authorization: Bearer ",
    .framing = &framing_sse,
    .encode_chat = encode_chat,
    .encode_embed = encode_embed,
    .decode_chat = openai_decode_chat,
    .decode_embed = openai_decode_embed,
    .stream_event = openai_stream_event,
    .stream_is_whole = openai_stream_is_whole,
    .decode_error = openai_decode_error,
    .encode_models = openai_encode_models,
    .decode_models = openai_decode_models,
    .encode_transcribe = openai_encode_transcribe,
    .decode_transcribe = openai_decode_transcribe,
    .transcribe_event = openai_transcribe_event,
    .encode_speak = openai_encode_speak,
    .encode_tune = openai_encode_tune,
    .decode_tune = openai_decode_tune,
};
