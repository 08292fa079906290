#include "tests/mock-provider/knobs.h"

#include <stdio.h>

typedef struct KnobRow {
  const char *name;
  size_t offset;
  uint32_t least, most; /* most 0: words */
  const char *what;
} KnobRow;

static const KnobRow ROWS[] = {
#define NUMBER(name, least, most, standard, what) {#name, offsetof(Knobs, name), least, most, what},
#define WORDS(name, what) {#name, offsetof(Knobs, name), 0, 0, what},
#include "tests/mock-provider/knobs.def"
#undef NUMBER
#undef WORDS
};

Knobs knobs_default(void) {
  return (Knobs){
#define NUMBER(name, least, most, standard, what) .name = (standard),
#define WORDS(name, what) .name = "",
#include "tests/mock-provider/knobs.def"
#undef NUMBER
#undef WORDS
  };
}

static const KnobRow *find_row(Text name) {
  for (size_t i = 0; i < ELEMENTS(ROWS); i++) {
    size_t n = 0;

    while (n < name.size && ROWS[i].name[n] &&
           ((name.data[n] == '-' ? '_' : name.data[n] | 0x20) == (ROWS[i].name[n] | 0x20)))
      n++;
    if (n == name.size && !ROWS[i].name[n])
      return &ROWS[i];
  }
  return NULL;
}

bool knobs_has(Text name) {
  return find_row(name) != NULL;
}

static int hex_value(char c) {
  if (c >= '0' && c <= '9')
    return c - '0';
  return (c | 0x20) >= 'a' && (c | 0x20) <= 'f' ? (c | 0x20) - 'a' + 10 : -1;
}

static const char *set_words(char *to, Text value) {
  size_t n = 0;

  for (size_t i = 0; i < value.size; i++) {
    char c = value.data[i];

    if (c == '%' && i + 2 < value.size && hex_value(value.data[i + 1]) >= 0 && hex_value(value.data[i + 2]) >= 0) {
      c = (char)(hex_value(value.data[i + 1]) * 16 + hex_value(value.data[i + 2]));
      i += 2;
    }
    if ((uint8_t)c < 0x20 || n == 63)
      return "the text of a knob is longer than 63 bytes or has a control character";
    to[n++] = c;
  }
  to[n] = 0;
  return NULL;
}

static const char *set_number(uint32_t *to, const KnobRow *row, Text value) {
  uint64_t number = value.size ? 0 : 1;

  if (text_is(value, "true") || text_is(value, "false")) {
    *to = text_is(value, "true");
    return NULL;
  }
  for (size_t i = 0; i < value.size; i++) {
    if (value.data[i] < '0' || value.data[i] > '9' || i == 10)
      return "the value of a knob is no whole number";
    number = number * 10 + (uint64_t)(value.data[i] - '0');
  }
  if (number < row->least || number > row->most)
    return "the value of a knob is out of its range (--help lists them)";
  *to = (uint32_t)number;
  return NULL;
}

const char *knobs_set(Knobs *knobs, Text name, Text value) {
  const KnobRow *row = find_row(name);

  if (!row)
    return "there is no such knob (--help lists them)";
  if (row->most)
    return set_number((uint32_t *)(void *)((char *)knobs + row->offset), row, value);
  return set_words((char *)knobs + row->offset, value);
}

const char *knobs_set_list(Knobs *knobs, Text list, char separator, bool query) {
  while (list.size) {
    const char *end = memchr(list.data, separator, list.size);
    Text pair = {list.data, end ? (size_t)(end - list.data) : list.size};
    const char *equals = memchr(pair.data, '=', pair.size), *wrong = NULL;
    Text name = {pair.data, equals ? (size_t)(equals - pair.data) : pair.size};

    if (!query || find_row(name))
      wrong = knobs_set(knobs, name, equals ? (Text){equals + 1, pair.size - name.size - 1} : TEXT_NONE);
    if (wrong)
      return wrong;
    list = (Text){list.data + pair.size + (end ? 1 : 0), list.size - pair.size - (end ? 1 : 0)};
  }
  return NULL;
}

const char *knobs_of_request(Knobs *knobs, const HttpRequest *request, Text *path) {
  static const size_t PREFIX = sizeof "/mock/" - 1, HEADER = sizeof "x-mock-" - 1;
  const char *wrong = NULL;

  if (path->size > PREFIX && memcmp(path->data, "/mock/", PREFIX) == 0) {
    Text rest = {path->data + PREFIX, path->size - PREFIX};
    const char *end = memchr(rest.data, '/', rest.size);

    if (!end)
      return "there is nothing behind the knobs in the path";
    wrong = knobs_set_list(knobs, (Text){rest.data, (size_t)(end - rest.data)}, ',', false);
    *path = (Text){end, rest.size - (size_t)(end - rest.data)};
  }
  if (!wrong && request->query.size)
    wrong = knobs_set_list(knobs, request->query, '&', true);
  for (unsigned i = 0; !wrong && i < request->header_count; i++) {
    Text name = request->headers[i].name;

    if (name.size > HEADER && http_same((Text){name.data, HEADER}, TEXT("x-mock-")))
      wrong = knobs_set(knobs, (Text){name.data + HEADER, name.size - HEADER}, request->headers[i].value);
  }
  return wrong;
}

bool knobs_has_fault(const Knobs *knobs) {
  return knobs->status != UNSET || knobs->code[0] || knobs->stall != UNSET || knobs->cut != UNSET ||
         knobs->malformed != UNSET || knobs->bad_checksum != UNSET || knobs->error_in_stream != UNSET ||
         knobs->no_done || knobs->silent;
}

void knobs_heal(Knobs *knobs) {
  knobs->status = knobs->stall = knobs->cut = knobs->malformed = knobs->bad_checksum = knobs->error_in_stream = UNSET;
  knobs->no_done = knobs->silent = 0;
  knobs->code[0] = 0;
}

void knobs_print(void) {
  for (size_t i = 0; i < ELEMENTS(ROWS); i++)
    printf("  --%-16s %s\n", ROWS[i].name, ROWS[i].what);
}
