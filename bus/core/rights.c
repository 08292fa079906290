#include "bus/core/rights.h"

#include <stdlib.h>

#include "bus/wire/header.h"
#include "bus/wire/topic.h"

typedef struct Row {
  Text what;   /* both point into text */
  Text method; /* of services */
  char text[LIMIT_TARGET_BYTES + LIMIT_METHOD_BYTES + 2];
} Row;

typedef struct Rows {
  Row **list;
  uint32_t count;
} Rows;

struct Rights {
  Rows rows[RIGHTS_END];
};

Rights *rights_new(void) {
  Rights *rights = calloc(1, sizeof *rights);

  if (!rights)
    abort();
  return rights;
}

void rights_destroy(Rights **p) {
  Rights *rights = TAKE(*p);

  for (int deed = 0; rights && deed < RIGHTS_END; deed++) {
    for (uint32_t i = 0; i < rights->rows[deed].count; i++)
      free(rights->rows[deed].list[i]);
    free(rights->rows[deed].list);
  }
  free(rights);
}

static bool is_topic_deed(RightsDeed deed) {
  return deed == RIGHTS_PUBLISH || deed == RIGHTS_SUBSCRIBE;
}

/* --- patterns --- */

static bool is_star(Text text) {
  return text.size > 0 && text.data[text.size - 1] == '*';
}

/* A name, the beginning of one with a star behind it, or a star. */
static bool is_word(Text text) {
  Text begin = {text.data, text.size - is_star(text)};

  return text.size > 0 && ((begin.size == 0 && text.size == 1) || name_is_valid(begin));
}

/* At the last point; without one it is a service, and all its methods. */
static void split(Text pattern, Text *ret_service, Text *ret_method) {
  const char *dot = pattern.size ? memrchr(pattern.data, '.', pattern.size) : NULL;
  size_t size = dot ? (size_t)(dot - pattern.data) : pattern.size;

  *ret_service = (Text){pattern.data, size};
  *ret_method = dot ? (Text){dot + 1, pattern.size - size - 1} : TEXT("*");
}

bool rights_pattern_is_valid(RightsDeed deed, Text pattern) {
  Text service;
  Text method;

  if (is_topic_deed(deed))
    return topic_pattern_is_valid(pattern);
  split(pattern, &service, &method);
  return is_word(service) && is_word(method) && method.size <= LIMIT_METHOD_BYTES;
}

static bool fits(Text pattern, Text word) {
  if (!is_star(pattern))
    return text_equal(pattern, word);
  return word.size >= pattern.size - 1 && memcmp(pattern.data, word.data, pattern.size - 1) == 0;
}

/* --- rows --- */

int rights_allow(Rights *rights, RightsDeed deed, Text pattern) {
  Rows *rows = &rights->rows[deed];
  Row **list;
  Row *row;

  if (!rights_pattern_is_valid(deed, pattern) || pattern.size >= sizeof row->text)
    return RIGHTS_E_PATTERN;
  list = realloc(rows->list, (rows->count + 1) * sizeof *list);
  row = calloc(1, sizeof *row);
  if (!list || !row)
    abort();
  memcpy(row->text, pattern.data, pattern.size);
  row->what = (Text){row->text, pattern.size};
  if (!is_topic_deed(deed))
    split(row->what, &row->what, &row->method);
  rows->list = list;
  rows->list[rows->count++] = row;
  return 0;
}

static Text without_instance(Text target) {
  const char *at = target.size ? memchr(target.data, '@', target.size) : NULL;

  return at ? (Text){target.data, (size_t)(at - target.data)} : target;
}

/* Whoever may call these is shown what others have said. */
bool rights_is_guarded(Text service, Text method) {
  return text_is(without_instance(service), "pons.durable") && text_is(method, "show");
}

static bool is_spelt_out(const Row *row) {
  return !is_star(row->what) && !is_star(row->method);
}

bool rights_cover(const Rights *rights, RightsDeed deed, Text what, Text method) {
  const Rows *rows = rights ? &rights->rows[deed] : NULL;
  bool guarded;

  if (!rights)
    return true;
  guarded = deed == RIGHTS_CALL && rights_is_guarded(what, method);
  what = is_topic_deed(deed) ? what : without_instance(what);
  for (uint32_t i = 0; i < rows->count; i++) {
    const Row *row = rows->list[i];

    if (guarded && !is_spelt_out(row))
      continue;
    if (is_topic_deed(deed) ? topic_covers(row->what, what) : fits(row->what, what) && fits(row->method, method))
      return true;
  }
  return false;
}
