#include "tests/unit/adapters/golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

static void put_path(const char *dialect, const char *name, const char *kind, char path[512]) {
  snprintf(path, 512, "%s/tests/golden/%s/%s.%s", PONS_SOURCE_DIR, dialect, name, kind);
}

bool golden_read(const char *dialect, const char *name, const char *kind, Buffer *ret) {
  char path[512];
  FILE *file;
  size_t got;

  put_path(dialect, name, kind, path);
  file = fopen(path, "rb");
  if (!file)
    return false;
  do {
    uint8_t *to = buffer_reserve(ret, 65536);

    got = fread(to, 1, 65536, file);
    ret->size += got;
  } while (got > 0);
  fclose(file);
  *buffer_reserve(ret, 1) = '\0';
  return true;
}

Json golden_json(const Buffer *text, const char *what) {
  Json value = {TEXT_NONE};
  JsonFault fault;

  if (json_check((Text){(const char *)text->data, text->size}, &value, &fault) != 0)
    fail_msg("%s, line %u: %s\n%.*s", what, fault.line, fault.message, (int)text->size, (const char *)text->data);
  return value;
}

/* --- laying out --- */

static void put_line(Buffer *out, unsigned depth) {
  buffer_append(out, "\n", 1);
  for (unsigned i = 0; i < depth; i++)
    buffer_append(out, "  ", 2);
}

static void put_pretty(Json value, unsigned depth, Buffer *out) {
  bool is_object = json_type(value) == JSON_OBJECT;
  JsonWalk walk = json_walk(value);
  bool first = true;
  Json key;
  Json one;

  if (!is_object && json_type(value) != JSON_ARRAY) {
    buffer_append(out, value.text.data, value.text.size);
    return;
  }
  buffer_append(out, value.text.data, 1);
  while (is_object ? json_next_member(&walk, &key, &one) : json_next_element(&walk, &one)) {
    buffer_append(out, ",", first ? 0 : 1);
    first = false;
    put_line(out, depth + 1);
    if (is_object)
      buffer_printf(out, "%.*s: ", TEXT_ARG(key.text));
    put_pretty(one, depth + 1, out);
  }
  if (!first)
    put_line(out, depth);
  buffer_append(out, is_object ? "}" : "]", 1);
}

static void lay_out(const Buffer *text, const char *kind, const char *what, Buffer *out) {
  if (!strstr(kind, "json")) {
    buffer_append(out, text->data, text->size);
    return;
  }
  put_pretty(golden_json(text, what), 0, out);
  buffer_append(out, "\n", 1);
}

void golden_expect(const char *dialect, const char *name, const char *kind, const Buffer *got) {
  _cleanup_(buffer_done) Buffer expected = {0};
  _cleanup_(buffer_done) Buffer left = {0};
  _cleanup_(buffer_done) Buffer right = {0};
  char path[512];

  put_path(dialect, name, kind, path);
  lay_out(got, kind, path, &right);
  if (getenv("PONS_TEST_UPDATE")) {
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(right.data, 1, right.size, file), right.size);
    fclose(file);
    return;
  }
  if (!golden_read(dialect, name, kind, &expected))
    fail_msg("%s is not there: each dialect has one for each case (PONS_TEST_UPDATE=1 writes it)", path);
  lay_out(&expected, kind, path, &left);
  if (left.size != right.size || memcmp(left.data, right.data, left.size) != 0)
    fail_msg("%s says\n%.*s\nand the dialect\n%.*s", path, (int)left.size, (const char *)left.data, (int)right.size,
             (const char *)right.data);
}
