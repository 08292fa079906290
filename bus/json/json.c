/* Walks and values of a text that json_check has passed: here nothing is checked again, and nothing goes past a span. */
#include "bus/json/json-internal.h"

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

/* What stands between values, and what a number or a word ends with. */
enum { BETWEEN = 1, BEHIND = 2 };

static const uint8_t marks_of[256] = {
    [' '] = BETWEEN | BEHIND,  ['\n'] = BETWEEN | BEHIND, ['\r'] = BETWEEN | BEHIND,
    ['\t'] = BETWEEN | BEHIND, [','] = BETWEEN | BEHIND,  [':'] = BETWEEN,
};

static bool is_mark(char c, uint8_t mark) {
  return marks_of[(uint8_t)c] & mark;
}

/* Keys and words of a stream are short: their quote is among the next eight bytes. Texts of prompts are long and have few: the C
   library looks for those, many bytes at a time. One that an odd number of backslashes stands before is part of the string. */
static const char *skip_string(const char *at, const char *end) {
  const char *begin = at;
  uint64_t quotes = end - at > 8 ? json_zeros(json_word(at + 1) ^ JSON_EACH_BYTE('"')) : 0;

  if (quotes) {
    at += 1 + __builtin_ctzll(quotes) / 8;
    if (at[-1] != '\\')
      return at + 1;
    at = begin;
  }
  for (;;) {
    const char *before = at = rawmemchr(at + 1, '"');

    while (before[-1] == '\\' && before - 1 > begin)
      before--;
    if ((at - before) % 2 == 0)
      return at + 1;
  }
}

/* A quote or a bracket, of which there is one before end. With the bit of small letters '[' is '{' and ']' is '}'. */
static const char *find_mark(const char *at, const char *end) {
  for (; end - at >= 8; at += 8) {
    uint64_t word = json_word(at), small = word | JSON_EACH_BYTE(0x20);
    uint64_t marks = json_zeros(word ^ JSON_EACH_BYTE('"')) | json_zeros(small ^ JSON_EACH_BYTE('{')) |
                     json_zeros(small ^ JSON_EACH_BYTE('}'));

    if (marks)
      return at + __builtin_ctzll(marks) / 8;
  }
  while (*at != '"' && (*at | 0x20) != '{' && (*at | 0x20) != '}')
    at++;
  return at;
}

static const char *skip_container(const char *at, const char *end) {
  size_t depth = 0;

  do {
    at = find_mark(at, end);
    if (*at == '"') {
      at = skip_string(at, end);
    } else {
      depth += (*at | 0x20) == '{' ? 1 : SIZE_MAX;
      at++;
    }
  } while (depth > 0);
  return at;
}

/* The value that begins at walk->at, which stands behind it afterwards. */
static Json take(JsonWalk *walk) {
  const char *begin = walk->at;

  if (*begin == '"')
    walk->at = skip_string(begin, walk->end);
  else if (*begin == '{' || *begin == '[')
    walk->at = skip_container(begin, walk->end);
  else
    while (walk->at < walk->end && !is_mark(*walk->at, BEHIND))
      walk->at++;
  return (Json){{begin, (size_t)(walk->at - begin)}};
}

/* Stands at the next value or key; false at the end. */
static bool advance(JsonWalk *walk) {
  while (walk->at < walk->end && is_mark(*walk->at, BETWEEN))
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

/* Keys are compared with many names, and most differ in their length: an escape only ever makes a string longer. */
bool json_string_is(Json value, const char *text) {
  _cleanup_(buffer_done) Buffer plain = {0};
  Text wanted = text_of(text);

  if (json_type(value) != JSON_STRING || inside(value).size < wanted.size)
    return false;
  if (inside(value).size == wanted.size)
    return text_equal(inside(value), wanted);
  if (!has_escape(inside(value)))
    return false;
  json_get_string(value, &plain);
  return text_equal(buffer_text(&plain), wanted);
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

/* Most names differ from a key in their first letter. */
static bool is_name(Text key, const char *name) {
  if (key.size == 0 || key.data[0] != name[0])
    return key.size == 0 && *name == '\0';
  return strncmp(name, key.data, key.size) == 0 && name[key.size] == '\0';
}

size_t json_which(Json key, const char *const *names, size_t count) {
  _cleanup_(buffer_done) Buffer room = {0};
  Text plain = inside(key);
  size_t i = 0;

  if (has_escape(plain)) {
    json_get_string(key, &room);
    plain = buffer_text(&room);
  }
  while (i < count && !is_name(plain, names[i]))
    i++;
  return i;
}

void json_find_each(Json object, const char *const *names, size_t count, Json *ret) {
  JsonWalk walk = json_walk(object);
  Json key;
  Json value;

  for (size_t i = 0; i < count; i++)
    ret[i] = (Json){TEXT_NONE};
  if (json_type(object) != JSON_OBJECT)
    return;
  while (json_next_member(&walk, &key, &value)) {
    size_t i = json_which(key, names, count);

    if (i < count)
      ret[i] = value;
  }
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
