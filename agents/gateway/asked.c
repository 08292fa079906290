#include "agents/gateway/asked.h"

#include <stdio.h>
#include <stdlib.h>

/* --- bodies --- */

static int wrong(AskedFault *fault, int reason, const char *param, const char *code, const char *message) {
  fault->param = param;
  fault->code = code;
  snprintf(fault->message, sizeof fault->message, "%s", message);
  return reason;
}

static int read_object(Text body, Json *ret, AskedFault *fault) {
  JsonFault at = {.reason = 0};

  if (json_check(body, ret, &at) != 0) {
    wrong(fault, ASKED_E_JSON, NULL, "invalid_json", "");
    snprintf(fault->message, sizeof fault->message, "the body is no JSON: line %u, column %u (byte %zu): %s", at.line,
             at.column, at.offset_bytes, at.message);
    return ASKED_E_JSON;
  }
  if (json_type(*ret) != JSON_OBJECT)
    return wrong(fault, ASKED_E_SHAPE, NULL, "invalid_type", "the body must be a JSON object");
  return 0;
}

/* Present and not null: a null is for OpenAI's clients the same as leaving the member out. */
static bool is_given(Json value) {
  return !json_is_none(value) && json_type(value) != JSON_NULL;
}

static int check_model(Json object, AskedFault *fault) {
  Json model = json_find(object, "model");

  if (is_given(model) && json_type(model) != JSON_STRING)
    return wrong(fault, ASKED_E_SHAPE, "model", "invalid_type",
                 "'model' must be a string: the name of a model, or \"auto\"");
  return 0;
}

static int check_messages(Json object, AskedFault *fault) {
  Json messages = json_find(object, "messages");
  Json first;
  JsonWalk walk = json_walk(messages);

  if (!is_given(messages))
    return wrong(fault, ASKED_E_SHAPE, "messages", "missing_required_parameter",
                 "'messages' is missing: a list of {\"role\": ..., \"content\": ...}");
  if (json_type(messages) != JSON_ARRAY)
    return wrong(fault, ASKED_E_SHAPE, "messages", "invalid_type", "'messages' must be a list");
  if (!json_next_element(&walk, &first))
    return wrong(fault, ASKED_E_SHAPE, "messages", "empty_array", "'messages' must have at least one element");
  return 0;
}

static int check_stream(Json object, bool *ret_stream, AskedFault *fault) {
  Json stream = json_find(object, "stream");
  Json options = json_find(object, "stream_options");
  Json usage = json_find(options, "include_usage");
  bool unused;

  *ret_stream = false;
  if (is_given(stream) && json_get_bool(stream, ret_stream) != 0)
    return wrong(fault, ASKED_E_SHAPE, "stream", "invalid_type", "'stream' must be true or false");
  if (is_given(options) && json_type(options) != JSON_OBJECT)
    return wrong(fault, ASKED_E_SHAPE, "stream_options", "invalid_type", "'stream_options' must be an object");
  if (is_given(usage) && json_get_bool(usage, &unused) != 0)
    return wrong(fault, ASKED_E_SHAPE, "stream_options.include_usage", "invalid_type",
                 "'stream_options.include_usage' must be true or false");
  return 0;
}

int asked_chat(Text body, bool *ret_stream, AskedFault *fault) {
  Json object;
  bool stream = false;
  int r = read_object(body, &object, fault);

  if (r == 0)
    r = check_model(object, fault);
  if (r == 0)
    r = check_messages(object, fault);
  if (r == 0)
    r = check_stream(object, &stream, fault);
  if (r == 0)
    *ret_stream = stream;
  return r;
}

int asked_embeddings(Text body, AskedFault *fault) {
  Json object, input;
  int r = read_object(body, &object, fault);

  if (r == 0)
    r = check_model(object, fault);
  if (r != 0)
    return r;
  input = json_find(object, "input");
  if (!is_given(input))
    return wrong(fault, ASKED_E_SHAPE, "input", "missing_required_parameter",
                 "'input' is missing: a text, or a list of them");
  if (json_type(input) != JSON_STRING && json_type(input) != JSON_ARRAY)
    return wrong(fault, ASKED_E_SHAPE, "input", "invalid_type", "'input' must be a string or a list");
  return 0;
}

/* --- headers --- */

int asked_deadline(const char *header, uint64_t longest_us, uint64_t *ret_us, AskedFault *fault) {
  char *end;
  unsigned long long ms;

  if (!header) {
    *ret_us = longest_us;
    return 0;
  }
  ms = strtoull(header, &end, 10);
  if (*header < '0' || *header > '9' || *end != '\0' || ms == 0)
    return wrong(fault, ASKED_E_HEADER, "x-pons-deadline-ms", "invalid_header",
                 "'x-pons-deadline-ms' must be a whole number of milliseconds, 1 or more");
  *ret_us = ms > longest_us / US_PER_MS ? longest_us : ms * US_PER_MS;
  return 0;
}

int asked_priority(const char *header, AskPriority *ret, AskedFault *fault) {
  static const struct {
    const char *name;
    AskPriority priority;
  } words[] = {{"interactive", ASK_INTERACTIVE}, {"normal", ASK_NORMAL}, {"batch", ASK_BATCH}};

  for (size_t i = 0; i < ELEMENTS(words); i++)
    if (strcmp(header ? header : "interactive", words[i].name) == 0) {
      *ret = words[i].priority;
      return 0;
    }
  return wrong(fault, ASKED_E_HEADER, "x-pons-priority", "invalid_header",
               "'x-pons-priority' must be interactive, normal or batch");
}

/* Reads so many bytes of lower-case hex. */
static bool read_hex(const char *text, uint8_t *ret, size_t bytes) {
  for (size_t i = 0; i < 2 * bytes; i++) {
    const char *digits = "0123456789abcdef";
    const char *at = text[i] ? strchr(digits, text[i]) : NULL;

    if (!at)
      return false;
    ret[i / 2] = (uint8_t)((i % 2 ? ret[i / 2] << 4 : 0) | (at - digits));
  }
  return true;
}

static bool is_zero(const uint8_t *bytes, size_t size) {
  uint8_t all = 0;

  for (size_t i = 0; i < size; i++)
    all |= bytes[i];
  return all == 0;
}

bool asked_trace(const char *header, Trace *ret) {
  enum { SIZE = 55, TRACE = 16, PARENT = 8 };
  Trace trace;
  uint8_t version;

  if (!header || strlen(header) < SIZE || !read_hex(header, &version, 1) || version == 0xff)
    return false;
  if (version == 0 ? header[SIZE] != '\0' : header[SIZE] != '\0' && header[SIZE] != '-')
    return false;
  if (header[2] != '-' || header[35] != '-' || header[52] != '-' || !read_hex(header + 3, trace.bytes, TRACE) ||
      !read_hex(header + 36, trace.bytes + TRACE, PARENT) || !read_hex(header + 53, trace.bytes + TRACE + PARENT, 1))
    return false;
  if (is_zero(trace.bytes, TRACE) || is_zero(trace.bytes + TRACE, PARENT))
    return false;
  *ret = trace;
  return true;
}
