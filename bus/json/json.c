/* Walks and values of a text that json_check has passed: here nothing is checked again, and nothing goes past a span. */
#include "bus/json/json.h"

#include <stdlib.h>

JsonType json_type(Json value) {
  if (value.text.size == 0)
    return JSON_NONE;
  switch (value.text.data[0]) {
  case '{':
    return JSON_OBJECT;
  case '[':
    return JSON_ARRAY;
  case '"':
    return JSON_STRING;
  case 't':
  case 'f':
    return JSON_BOOL;
  case 'n':
    return JSON_NULL;
  default:
    return JSON_NUMBER;
  }
}

/* --- walking --- */

static bool is_space(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Texts of prompts are long and have few quotes: the C library looks for those, many bytes at a time. One that an odd number
   of backslashes stands before is part of the string. */
static const char *skip_string(const char *at) {
  const char *begin = at;

  for (;;) {
    const char *before = at = rawmemchr(at + 1, '"');

    while (before[-1] == '\\' && before - 1 > begin)
      before--;
    if ((at - before) % 2 == 0)
      return at + 1;
  }
}

static const char *skip_container(const char *at) {
  size_t depth = 0;

  do {
    if (*at == '"') {
      at = skip_string(at);
      continue;
    }
    depth += *at == '{' || *at == '[';
    depth -= *at == '}' || *at == ']';
    at++;
  } while (depth > 0);
  return at;
}

/* The value that begins at walk->at, which stands behind it afterwards. */
static Json take(JsonWalk *walk) {
  const char *begin = walk->at;

  if (*begin == '"')
    walk->at = skip_string(begin);
  else if (*begin == '{' || *begin == '[')
    walk->at = skip_container(begin);
  else
    while (walk->at < walk->end && !is_space(*walk->at) && *walk->at != ',')
      walk->at++;
  return (Json){{begin, (size_t)(walk->at - begin)}};
}

/* Stands at the next value or key; false at the end. */
static bool advance(JsonWalk *walk) {
  while (walk->at < walk->end && (is_space(*walk->at) || *walk->at == ',' || *walk->at == ':'))
    walk->at++;
  return walk->at < walk->end;
}

JsonWalk json_walk(Json container) {
  JsonType type = json_type(container);

  if (type != JSON_OBJECT && type != JSON_ARRAY)
    return (JsonWalk){NULL, NULL};
  return (JsonWalk){container.text.data + 1, container.text.data + container.text.size - 1};
}

bool json_next_element(JsonWalk *walk, Json *ret) {
  if (!advance(walk))
    return false;
  *ret = take(walk);
  return true;
}

bool json_next_member(JsonWalk *walk, Json *ret_key, Json *ret_value) {
  return json_next_element(walk, ret_key) && json_next_element(walk, ret_value);
}

static Text inside(Json string) {
  return (Text){string.text.data + 1, string.text.size - 2};
}

static bool has_escape(Text text) {
  return text.size > 0 && memchr(text.data, '\\', text.size) != NULL;
}

bool json_string_is(Json value, const char *text) {
  _cleanup_(buffer_done) Buffer plain = {0};

  if (json_type(value) != JSON_STRING)
    return false;
  if (!has_escape(inside(value)))
    return text_is(inside(value), text);
  json_get_string(value, &plain);
  return text_is((Text){(const char *)plain.data, plain.size}, text);
}

Json json_find(Json object, const char *name) {
  JsonWalk walk = json_walk(object);
  Json found = {TEXT_NONE};
  Json key;
  Json value;

  if (json_type(object) != JSON_OBJECT)
    return found;
  while (json_next_member(&walk, &key, &value))
    if (json_string_is(key, name))
      found = value;
  return found;
}

/* --- strings --- */

static uint32_t hex4(const char *at) {
  uint32_t value = 0;

  for (int i = 0; i < 4; i++) {
    char c = at[i];

    value = value << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

static void put_character(Buffer *buffer, uint32_t c) {
  uint8_t *at = buffer_reserve(buffer, 4);
  size_t size = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  static const uint8_t first[] = {0, 0, 0xc0, 0xe0, 0xf0};

  for (size_t i = size - 1; i > 0; i--, c >>= 6)
    at[i] = (uint8_t)(0x80 | (c & 0x3f));
  at[0] = (uint8_t)(first[size] | c);
  buffer->size += size;
}

/* Appends what stands at "\uXXXX"; returns what follows it. Two surrogates are one character (RFC 8259, section 7). */
static const char *put_unicode(Buffer *buffer, const char *at, const char *end) {
  uint32_t c = hex4(at + 2);

  at += 6;
  if (c >= 0xd800 && c < 0xdc00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
    uint32_t low = hex4(at + 2);

    if (low >= 0xdc00 && low < 0xe000) {
      put_character(buffer, 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00));
      return at + 6;
    }
  }
  put_character(buffer, c >= 0xd800 && c < 0xe000 ? 0xfffd : c);
  return at;
}

static const char *put_escape(Buffer *buffer, const char *at, const char *end) {
  static const char names[] = "\"\\/bfnrt";
  static const char values[] = "\"\\/\b\f\n\r\t";

  if (at[1] == 'u')
    return put_unicode(buffer, at, end);
  buffer_append(buffer, &values[strchr(names, at[1]) - names], 1);
  return at + 2;
}

int json_get_string(Json value, Buffer *ret) {
  const char *at;
  const char *end;

  if (json_type(value) != JSON_STRING)
    return JSON_E_TYPE;
  at = inside(value).data;
  end = at + inside(value).size;
  while (at < end) {
    const char *escape = memchr(at, '\\', (size_t)(end - at));

    buffer_append(ret, at, (size_t)((escape ? escape : end) - at));
    at = escape ? put_escape(ret, escape, end) : end;
  }
  return 0;
}

int json_get_plain(Json value, Text *ret) {
  if (json_type(value) != JSON_STRING || has_escape(inside(value)))
    return JSON_E_TYPE;
  *ret = inside(value);
  return 0;
}

size_t json_string_bytes(Json value) {
  _cleanup_(buffer_done) Buffer plain = {0};

  if (json_type(value) != JSON_STRING)
    return 0;
  if (!has_escape(inside(value)))
    return inside(value).size;
  json_get_string(value, &plain);
  return plain.size;
}

/* --- scalars --- */

int json_get_bool(Json value, bool *ret) {
  if (json_type(value) != JSON_BOOL)
    return JSON_E_TYPE;
  *ret = value.text.data[0] == 't';
  return 0;
}

int json_get_uint(Json value, uint64_t *ret) {
  uint64_t number = 0;

  if (json_type(value) != JSON_NUMBER)
    return JSON_E_TYPE;
  for (size_t i = 0; i < value.text.size; i++) {
    char c = value.text.data[i];

    if (c < '0' || c > '9' || __builtin_mul_overflow(number, UINT64_C(10), &number) ||
        __builtin_add_overflow(number, (uint64_t)(c - '0'), &number))
      return JSON_E_TYPE;
  }
  *ret = number;
  return 0;
}

int json_get_real(Json value, double *ret) {
  char text[512];

  if (json_type(value) != JSON_NUMBER || value.text.size >= sizeof text)
    return JSON_E_TYPE;
  memcpy(text, value.text.data, value.text.size);
  text[value.text.size] = '\0';
  *ret = strtod(text, NULL);
  return 0;
}

/* --- writing --- */

/* Appends one byte that can't stand as it is, or a character of UTF-8; returns what follows. */
static const uint8_t *put_special(Buffer *buffer, const uint8_t *at, const uint8_t *end) {
  static const char names[] = "\"\\\b\f\n\r\t";
  static const char letters[] = "\"\\bfnrt";
  const char *found = *at ? strchr(names, *at) : NULL;
  Json whole;
  size_t most = *at >= 0xf0 ? 4 : *at >= 0xe0 ? 3 : 2;
  size_t size = 1;

  if (*at < 0x80) {
    if (found)
      buffer_printf(buffer, "\\%c", letters[found - names]);
    else
      buffer_printf(buffer, "\\u%04x", *at);
    return at + 1;
  }
  while (size < most && at + size < end && (at[size] & 0xc0) == 0x80)
    size++;
  {
    char quoted[8] = "\"";

    memcpy(quoted + 1, at, size);
    quoted[size + 1] = '"';
    if (json_check((Text){quoted, size + 2}, &whole, NULL) == 0) {
      buffer_append(buffer, at, size);
      return at + size;
    }
  }
  put_character(buffer, 0xfffd);
  return at + 1;
}

void json_put_string(Buffer *buffer, Text text) {
  const uint8_t *at = (const uint8_t *)text.data;
  const uint8_t *end = text.size ? at + text.size : at;

  buffer_append(buffer, "\"", 1);
  while (at < end) {
    const uint8_t *plain = at;

    while (at < end && *at >= ' ' && *at < 0x7f && *at != '"' && *at != '\\')
      at++;
    buffer_append(buffer, plain, (size_t)(at - plain));
    if (at < end)
      at = put_special(buffer, at, end);
  }
  buffer_append(buffer, "\"", 1);
}

static void put_member(Buffer *buffer, bool *first, Text key, Text value) {
  buffer_append(buffer, ",", *first ? 0 : 1);
  *first = false;
  buffer_append(buffer, key.data, key.size);
  buffer_append(buffer, ":", 1);
  buffer_append(buffer, value.data, value.size);
}

void json_put_with(Buffer *buffer, Json object, const char *name, Text value) {
  JsonWalk walk = json_walk(object);
  bool first = true;
  bool placed = value.size == 0;
  Json key;
  Json old;

  buffer_append(buffer, "{", 1);
  while (json_next_member(&walk, &key, &old)) {
    if (!json_string_is(key, name)) {
      put_member(buffer, &first, key.text, old.text);
    } else if (value.size > 0) {
      put_member(buffer, &first, key.text, value);
      placed = true;
    }
  }
  if (!placed) {
    _cleanup_(buffer_done) Buffer quoted = {0};

    json_put_string(&quoted, text_of(name));
    put_member(buffer, &first, (Text){(const char *)quoted.data, quoted.size}, value);
  }
  buffer_append(buffer, "}", 1);
}
