/* The bodies of completions and embeddings: a table says what each member may be, and then comes what tables can't say. */
#include <stdio.h>

#include "tests/mock-provider/openai-internal.h"

static const char INVALID[] = "invalid_request_error";

#define TABLE static const OpenAiField

/* The members that are looked at again, the first rows of the table. */
enum {
  CHAT_model,
  CHAT_messages,
  CHAT_stream,
  CHAT_stream_options,
  CHAT_n,
  CHAT_max_tokens,
  CHAT_max_completion_tokens,
  CHAT_stop,
  CHAT_logit_bias,
  CHAT_logprobs,
  CHAT_top_logprobs,
  CHAT_tools,
  CHAT_tool_choice,
  CHAT_parallel_tool_calls,
  CHAT_response_format,
  CHAT_metadata,
  CHAT_modalities,
  CHAT_audio,
  CHAT_prediction,
};

TABLE CHAT[] = {
    [CHAT_model] = OPENAI_HAS("model", TEXT),
    [CHAT_messages] = OPENAI_HAS("messages", LIST),
    [CHAT_stream] = OPENAI_HAS("stream", BOOL),
    [CHAT_stream_options] = OPENAI_HAS("stream_options", OBJECT),
    [CHAT_n] = OPENAI_RANGE("n", WHOLE, 1, 128),
    [CHAT_max_tokens] = OPENAI_RANGE("max_tokens", WHOLE, 1, 1e9),
    [CHAT_max_completion_tokens] = OPENAI_RANGE("max_completion_tokens", WHOLE, 1, 1e9),
    [CHAT_stop] = OPENAI_HAS("stop", ANY),
    [CHAT_logit_bias] = OPENAI_HAS("logit_bias", OBJECT),
    [CHAT_logprobs] = OPENAI_HAS("logprobs", BOOL),
    [CHAT_top_logprobs] = OPENAI_RANGE("top_logprobs", WHOLE, 0, 20),
    [CHAT_tools] = OPENAI_HAS("tools", LIST),
    [CHAT_tool_choice] = OPENAI_HAS("tool_choice", ANY),
    [CHAT_parallel_tool_calls] = OPENAI_HAS("parallel_tool_calls", BOOL),
    [CHAT_response_format] = OPENAI_HAS("response_format", OBJECT),
    [CHAT_metadata] = OPENAI_HAS("metadata", OBJECT),
    [CHAT_modalities] = OPENAI_HAS("modalities", LIST),
    [CHAT_audio] = OPENAI_HAS("audio", OBJECT),
    [CHAT_prediction] = OPENAI_HAS("prediction", OBJECT),
    OPENAI_RANGE("temperature", REAL, 0, 2),
    OPENAI_RANGE("top_p", REAL, 0, 1),
    OPENAI_RANGE("presence_penalty", REAL, -2, 2),
    OPENAI_RANGE("frequency_penalty", REAL, -2, 2),
    OPENAI_HAS("user", TEXT),
    OPENAI_RANGE("seed", WHOLE, -9.3e18, 9.3e18),
    OPENAI_HAS("functions", LIST),
    OPENAI_HAS("function_call", ANY),
    OPENAI_IS_MAYBE("service_tier", "auto default flex scale priority"),
    OPENAI_HAS("store", BOOL),
    OPENAI_IS_MAYBE("reasoning_effort", "none minimal low medium high xhigh"),
    OPENAI_IS_MAYBE("verbosity", "low medium high"),
    OPENAI_HAS("prompt_cache_key", TEXT),
    OPENAI_IS_MAYBE("prompt_cache_retention", "in_memory 24h"),
    OPENAI_HAS("safety_identifier", TEXT),
    OPENAI_HAS("web_search_options", OBJECT),
    OPENAI_END,
};
TABLE EMBEDDINGS[] = {OPENAI_HAS("model", TEXT),
                      OPENAI_HAS("input", ANY),
                      OPENAI_IS_MAYBE("encoding_format", "float base64"),
                      OPENAI_RANGE("dimensions", WHOLE, 1, 3072),
                      OPENAI_HAS("user", TEXT),
                      OPENAI_END};
TABLE STREAM_OPTIONS[] = {OPENAI_HAS("include_usage", BOOL), OPENAI_HAS("include_obfuscation", BOOL), OPENAI_END};
TABLE AUDIO[] = {OPENAI_NEEDS("voice", ANY), OPENAI_IS("format", "wav aac mp3 flac opus pcm16"), OPENAI_END};
TABLE PREDICTION[] = {OPENAI_IS("type", "content"), OPENAI_NEEDS("content", ANY), OPENAI_END};

bool openai_check_key(const Ask *ask, Answer *ret) {
  static const char BEARER[] = "Bearer ";
  Text given = http_header(ask->http, "authorization");

  if (!ask->key)
    return true;
  if (given.size < sizeof BEARER || !http_same((Text){given.data, sizeof BEARER - 1}, text_of(BEARER)))
    return openai_fail(
        ret, 401, INVALID, NULL, NULL,
        "You didn't provide an API key. You need to provide your API key in an Authorization header using "
        "Bearer auth (i.e. Authorization: Bearer YOUR_KEY).");
  if (text_is((Text){given.data + sizeof BEARER - 1, given.size - sizeof BEARER + 1}, ask->key))
    return true;
  return openai_fail(ret, 401, INVALID, "invalid_api_key", NULL, "Incorrect API key provided.");
}

/* --- what goes with what --- */

static bool check_stream(const Ask *ask, const Json *found, OpenAiAsk *ret_ask, Answer *ret) {
  Json options = found[CHAT_stream_options];

  json_get_bool(found[CHAT_stream], &ret_ask->stream);
  if (json_is_none(options))
    return true;
  if (!ret_ask->stream)
    return openai_fail(ret, 400, INVALID, NULL, "stream_options",
                       "The 'stream_options' parameter is only allowed when 'stream' is enabled.");
  json_get_bool(json_find(options, "include_usage"), &ret_ask->include_usage);
  return openai_check_fields(ask, "stream_options.", options, STREAM_OPTIONS, ret);
}

static bool check_stops(Json stop, Answer *ret) {
  JsonWalk walk = json_walk(stop);
  unsigned count = 0;
  Json one;

  if (json_is_none(stop) || json_type(stop) == JSON_STRING)
    return true;
  if (json_type(stop) != JSON_ARRAY)
    return openai_wrong_type(ret, "stop", JSON_ARRAY, stop);
  for (; json_next_element(&walk, &one); count++)
    if (json_type(one) != JSON_STRING)
      return openai_wrong_type(ret, "stop[0]", JSON_STRING, one);
  return count <= 4 || openai_fail(ret, 400, INVALID, "array_above_max_length", "stop",
                                   "Invalid 'stop': array too long. Expected an array with maximum length 4, but got "
                                   "an array with length %u instead.",
                                   count);
}

static bool check_bias(Json bias, Answer *ret) {
  JsonWalk walk = json_walk(bias);
  double number = 0;
  Json key, value;

  while (json_next_member(&walk, &key, &value))
    if (json_get_real(value, &number) != 0 || number < -100 || number > 100)
      return openai_fail(ret, 400, INVALID, "invalid_value", "logit_bias",
                         "Invalid value for 'logit_bias': expected numbers from -100 to 100.");
  return true;
}

static bool check_metadata(Json metadata, Answer *ret) {
  JsonWalk walk = json_walk(metadata);
  unsigned count = 0;
  Json key, value;

  for (; json_next_member(&walk, &key, &value); count++)
    if (json_type(value) != JSON_STRING || json_string_bytes(key) > 64 || json_string_bytes(value) > 512)
      return openai_fail(ret, 400, INVALID, "invalid_type", "metadata",
                         "Invalid 'metadata': expected strings of at most 64 characters for keys and 512 for values.");
  return count <= 16 || openai_fail(ret, 400, INVALID, "object_above_max_properties", "metadata",
                                    "Invalid 'metadata': too many properties. Expected an object with at most 16.");
}

static bool wants_audio(const Json *found) {
  Json modalities = found[CHAT_modalities];

  return !json_is_none(modalities) && memmem(modalities.text.data, modalities.text.size, "\"audio\"", 7);
}

static bool check_audio(const Ask *ask, const Json *found, Answer *ret) {
  Json audio = found[CHAT_audio];

  if (wants_audio(found) && json_is_none(audio))
    return openai_missing(ret, "audio");
  return json_is_none(audio) || openai_check_fields(ask, "audio.", audio, AUDIO, ret);
}

static bool check_pairs(const Ask *ask, const Json *found, Answer *ret) {
  Json prediction = found[CHAT_prediction];
  bool logprobs = false;

  json_get_bool(found[CHAT_logprobs], &logprobs);
  if (!json_is_none(found[CHAT_top_logprobs]) && !logprobs)
    return openai_fail(ret, 400, INVALID, NULL, "top_logprobs",
                       "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled.");
  if (!json_is_none(found[CHAT_max_tokens]) && !json_is_none(found[CHAT_max_completion_tokens]))
    return openai_fail(ret, 400, INVALID, "invalid_parameter_combination", "max_tokens",
                       "Setting 'max_tokens' and 'max_completion_tokens' at the same time is not supported.");
  return check_stops(found[CHAT_stop], ret) && check_bias(found[CHAT_logit_bias], ret) &&
         check_metadata(found[CHAT_metadata], ret) && check_audio(ask, found, ret) &&
         (json_is_none(prediction) || openai_check_fields(ask, "prediction.", prediction, PREDICTION, ret));
}

bool openai_check_chat(const Ask *ask, OpenAiAsk *ret_ask, Answer *ret) {
  Json body, found[ELEMENTS(CHAT)] = {0};

  *ret_ask = (OpenAiAsk){.choices = 1};
  if (!openai_check_body(ask, &body, ret) || !openai_read_fields(ask, body, CHAT, found, ret) ||
      !openai_check_model(ask, found[CHAT_model], ret) || !openai_check_messages(ask, found[CHAT_messages], ret) ||
      !check_stream(ask, found, ret_ask, ret) ||
      !openai_check_tools(ask,
                          &(OpenAiTools){found[CHAT_tools], found[CHAT_tool_choice], found[CHAT_parallel_tool_calls],
                                         found[CHAT_response_format], found[CHAT_messages]},
                          ret) ||
      !check_pairs(ask, found, ret))
    return false;
  json_get_uint(found[CHAT_n], &ret_ask->choices);
  json_get_uint(found[CHAT_max_tokens], &ret_ask->limit_tokens);
  json_get_uint(found[CHAT_max_completion_tokens], &ret_ask->limit_tokens);
  ret_ask->model = found[CHAT_model];
  ret_ask->messages = found[CHAT_messages];
  ret_ask->tools = found[CHAT_tools];
  ret_ask->no_calls = json_string_is(found[CHAT_tool_choice], "none");
  return true;
}

/* --- embeddings --- */

static bool is_input(Json one) {
  JsonWalk walk = json_walk(one);
  unsigned count = 0;
  Json token;

  if (json_type(one) == JSON_STRING)
    return json_string_bytes(one) > 0;
  for (; json_type(one) == JSON_ARRAY && json_next_element(&walk, &token); count++)
    if (json_type(token) != JSON_NUMBER)
      return false;
  return count > 0;
}

/* A text, tokens, or a list of one of them. */
static bool check_input(Json input, Answer *ret) {
  JsonWalk walk = json_walk(input);
  JsonType type = JSON_NONE;
  unsigned count = 0;
  bool right = true;
  Json one;

  if (json_is_none(input))
    return openai_missing(ret, "input");
  if (json_type(input) != JSON_STRING && json_type(input) != JSON_ARRAY)
    return openai_wrong_type(ret, "input", JSON_STRING, input);
  if (is_input(input))
    return true;
  for (; right && json_type(input) == JSON_ARRAY && json_next_element(&walk, &one); count++) {
    right = is_input(one) && (count == 0 || json_type(one) == type);
    type = json_type(one);
  }
  return (right && count > 0 && count <= 2048) ||
         openai_fail(ret, 400, INVALID, NULL, "input",
                     "'$.input' is invalid. Please check the API reference: https://platform.openai.com/docs/api-"
                     "reference.");
}

bool openai_check_embeddings(const Ask *ask, OpenAiAsk *ret_ask, Answer *ret) {
  Json body;

  *ret_ask = (OpenAiAsk){.dimensions = 8};
  if (!openai_check_body(ask, &body, ret) || !openai_check_fields(ask, "", body, EMBEDDINGS, ret) ||
      !openai_check_model(ask, openai_find(body, "model"), ret) || !check_input(openai_find(body, "input"), ret))
    return false;
  ret_ask->base64 = json_string_is(json_find(body, "encoding_format"), "base64");
  json_get_uint(json_find(body, "dimensions"), &ret_ask->dimensions);
  ret_ask->model = json_find(body, "model");
  ret_ask->input = json_find(body, "input");
  return true;
}
