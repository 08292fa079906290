/* tests/vectors: bytes and their meaning, written by another implementation. Each header is decoded and every field
   compared; what is canonical is encoded again to the same bytes. */
#include <dirent.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/wire/header.h"
#include "bus/wire/pack.h"

enum { LINE_SIZE = 65536, FIELD_SIZE = 4096 };

/* One file. The texts of want point into room. */
typedef struct Vector {
  char name[256];
  Buffer header;
  Buffer body;
  char result[32];
  bool canonical;
  bool has_priority;
  Header want;
  char room[8][FIELD_SIZE];
  size_t n_room;
} Vector;

static unsigned digit(char c) {
  return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

static size_t bytes_of_hex(const char *hex, uint8_t *to) {
  size_t n = 0;

  for (; hex[0] && hex[1] && hex[0] != ' '; hex += 2)
    to[n++] = (uint8_t)(digit(hex[0]) << 4 | digit(hex[1]));
  return n;
}

static void append_hex(Buffer *buffer, const char *hex) {
  buffer->size += bytes_of_hex(hex, buffer_reserve(buffer, strlen(hex)));
}

static char *room_for(Vector *vector) {
  assert_true(vector->n_room < ELEMENTS(vector->room));
  return vector->room[vector->n_room++];
}

static Text keep_text(Vector *vector, const char *value) {
  char *to = room_for(vector);

  snprintf(to, FIELD_SIZE, "%s", value);
  return text_of(to);
}

static Bytes keep_hex(Vector *vector, const char *value) {
  char *to = room_for(vector);

  return (Bytes){(const uint8_t *)to, bytes_of_hex(value, (uint8_t *)to)};
}

static uint64_t number(const char *value) {
  return strtoull(value, NULL, 10);
}

/* One line of meaning into the header that is wanted. */
static void read_field(Vector *vector, const char *key, const char *value) {
#define TYPE_U8(member) vector->want.member = (__typeof__(vector->want.member))number(value)
#define TYPE_U32(member) vector->want.member = (__typeof__(vector->want.member))number(value)
#define TYPE_U64(member) vector->want.member = number(value)
#define TYPE_SESSION(member) vector->want.member.value = number(value)
#define TYPE_TEXT(member) vector->want.member = keep_text(vector, value)
#define TYPE_REQUEST_ID(member) assert_int_equal(request_id_parse(text_of(value), &vector->want.member), 0)
#define TYPE_TRACE(member) assert_int_equal(bytes_of_hex(value, vector->want.member.bytes), 25)
#define TYPE_MAP(member) vector->want.member = keep_hex(vector, value)
#define FIELD(position, NAME, member, type, largest)                                                                   \
  if (strcasecmp(key, #NAME) == 0) {                                                                                   \
    TYPE_##type(member);                                                                                               \
    return;                                                                                                            \
  }
#include "bus/wire/header.def"
#undef FIELD
  fail_msg("%s: no field %s", vector->name, key);
}

static void read_line(Vector *vector, char *line) {
  char *value = strstr(line, ": ");

  line[strcspn(line, "\n")] = '\0';
  if (!value)
    return; /* `header:` of no bytes */
  *value = '\0';
  value += 2;
  if (strcmp(line, "header") == 0)
    append_hex(&vector->header, value);
  else if (strcmp(line, "body") == 0)
    append_hex(&vector->body, value);
  else if (strcmp(line, "result") == 0)
    snprintf(vector->result, sizeof vector->result, "%s", value);
  else if (strcmp(line, "canonical") == 0)
    vector->canonical = strcmp(value, "yes") == 0;
  else if (strcmp(line, "body_means") != 0)
    read_field(vector, line, value);
}

static void read_vector(const char *name, Vector *ret) {
  static char line[LINE_SIZE];
  char path[1024];
  FILE *file;

  *ret = (Vector){.want = {.priority = PRIORITY_NORMAL}};
  snprintf(ret->name, sizeof ret->name, "%s", name);
  snprintf(path, sizeof path, "%s/tests/vectors/%s", PONS_SOURCE_DIR, name);
  file = fopen(path, "r");
  assert_non_null(file);
  assert_non_null(fgets(line, sizeof line, file)); /* the sentence */
  while (fgets(line, sizeof line, file))
    read_line(ret, line);
  fclose(file);
}

static void forget_vector(Vector *vector) {
  buffer_done(&vector->header);
  buffer_done(&vector->body);
}

static void check_equal(const Header *got, const Header *want) {
#define SAME_U8(member) assert_int_equal(got->member, want->member)
#define SAME_U32(member) assert_int_equal(got->member, want->member)
#define SAME_U64(member) assert_int_equal(got->member, want->member)
#define SAME_SESSION(member) assert_int_equal(got->member.value, want->member.value)
#define SAME_TEXT(member) assert_true(text_equal(got->member, want->member))
#define SAME_REQUEST_ID(member) assert_true(request_id_equal(got->member, want->member))
#define SAME_TRACE(member) assert_memory_equal(got->member.bytes, want->member.bytes, 25)
#define SAME_MAP(member)                                                                                               \
  assert_int_equal(got->member.size, want->member.size);                                                               \
  if (want->member.size > 0)                                                                                           \
  assert_memory_equal(got->member.data, want->member.data, want->member.size)
#define FIELD(position, NAME, member, type, largest) SAME_##type(member);
#include "bus/wire/header.def"
#undef FIELD
}

static int result_of(const char *name) {
  if (strcmp(name, "OK") == 0)
    return 0;
  if (strcmp(name, "MALFORMED") == 0)
    return HEADER_E_MALFORMED;
  if (strcmp(name, "UNSUPPORTED") == 0)
    return HEADER_E_KIND;
  assert_string_equal(name, "TOO_LARGE");
  return HEADER_E_TOO_LARGE;
}

/* Decodes from an allocation of the exact size, so that a read past the end is a sanitizer's finding. */
static void check_vector(Vector *vector) {
  _cleanup_(buffer_done) Buffer again = {0};
  size_t size = vector->header.size;
  uint8_t *exact = malloc(size ? size : 1);
  Header got;
  int r;

  if (size > 0)
    memcpy(exact, vector->header.data, size);
  r = header_decode((Bytes){exact, size}, &got);
  if (r != result_of(vector->result))
    fail_msg("%s: %d instead of %s", vector->name, r, vector->result);
  if (r == 0) {
    check_equal(&got, &vector->want);
    header_encode(&got, &again);
  } else if (r != HEADER_E_MALFORMED) {
    assert_true(request_id_equal(got.id, vector->want.id));
  }
  if (vector->canonical) {
    assert_int_equal(again.size, size);
    assert_memory_equal(again.data, exact, size);
  }
  free(exact);
}

static void test_each(void **state _unused_) {
  struct dirent **names;
  int n = scandir(PONS_SOURCE_DIR "/tests/vectors", &names, NULL, alphasort);
  int checked = 0;

  assert_true(n > 0);
  for (int i = 0; i < n; i++) {
    if (strstr(names[i]->d_name, ".txt")) {
      Vector vector;

      read_vector(names[i]->d_name, &vector);
      check_vector(&vector);
      forget_vector(&vector);
      checked++;
    }
    free(names[i]);
  }
  free(names);
  assert_true(checked >= KIND_END - 1);
}

/* The packed vector holds three messages; packing them anew gives messages that mean the same. */
static void test_pack(void **state _unused_) {
  static const Kind kinds[] = {KIND_PING, KIND_REPLY, KIND_CREDIT};
  Vector vector;
  Bytes rest;
  Bytes header;
  Bytes body;

  read_vector("pack.txt", &vector);
  rest = buffer_bytes(&vector.body);
  for (size_t i = 0; i < ELEMENTS(kinds); i++) {
    Header got;

    assert_int_equal(pack_next(&rest, &header, &body), 0);
    assert_int_equal(header_decode(header, &got), 0);
    assert_int_equal(got.kind, kinds[i]);
    assert_int_equal(body.size, kinds[i] == KIND_REPLY ? 3 : 0);
  }
  assert_int_equal(pack_next(&rest, &header, &body), PACK_E_END);
  forget_vector(&vector);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_each),
      cmocka_unit_test(test_pack),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
