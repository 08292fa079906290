/* Figures that are not counted but known: what OpenAI's documentation says that a message, an answer's beginning and an
   image cost. */
#include "agents/footprint/footprint.h"

enum {
  QUARTERS = 4,       /* of a token */
  MESSAGE_TOKENS = 4, /* the frame of one message */
  ANSWER_TOKENS = 3,  /* every answer is primed with these */
  IMAGE_TOKENS = 765, /* 1,024 x 1,024 pixels in high detail: 85 + 4 tiles of 170 */
  IMAGE_LOW_TOKENS = 85,
  LIMIT_MAX = 10000000, /* a larger limit is no limit of any model, and must not overflow a sum */
  CHOICES_MAX = 128,
};

/* The walk so far. */
typedef struct Scale {
  Footprint *footprint;
  uint64_t quarters;
  uint64_t tokens; /* that are not text */
} Scale;

/* --- text --- */

static unsigned hex4(const char *at) {
  unsigned value = 0;

  for (int i = 0; i < 4; i++) {
    char c = at[i];

    value = value << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

/* Bytes of UTF-8 that an escape \uXXXX stands for. A pair of surrogates is one character, counted at its first half. */
static unsigned escaped_bytes(unsigned unit) {
  if (unit >= 0xd800 && unit < 0xdc00)
    return 4;
  if (unit >= 0xdc00 && unit < 0xe000)
    return 0;
  return unit < 0x80 ? 1 : unit < 0x800 ? 2 : 3;
}

/* Bytes of the character that begins with this byte; 0 for one in its middle. */
static unsigned sequence_bytes(uint8_t first) {
  if (first < 0x80)
    return 1;
  if (first < 0xc0)
    return 0;
  return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

void footprint_weigh(Json string, uint64_t *ret_quarters, uint64_t *ret_bytes) {
  static const uint8_t weights[] = {0, 1, 2, 4, 8}; /* by bytes of UTF-8 */
  const char *at = string.text.data + 1;
  const char *end = string.text.data + string.text.size - 1;
  uint64_t quarters = 0;
  uint64_t bytes = 0;

  if (json_type(string) != JSON_STRING)
    return;
  while (at < end) {
    unsigned size = sequence_bytes((uint8_t)*at);

    if (*at == '\\' && at[1] == 'u') {
      size = escaped_bytes(hex4(at + 2));
      at += 5;
    } else if (*at == '\\') {
      at++;
    }
    at++;
    bytes += size;
    quarters += weights[size];
  }
  *ret_quarters += quarters;
  *ret_bytes += bytes;
}

static void weigh(Scale *scale, Json string) {
  footprint_weigh(string, &scale->quarters, &scale->footprint->text_bytes);
}

/* JSON that the model reads as such: schemas of tools, calls that it made before. */
static void weigh_raw(Scale *scale, Json value) {
  scale->quarters += value.text.size;
  scale->footprint->text_bytes += value.text.size;
}

/* --- messages --- */

static void measure_image(Scale *scale, Json part) {
  bool is_low = json_string_is(json_find(json_find(part, "image_url"), "detail"), "low");

  scale->footprint->images++;
  scale->tokens += is_low ? IMAGE_LOW_TOKENS : IMAGE_TOKENS;
}

static void measure_part(Scale *scale, Json part) {
  Json type = json_find(part, "type");

  if (json_string_is(type, "text")) {
    weigh(scale, json_find(part, "text"));
  } else if (json_string_is(type, "image_url")) {
    measure_image(scale, part);
  } else if (json_string_is(type, "input_audio") || json_string_is(type, "file")) {
    scale->footprint->attachments++;
    scale->tokens += IMAGE_TOKENS; /* nobody says what they cost before they are heard or read */
  } else if (json_type(part) == JSON_OBJECT) {
    weigh_raw(scale, part);
  }
}

static void measure_content(Scale *scale, Json content) {
  JsonWalk walk = json_walk(content);
  Json part;

  weigh(scale, content);
  while (json_type(content) == JSON_ARRAY && json_next_element(&walk, &part))
    measure_part(scale, part);
}

/* A member's name; room is for one that has escapes in it. */
static Text name_of(Json key, Buffer *room) {
  Text name;

  if (json_get_plain(key, &name) == 0)
    return name;
  buffer_clear(room);
  json_get_string(key, room);
  return buffer_text(room);
}

static void measure_message(Scale *scale, Json message) {
  _cleanup_(buffer_done) Buffer room = {0};
  JsonWalk walk = json_walk(message);
  Json key;
  Json value;
  Text name;

  scale->footprint->messages++;
  scale->tokens += MESSAGE_TOKENS;
  while (json_type(message) == JSON_OBJECT && json_next_member(&walk, &key, &value)) {
    name = name_of(key, &room);
    if (text_is(name, "content"))
      measure_content(scale, value);
    else if (text_is(name, "tool_calls") || text_is(name, "function_call"))
      weigh_raw(scale, value);
    else if (text_is(name, "name") || text_is(name, "refusal"))
      weigh(scale, value);
  }
}

static void measure_messages(Scale *scale, Json messages) {
  JsonWalk walk = json_walk(messages);
  Json message;

  while (json_type(messages) == JSON_ARRAY && json_next_element(&walk, &message))
    measure_message(scale, message);
}

static void measure_tools(Scale *scale, Json tools) {
  JsonWalk walk = json_walk(tools);
  Json tool;

  while (json_type(tools) == JSON_ARRAY && json_next_element(&walk, &tool)) {
    scale->footprint->tools++;
    weigh_raw(scale, tool);
  }
}

/* --- embeddings --- */

static uint64_t count_elements(Json array) {
  JsonWalk walk = json_walk(array);
  uint64_t count = 0;
  Json element;

  while (json_next_element(&walk, &element))
    count++;
  return count;
}

static void measure_input(Scale *scale, Json input) {
  uint64_t quarters = 0;
  uint64_t tokens;

  footprint_weigh(input, &quarters, &scale->footprint->text_bytes);
  tokens = json_type(input) == JSON_ARRAY ? count_elements(input) : (quarters + QUARTERS - 1) / QUARTERS;
  scale->footprint->messages++;
  scale->tokens = max_u64(scale->tokens, tokens);
}

/* A text, a list of them, a list of tokens, or a list of such lists. */
static void measure_inputs(Scale *scale, Json input) {
  JsonWalk walk = json_walk(input);
  Json element = {TEXT_NONE};

  if (json_type(input) != JSON_ARRAY || !json_next_element(&walk, &element) || json_type(element) == JSON_NUMBER) {
    measure_input(scale, input);
    return;
  }
  do
    measure_input(scale, element);
  while (json_next_element(&walk, &element));
}

/* --- the request --- */

static uint64_t number_of(Json value, uint64_t otherwise, uint64_t most) {
  uint64_t number = otherwise;

  json_get_uint(value, &number);
  return min_u64(number, most);
}

static bool is_true(Json value) {
  bool is = false;

  return json_get_bool(value, &is) == 0 && is;
}

static void measure_setting(Footprint *footprint, Text name, Json value) {
  if (text_is(name, "stream"))
    footprint->is_stream = is_true(value);
  else if (text_is(name, "n"))
    footprint->choices = max_u64(1, number_of(value, 1, CHOICES_MAX));
  else if (text_is(name, "service_tier"))
    footprint->can_wait = json_string_is(value, "flex") || json_string_is(value, "batch");
  else if (text_is(name, "logprobs"))
    footprint->wants_api |= is_true(value);
  else if (text_is(name, "logit_bias"))
    footprint->wants_api |= json_type(value) == JSON_OBJECT;
  else if (text_is(name, "reasoning_effort"))
    footprint->wants_reasoning =
        json_type(value) == JSON_STRING && !json_string_is(value, "none") && !json_string_is(value, "minimal");
}

/* The newer name of the two wins, wherever it stands. What is not above 0 limits nothing: servers of local models take -1 for "as long
   as it gets". */
static void measure_limit(Footprint *footprint, Text name, Json value, bool *is_newer) {
  bool newer = text_is(name, "max_completion_tokens");
  double tokens = 0;

  if (*is_newer || (!newer && !text_is(name, "max_tokens")) || json_get_real(value, &tokens) != 0 || !(tokens > 0))
    return;
  *is_newer = newer;
  footprint->has_limit = true;
  footprint->limit_tokens = tokens < LIMIT_MAX ? (uint64_t)tokens : LIMIT_MAX;
}

static void measure_member(Scale *scale, Text name, Json value, Json *ret_input) {
  if (text_is(name, "messages"))
    measure_messages(scale, value);
  else if (text_is(name, "tools") || text_is(name, "functions"))
    measure_tools(scale, value);
  else if (text_is(name, "input"))
    *ret_input = value;
  else
    measure_setting(scale->footprint, name, value);
}

int footprint_measure(Text request, Footprint *ret, JsonFault *fault) {
  _cleanup_(buffer_done) Buffer room = {0};
  Footprint footprint = {.choices = 1};
  Scale scale = {.footprint = &footprint};
  Json input = {TEXT_NONE};
  bool is_newer = false;
  JsonWalk walk;
  Json object;
  Json key;
  Json value;
  Text name;

  if (json_check(request, &object, fault) != 0)
    return FOOTPRINT_E_JSON;
  if (json_type(object) != JSON_OBJECT)
    return FOOTPRINT_E_OBJECT;
  walk = json_walk(object);
  while (json_next_member(&walk, &key, &value)) {
    name = name_of(key, &room);
    measure_member(&scale, name, value, &input);
    measure_limit(&footprint, name, value, &is_newer);
  }
  footprint.wants_api |= footprint.choices > 1;
  footprint.is_embedding = footprint.messages == 0 && !json_is_none(input);
  if (footprint.is_embedding)
    measure_inputs(&scale, input);
  else
    scale.tokens += ANSWER_TOKENS;
  footprint.input_tokens = scale.tokens + (scale.quarters + QUARTERS - 1) / QUARTERS;
  *ret = footprint;
  return 0;
}
