/* The header codec: every field of the table there and back, its limit and one more, every cut of a whole header, and
   what is decoded when something is wrong. What it makes of bytes from elsewhere: test_vectors.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/wire/header.h"

static char long_text[LIMIT_HEADER_BYTES];
static uint8_t map_bytes[LIMIT_ANNOTATIONS_BYTES + 1];
static const RequestId some_id = {{UINT64_C(0xfedcba9876543210)}, 7};

static int set_up(void **state _unused_) {
  memset(long_text, 'x', sizeof long_text);
  return 0;
}

/* A map of one pair, size bytes in all: fixmap, fixstr "k", bin 16. size at least 7. */
static Bytes map_of(size_t size) {
  size_t value = size - 6;

  map_bytes[0] = 0x81;
  map_bytes[1] = 0xa1;
  map_bytes[2] = 'k';
  map_bytes[3] = 0xc5;
  map_bytes[4] = (uint8_t)(value >> 8);
  map_bytes[5] = (uint8_t)value;
  return (Bytes){map_bytes, size};
}

/* The least that each kind must have. */
static Header least(Kind kind) {
  return (Header){.kind = kind,
                  .id = some_id,
                  .service = TEXT("s"),
                  .method = TEXT("m"),
                  .status = STATUS_BUSY,
                  .session = {1},
                  .priority = PRIORITY_NORMAL};
}

static int decode_exact(Bytes bytes, Header *ret) {
  uint8_t *exact = malloc(bytes.size ? bytes.size : 1);
  int r;

  if (bytes.size)
    memcpy(exact, bytes.data, bytes.size);
  r = header_decode((Bytes){exact, bytes.size}, ret);
  ret->service = ret->method = ret->content_type = TEXT_NONE; /* they point into what is freed */
  ret->annotations = BYTES_NONE;
  free(exact);
  return r;
}

/* Encodes header, decodes the bytes and compares every field. Returns what the decoder says. */
static int there_and_back(const Header *header) {
  _cleanup_(buffer_done) Buffer buffer = {0};
  Header got;
  int r;

  header_encode(header, &buffer);
  r = header_decode(buffer_bytes(&buffer), &got);
  if (r != 0)
    return r;
  assert_int_equal(got.kind, header->kind);
  assert_true(request_id_equal(got.id, header->id));
  assert_int_equal(got.attempt, header->attempt);
  assert_int_equal(got.hop, header->hop);
  assert_true(text_equal(got.service, header->service));
  assert_true(text_equal(got.method, header->method));
  assert_int_equal(got.deadline_us, header->deadline_us);
  assert_int_equal(got.priority, header->priority);
  assert_int_equal(got.flags, header->flags);
  assert_memory_equal(&got.trace, &header->trace, sizeof got.trace);
  assert_true(text_equal(got.content_type, header->content_type));
  assert_int_equal(got.credit, header->credit);
  assert_int_equal(got.number, header->number);
  assert_int_equal(got.window_bytes, header->window_bytes);
  assert_int_equal(got.status, header->status);
  assert_int_equal(got.session.value, header->session.value);
  assert_int_equal(got.age_us, header->age_us);
  assert_int_equal(got.annotations.size, header->annotations.size);
  if (got.annotations.size)
    assert_memory_equal(got.annotations.data, header->annotations.data, got.annotations.size);
  return 0;
}

static void test_every_kind(void **state _unused_) {
  for (Kind kind = KIND_HELLO; kind < KIND_END; kind++) {
    Header header = least(kind);

    assert_int_equal(there_and_back(&header), 0);
  }
}

/* Around every power of two, where the encoding changes its width. */
static void test_number_widths(void **state _unused_) {
  for (unsigned bit = 0; bit < 64; bit++) {
    for (int d = -1; d <= 1; d++) {
      Header header = least(KIND_REQUEST);
      uint64_t value = (UINT64_C(1) << bit) + (uint64_t)(int64_t)d;

      header.number = value;
      header.window_bytes = ~value;
      header.session.value = value ? value : 1;
      header.flags = (uint32_t)value;
      header.deadline_us = value <= LIMIT_DEADLINE_US ? value : 0;
      header.credit = value <= LIMIT_CREDIT ? (uint32_t)value : 0;
      assert_int_equal(there_and_back(&header), 0);
    }
  }
  for (unsigned value = 0; value < 128; value++) {
    Header header = least(KIND_REQUEST);

    header.hop = (uint8_t)value;
    header.status = value;
    header.priority = (uint8_t)(value % PRIORITY_END);
    assert_int_equal(there_and_back(&header), 0);
  }
}

/* Each field at its limit is taken, one more is refused, and the id is known. */
static void test_limits(void **state _unused_) {
  Header header = least(KIND_REQUEST);
#define TYPE_U8(member, largest) (header.member = (uint8_t)(largest), 1)
#define TYPE_U32(member, largest) (header.member = (uint32_t)(largest), (largest) < UINT32_MAX)
#define TYPE_U64(member, largest) (header.member = (largest), (largest) > 0)
#define TYPE_SESSION(member, largest) (header.member.value = (largest), 0)
#define TYPE_TEXT(member, largest) (header.member = (Text){long_text, (largest)}, 1)
#define TYPE_REQUEST_ID(member, largest) (memset(&header.member, 0xff, sizeof header.member), 0)
#define TYPE_TRACE(member, largest) (memset(&header.member, 0xff, sizeof header.member), 0)
#define TYPE_MAP(member, largest) (header.member = map_of(largest), 1)
#define FIELD(at, NAME, member, type, largest)                                                                         \
  if (HEADER_##NAME != HEADER_KIND) {                                                                                  \
    header = least(KIND_REQUEST);                                                                                      \
    (void)TYPE_##type(member, largest);                                                                                \
    assert_int_equal(there_and_back(&header), 0);                                                                      \
    if (TYPE_##type(member, (largest) + UINT64_C(1)))                                                                  \
      assert_int_equal(there_and_back(&header), HEADER_E_TOO_LARGE);                                                   \
  }
#include "bus/wire/header.def"
#undef FIELD
}

static void test_text_lengths(void **state _unused_) {
  for (size_t size = 1; size < 2000; size++) {
    Header header = least(KIND_REQUEST);

    header.service = (Text){long_text, size};
    assert_int_equal(there_and_back(&header), size <= LIMIT_TARGET_BYTES ? 0 : HEADER_E_TOO_LARGE);
  }
}

/* An over-limit field does not hide the id, wherever it stands. */
static void test_too_large_keeps_id(void **state _unused_) {
  Header header = least(KIND_REQUEST);
  _cleanup_(buffer_done) Buffer buffer = {0};
  Header got;

  header.method = (Text){long_text, LIMIT_METHOD_BYTES + 1};
  header.session.value = 5;
  header_encode(&header, &buffer);
  assert_int_equal(decode_exact(buffer_bytes(&buffer), &got), HEADER_E_TOO_LARGE);
  assert_true(request_id_equal(got.id, some_id));
  assert_int_equal(got.kind, KIND_REQUEST);
  assert_int_equal(got.session.value, 5);
}

static void test_missing_keeps_id(void **state _unused_) {
  Header header = {.kind = KIND_REQUEST, .id = some_id, .service = TEXT("s")};
  _cleanup_(buffer_done) Buffer buffer = {0};
  Header got;

  header_encode(&header, &buffer);
  assert_int_equal(decode_exact(buffer_bytes(&buffer), &got), HEADER_E_MALFORMED);
  assert_true(request_id_equal(got.id, some_id));
}

/* Each field that msgs.def asks for, left out of a header that has the others. */
static void test_needs(void **state _unused_) {
  static const struct {
    Kind kind;
    uint32_t needs;
  } rows[] = {
#define MSG(number, name, from, fields) {KIND_##name, (fields)},
#include "bus/wire/msgs.def"
#undef MSG
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++) {
#define WITHOUT(NAME, member, none)                                                                                    \
  do {                                                                                                                 \
    Header header = least(rows[i].kind);                                                                               \
    header.member = none;                                                                                              \
    assert_int_equal(there_and_back(&header), rows[i].needs &HAS(NAME) ? HEADER_E_MALFORMED : 0);                      \
  } while (0)
    WITHOUT(ID, id, ((RequestId){{0}, 0}));
    WITHOUT(SERVICE, service, TEXT_NONE);
    WITHOUT(METHOD, method, TEXT_NONE);
    WITHOUT(STATUS, status, STATUS_OK);
    WITHOUT(SESSION, session, ((SessionId){0}));
#undef WITHOUT
  }
}

static void test_kinds_unknown(void **state _unused_) {
  for (unsigned kind = KIND_END; kind < 128; kind++) {
    Header header = least(kind);

    assert_int_equal(there_and_back(&header), HEADER_E_KIND);
  }
  assert_int_equal(there_and_back(&(Header){.kind = 0, .id = some_id}), HEADER_E_MALFORMED);
  assert_int_equal(there_and_back(&(Header){.kind = 128}), HEADER_E_TOO_LARGE);
}

/* A header that ends too early is MALFORMED at every length, and never read past its end. */
static void test_every_cut(void **state _unused_) {
  Header header = least(KIND_REQUEST);
  _cleanup_(buffer_done) Buffer buffer = {0};
  Header got;

  memset(&header.trace, 7, sizeof header.trace);
  header.content_type = (Text){long_text, 40};
  header.window_bytes = UINT64_MAX;
  header.annotations = map_of(300);
  header_encode(&header, &buffer);
  for (size_t size = 0; size < buffer.size; size++)
    assert_int_equal(decode_exact((Bytes){buffer.data, size}, &got), HEADER_E_MALFORMED);
  assert_int_equal(decode_exact(buffer_bytes(&buffer), &got), 0);
}

/* Flipping any one bit never does worse than an error or another header. */
static void test_every_flip(void **state _unused_) {
  Header header = least(KIND_REQUEST);
  _cleanup_(buffer_done) Buffer buffer = {0};
  Header got;

  header.annotations = map_of(20);
  header.deadline_us = 30000000;
  header_encode(&header, &buffer);
  for (size_t bit = 0; bit < buffer.size * 8; bit++) {
    int r;

    buffer.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    r = decode_exact(buffer_bytes(&buffer), &got);
    assert_true(r >= 0 && r <= HEADER_E_TOO_LARGE);
    buffer.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
  }
}

/* Deep nesting and counts that nothing follows cost neither stack nor time. */
static void test_annotations_bombs(void **state _unused_) {
  uint8_t bytes[LIMIT_HEADER_BYTES];
  Header got;

  memset(bytes, 0x81, sizeof bytes); /* maps in maps */
  bytes[0] = 0xdc;
  bytes[1] = 0;
  bytes[2] = 17;
  bytes[3] = KIND_PING;
  memset(bytes + 4, 0xc0, 15);
  assert_int_equal(decode_exact((Bytes){bytes, sizeof bytes}, &got), HEADER_E_MALFORMED);
  memset(bytes + 19, 0xdf, sizeof bytes - 19); /* map 32 of 0xdfdfdfdf pairs */
  assert_int_equal(decode_exact((Bytes){bytes, sizeof bytes}, &got), HEADER_E_MALFORMED);
  memset(bytes + 19, 0xff, sizeof bytes - 19); /* array 32 of 2^32 - 1 elements behind the last position */
  bytes[19] = 0xc0;
  bytes[0] = 0xdd;
  assert_int_equal(decode_exact((Bytes){bytes, sizeof bytes}, &got), HEADER_E_MALFORMED);
}

static void test_header_too_large(void **state _unused_) {
  uint8_t bytes[LIMIT_HEADER_BYTES + 1] = {0x91, KIND_PING};
  Header got;

  assert_int_equal(decode_exact((Bytes){bytes, sizeof bytes}, &got), HEADER_E_TOO_LARGE);
  assert_int_equal(got.kind, 0);
  assert_int_equal(decode_exact((Bytes){bytes, sizeof bytes - 1}, &got), HEADER_E_MALFORMED);
}

/* Only a REQUEST has a priority; absent means normal, and interactive, which is 0, is written. */
static void test_priority(void **state _unused_) {
  static const uint8_t absent[] = {0x95, KIND_CANCEL, 0xc0, 0xc0, 0xc0, 0xc0};
  Header header = least(KIND_REQUEST);
  _cleanup_(buffer_done) Buffer buffer = {0};
  Header got;

  for (uint8_t priority = 0; priority < PRIORITY_END; priority++) {
    header.priority = priority;
    assert_int_equal(there_and_back(&header), 0);
  }
  assert_int_equal(decode_exact((Bytes){absent, sizeof absent}, &got), HEADER_E_MALFORMED);
  header_encode(&(Header){.kind = KIND_PING, .priority = PRIORITY_BATCH}, &buffer);
  assert_int_equal(buffer.size, 2);
  assert_int_equal(decode_exact(buffer_bytes(&buffer), &got), 0);
  assert_int_equal(got.priority, PRIORITY_NORMAL);
}

/* The encoder appends, and what was in the buffer stays. */
static void test_encode_appends(void **state _unused_) {
  _cleanup_(buffer_done) Buffer buffer = {0};

  buffer_append(&buffer, "before", 6);
  header_encode(&(Header){.kind = KIND_DRAIN}, &buffer);
  assert_int_equal(buffer.size, 8);
  assert_memory_equal(buffer.data, "before\x91\x19", 8);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_every_kind),
      cmocka_unit_test(test_number_widths),
      cmocka_unit_test(test_limits),
      cmocka_unit_test(test_text_lengths),
      cmocka_unit_test(test_too_large_keeps_id),
      cmocka_unit_test(test_missing_keeps_id),
      cmocka_unit_test(test_needs),
      cmocka_unit_test(test_kinds_unknown),
      cmocka_unit_test(test_every_cut),
      cmocka_unit_test(test_every_flip),
      cmocka_unit_test(test_annotations_bombs),
      cmocka_unit_test(test_header_too_large),
      cmocka_unit_test(test_priority),
      cmocka_unit_test(test_encode_appends),
  };

  return cmocka_run_group_tests(tests, set_up, NULL);
}
