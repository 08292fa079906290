/* Encoding and whole answers. A request keeps every byte that nobody has to change. */
#include "adapters/openai/openai.h"

/* --- requests --- */

static bool wants(Json object, const char *name) {
  bool yes = false;

  return json_get_bool(json_find(object, name), &yes) == 0 && yes;
}

static void put_path(DialectRequest *ret, const char *path) {
  buffer_put(&ret->path, text_of(path));
}

/* Appends request with the model's name there, without what is meant for ModelManagerSuite alone, and with other
   stream_options, where these are not empty. */
static void put_request(Json request, Text options, DialectRequest *ret) {
  _cleanup_(buffer_done) Buffer name = {0};
  JsonEdit edits[] = {{"model", TEXT_NONE}, {"fallbacks", TEXT_NONE}, {"stream_options", options}};

  json_put_string(&name, ret->asked.model);
  edits[0].value = buffer_text(&name);
  json_put_edited(&ret->body, request, edits, options.size > 0 ? 3 : 2);
}

/* Without it nobody would ever learn what a stream has cost. */
static void ask_usage(Json stream_options, Buffer *ret_options) {
  if (json_type(stream_options) == JSON_OBJECT)
    json_put_with(ret_options, stream_options, "include_usage", TEXT("true"));
  else
    buffer_put(ret_options, TEXT("{\"include_usage\":true}"));
}

void openai_put_chat(Json request, bool asks_usage, DialectRequest *ret) {
  static const char *const names[] = {"stream", "stream_options"};
  _cleanup_(buffer_done) Buffer options = {0};
  Json found[ELEMENTS(names)];

  json_find_each(request, names, ELEMENTS(names), found);
  json_get_bool(found[0], &ret->asked.streams);
  if (asks_usage && ret->asked.streams && !wants(found[1], "include_usage")) {
    ret->asked.hides_usage = true;
    ask_usage(found[1], &options);
  }
  put_request(request, buffer_text(&options), ret);
}

void openai_put_embed(Json request, DialectRequest *ret) {
  put_request(request, TEXT_NONE, ret);
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

/* Some count thoughts apart, as xAI does: their total says so. */
static void add_thoughts(Json usage, ChatUsage *ret) {
  uint64_t total;

  if (dialect_read_count(usage, "total_tokens", &total) && ret->has_reasoning_tokens &&
      total == ret->input_tokens + ret->output_tokens + ret->reasoning_tokens)
    ret->output_tokens = min_u64(ret->output_tokens + ret->reasoning_tokens, UINT32_MAX);
}

/* What was told before stays where a later object does not have it. */
void openai_read_usage(Json usage, ChatUsage *ret) {
  Json prompt = json_find(usage, "prompt_tokens_details");
  Json completion = json_find(usage, "completion_tokens_details");

  if (json_type(usage) != JSON_OBJECT)
    return;
  ret->has_input_tokens |= dialect_read_count(usage, "prompt_tokens", &ret->input_tokens);
  ret->has_output_tokens |= dialect_read_count(usage, "completion_tokens", &ret->output_tokens);
  ret->has_cached_tokens |= dialect_read_count(prompt, "cached_tokens", &ret->cached_tokens) ||
                            dialect_read_count(usage, "prompt_cache_hit_tokens", &ret->cached_tokens); /* DeepSeek */
  ret->has_cache_write_tokens |= dialect_read_count(prompt, "cache_write_tokens", &ret->cache_write_tokens);
  ret->has_input_audio_tokens |= dialect_read_count(prompt, "audio_tokens", &ret->input_audio_tokens);
  ret->has_reasoning_tokens |= dialect_read_count(completion, "reasoning_tokens", &ret->reasoning_tokens);
  ret->has_output_audio_tokens |= dialect_read_count(completion, "audio_tokens", &ret->output_audio_tokens);
  add_thoughts(usage, ret);
}

/* --- whole answers --- */

/* Whether a member `error` is one: OpenAI's is an object, Ollama's a string, and some send null where there is none. */
static bool is_error(Json error) {
  return json_type(error) == JSON_OBJECT || json_type(error) == JSON_STRING;
}

/* list: the member that makes it an answer. */
static int decode(Text body, const char *list, Buffer *ret_response, ChatUsage *ret_usage, DialectFault *ret_fault) {
  enum { ERROR, LIST, USAGE, COUNT };
  const char *const names[] = {"error", list, "usage"};
  Json answer, found[COUNT];

  if (json_check(body, &answer, NULL) != 0)
    return dialect_fault_malformed(ret_fault, "its answer is not JSON");
  json_find_each(answer, names, COUNT, found);
  if (is_error(found[ERROR])) {
    openai_decode_error(&(DialectHead){.status = 200}, body, ret_fault);
    return DIALECT_E_FAULT;
  }
  if (json_type(found[LIST]) != JSON_ARRAY)
    return dialect_fault_malformed(ret_fault, strcmp(list, "data") == 0 ? "its answer has no list data"
                                                                        : "its answer has no list choices");
  openai_read_usage(found[USAGE], ret_usage);
  buffer_put(ret_response, answer.text);
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

/* Bytes of the arguments of calls. */
static size_t said_of_calls(Json calls) {
  JsonWalk walk = json_walk(calls);
  size_t said = 0;
  Json call;

  while (json_next_element(&walk, &call)) {
    Json arguments = json_find(json_find(call, "function"), "arguments");

    said += json_type(arguments) == JSON_STRING ? arguments.text.size - 2 : 0;
  }
  return said;
}

/* Bytes of words, thoughts and arguments: whatever a delta's member is called, its text is an answer's, but for the role. */
static size_t said_of(Json delta) {
  JsonWalk walk = json_walk(delta);
  size_t said = 0;
  Json key;
  Json value;

  while (json_type(delta) == JSON_OBJECT && json_next_member(&walk, &key, &value))
    if (json_type(value) == JSON_ARRAY)
      said += said_of_calls(value);
    else if (json_type(value) == JSON_STRING && !json_string_is(key, "role"))
      said += value.text.size - 2;
  return said;
}

/* Several answers come side by side, and one that has ended says nothing of the others. */
static void note_choice(DialectStream *stream, Json index, bool ends) {
  uint64_t number = 0;
  uint64_t bit;

  json_get_uint(index, &number);
  bit = number < 64 ? UINT64_C(1) << number : 0;
  stream->begun |= bit;
  stream->ended |= ends ? bit : 0;
  stream->finished = stream->ended != 0 && stream->ended == stream->begun;
}

static void read_choices(DialectStream *stream, Json choices, OpenaiChunk *ret) {
  static const char *const names[] = {"delta", "finish_reason", "index"};
  JsonWalk walk = json_walk(choices);
  Json choice, found[ELEMENTS(names)];

  ret->has_choices = json_type(choices) == JSON_ARRAY;
  for (; json_next_element(&walk, &choice); ret->choices++) {
    json_find_each(choice, names, ELEMENTS(names), found);
    ret->deltas += !json_is_none(found[0]);
    stream->said_bytes += said_of(found[0]);
    note_choice(stream, found[2], json_type(found[1]) == JSON_STRING);
  }
}

/* A chunk is read for each word of each answer: its members are found in one walk. */
int openai_read_event(DialectStream *stream, Text data, OpenaiChunk *ret, DialectFault *ret_fault) {
  static const char *const names[] = {"choices", "usage", "error"};
  Json object, found[ELEMENTS(names)];

  *ret = (OpenaiChunk){.is_end = stream->done || text_is(data, "[DONE]")};
  stream->done = ret->is_end;
  if (ret->is_end)
    return 0;
  if (json_check_each(data, names, ELEMENTS(names), &object, found, NULL) != 0 || json_type(object) != JSON_OBJECT)
    return dialect_fault_malformed(ret_fault, "a piece of its answer is not a JSON object");
  if (is_error(found[2])) {
    openai_decode_error(&(DialectHead){.status = 200}, data, ret_fault);
    return DIALECT_E_FAULT;
  }
  ret->has_usage = json_type(found[1]) == JSON_OBJECT;
  openai_read_usage(found[1], &stream->usage);
  read_choices(stream, found[0], ret);
  return 0;
}

void openai_put_event(DialectStream *stream, Text data, const OpenaiChunk *chunk) {
  if (!chunk->is_end && !(chunk->choices == 0 && chunk->has_usage && stream->asked.hides_usage))
    put_event(&stream->events, data);
}

int openai_stream_event(DialectStream *stream, Text type, Text data, DialectFault *ret_fault) {
  OpenaiChunk chunk;
  int r = openai_read_event(stream, data, &chunk, ret_fault);

  (void)type;
  if (r == 0)
    openai_put_event(stream, data, &chunk);
  return r;
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
