/* The check: one pass over the bytes, a bit per open bracket instead of a stack. Strings, which are most of any text, are
   passed over eight bytes at a time as long as none of them means something. */
#include <stdio.h>

#include "bus/json/json-internal.h"

typedef struct Scan {
  const uint8_t *begin;
  const uint8_t *at;
  const uint8_t *end;
  uint64_t is_object[JSON_DEPTH_MAX / 64];
  uint32_t depth;
  JsonFault *fault;
  const char *const *names; /* whose values are wanted, */
  size_t count;
  Json *found;          /* which are kept here */
  size_t which;         /* of names: of the member that is being read; count: none */
  const uint8_t *value; /* where its value begins */
} Scan;

/* --- faults --- */

static int fail(Scan *scan, int reason, const char *wanted) {
  JsonFault *fault = scan->fault;
  char got[24] = "the end";

  if (!fault)
    return reason;
  *fault = (JsonFault){.reason = reason, .offset_bytes = (size_t)(scan->at - scan->begin), .line = 1, .column = 1};
  for (const uint8_t *p = scan->begin; p < scan->at; p++) {
    fault->column = *p == '\n' ? 1 : fault->column + 1;
    fault->line += *p == '\n';
  }
  if (scan->at < scan->end)
    snprintf(got, sizeof got, *scan->at > ' ' && *scan->at < 127 ? "'%c'" : "byte 0x%02x", *scan->at);
  snprintf(fault->message, sizeof fault->message, "wanted %s, got %s", wanted, got);
  return reason;
}

/* --- pieces --- */

static void skip_space(Scan *scan) {
  while (scan->at < scan->end && *scan->at <= ' ' &&
         (*scan->at == ' ' || *scan->at == '\n' || *scan->at == '\r' || *scan->at == '\t'))
    scan->at++;
}

static uint8_t peek(const Scan *scan) {
  return scan->at < scan->end ? *scan->at : 0;
}

/* No overlong form, no surrogate. */
size_t json_character_bytes(const uint8_t *at, const uint8_t *end) {
  size_t size = *at < 0xc2 ? 0 : *at < 0xe0 ? 2 : *at < 0xf0 ? 3 : *at < 0xf5 ? 4 : 0;

  if (size == 0 || (size_t)(end - at) < size)
    return 0;
  for (size_t i = 1; i < size; i++)
    if ((at[i] & 0xc0) != 0x80)
      return 0;
  if ((*at == 0xe0 && at[1] < 0xa0) || (*at == 0xed && at[1] > 0x9f) || (*at == 0xf0 && at[1] < 0x90) ||
      (*at == 0xf4 && at[1] > 0x8f))
    return 0;
  return size;
}

static bool is_hex(uint8_t c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

static int skip_escape(Scan *scan) {
  scan->at++;
  if (peek(scan) == 0 || !strchr("\"\\/bfnrtu", peek(scan)))
    return fail(scan, JSON_E_SYNTAX, "one of \"\\/bfnrtu behind a backslash");
  if (*scan->at++ != 'u')
    return 0;
  for (int i = 0; i < 4; i++, scan->at++)
    if (!is_hex(peek(scan)))
      return fail(scan, JSON_E_SYNTAX, "four hex digits behind \\u");
  return 0;
}

/* True for the bytes that can just be passed over inside a string. */
static bool is_plain(uint8_t c) {
  return c >= ' ' && c < 0x80 && c != '"' && c != '\\';
}

/* The highest bit of each of eight bytes that is not plain: above 0x7f, below a blank, a quote or a backslash. Above the lowest of
   these bits there may be others. */
static uint64_t find_marks(const uint8_t *at) {
  uint64_t word = json_word(at);

  return ((word | (word - JSON_EACH_BYTE(' '))) & JSON_EACH_BYTE(0x80)) | json_zeros(word ^ JSON_EACH_BYTE('"')) |
         json_zeros(word ^ JSON_EACH_BYTE('\\'));
}

size_t json_plain_bytes(const uint8_t *at, const uint8_t *end) {
  const uint8_t *begin = at;

  for (; end - at >= 8; at += 8) {
    uint64_t marks = find_marks(at);

    if (marks)
      return (size_t)(at - begin) + (size_t)__builtin_ctzll(marks) / 8;
  }
  while (at < end && is_plain(*at))
    at++;
  return (size_t)(at - begin);
}

static int skip_string(Scan *scan) {
  if (peek(scan) != '"')
    return fail(scan, JSON_E_SYNTAX, "a string");
  scan->at++;
  for (;;) {
    size_t size;
    int r;

    scan->at += json_plain_bytes(scan->at, scan->end);
    if (scan->at == scan->end)
      return fail(scan, JSON_E_SYNTAX, "the end of the string");
    if (*scan->at == '"') {
      scan->at++;
      return 0;
    }
    if (*scan->at == '\\') {
      r = skip_escape(scan);
      if (r != 0)
        return r;
      continue;
    }
    if (*scan->at < ' ')
      return fail(scan, JSON_E_SYNTAX, "control characters as escapes");
    size = json_character_bytes(scan->at, scan->end);
    if (size == 0)
      return fail(scan, JSON_E_UTF8, "UTF-8");
    scan->at += size;
  }
}

static int skip_digits(Scan *scan) {
  if (peek(scan) < '0' || peek(scan) > '9')
    return fail(scan, JSON_E_SYNTAX, "a digit");
  while (peek(scan) >= '0' && peek(scan) <= '9')
    scan->at++;
  return 0;
}

static int skip_number(Scan *scan) {
  int r = 0;

  scan->at += peek(scan) == '-';
  if (peek(scan) == '0')
    scan->at++;
  else
    r = skip_digits(scan);
  if (r == 0 && peek(scan) == '.') {
    scan->at++;
    r = skip_digits(scan);
  }
  if (r == 0 && (peek(scan) | 0x20) == 'e') {
    scan->at++;
    scan->at += peek(scan) == '+' || peek(scan) == '-';
    r = skip_digits(scan);
  }
  return r;
}

static int skip_word(Scan *scan, const char *word) {
  for (; *word; word++, scan->at++)
    if (peek(scan) != (uint8_t)*word)
      return fail(scan, JSON_E_SYNTAX, "true, false or null");
  return 0;
}

/* --- structure --- */

static bool in_object(const Scan *scan) {
  uint32_t i = scan->depth - 1;

  return scan->is_object[i / 64] >> (i % 64) & 1;
}

static int open_bracket(Scan *scan) {
  uint64_t bit = UINT64_C(1) << (scan->depth % 64);
  uint64_t *word = &scan->is_object[scan->depth / 64 % (JSON_DEPTH_MAX / 64)];

  if (scan->depth == JSON_DEPTH_MAX)
    return fail(scan, JSON_E_DEPTH, "at most 128 brackets within each other");
  *word = *scan->at == '{' ? *word | bit : *word & ~bit;
  scan->depth++;
  scan->at++;
  return 0;
}

static Json span(const uint8_t *begin, const uint8_t *end) {
  return (Json){{(const char *)begin, (size_t)(end - begin)}};
}

static int skip_key(Scan *scan) {
  const uint8_t *begin;
  int r;

  skip_space(scan);
  begin = scan->at;
  r = skip_string(scan);
  if (r != 0)
    return r;
  if (scan->depth == 1 && scan->count > 0)
    scan->which = json_which(span(begin, scan->at), scan->names, scan->count);
  skip_space(scan);
  if (peek(scan) != ':')
    return fail(scan, JSON_E_SYNTAX, "':' behind a key");
  scan->at++;
  return 0;
}

/* One scalar, or an opening bracket; *ret_opened: the value goes on inside. */
static int begin_value(Scan *scan, bool *ret_opened) {
  uint8_t c;

  skip_space(scan);
  if (scan->depth == 1)
    scan->value = scan->at;
  c = peek(scan);
  *ret_opened = c == '{' || c == '[';
  if (*ret_opened)
    return open_bracket(scan);
  if (c == '"')
    return skip_string(scan);
  if (c == '-' || (c >= '0' && c <= '9'))
    return skip_number(scan);
  if (c == 't' || c == 'f' || c == 'n')
    return skip_word(scan, c == 't' ? "true" : c == 'f' ? "false" : "null");
  return fail(scan, JSON_E_SYNTAX, "a value");
}

/* Behind a value: closes what ends here, and stands where the next one begins. */
static int end_value(Scan *scan) {
  while (scan->depth > 0) {
    bool object = in_object(scan);

    if (scan->depth == 1 && scan->which < scan->count)
      scan->found[scan->which] = span(scan->value, scan->at);
    skip_space(scan);
    if (peek(scan) == ',') {
      scan->at++;
      return object ? skip_key(scan) : 0;
    }
    if (peek(scan) != (object ? '}' : ']'))
      return fail(scan, JSON_E_SYNTAX, object ? "',' or '}'" : "',' or ']'");
    scan->at++;
    scan->depth--;
  }
  return 0;
}

/* Behind an opening bracket: an empty container ends at once. */
static int enter(Scan *scan, bool *ret_empty) {
  bool object = in_object(scan);

  skip_space(scan);
  *ret_empty = peek(scan) == (object ? '}' : ']');
  if (*ret_empty) {
    scan->at++;
    scan->depth--;
    return 0;
  }
  return object ? skip_key(scan) : 0;
}

static int skip_value(Scan *scan) {
  int r;

  do {
    bool opened = false;
    bool empty = false;

    r = begin_value(scan, &opened);
    if (r == 0 && opened)
      r = enter(scan, &empty);
    if (r == 0 && (!opened || empty))
      r = end_value(scan);
  } while (r == 0 && scan->depth > 0);
  return r;
}

int json_check(Text text, Json *ret, JsonFault *fault) {
  return json_check_each(text, NULL, 0, ret, NULL, fault);
}

int json_check_each(Text text, const char *const *names, size_t count, Json *ret, Json *ret_found, JsonFault *fault) {
  Scan scan = {.begin = (const uint8_t *)text.data,
               .fault = fault,
               .names = names,
               .count = count,
               .found = ret_found,
               .which = count};
  const uint8_t *begin;
  int r;

  for (size_t i = 0; i < count; i++)
    ret_found[i] = (Json){TEXT_NONE};
  scan.at = scan.begin;
  scan.end = text.size ? scan.begin + text.size : scan.begin;
  skip_space(&scan);
  begin = scan.at;
  r = skip_value(&scan);
  if (r == 0) {
    Json whole = span(begin, scan.at);

    skip_space(&scan);
    if (scan.at < scan.end)
      return fail(&scan, JSON_E_SYNTAX, "nothing behind the value");
    *ret = whole;
  }
  return r;
}
