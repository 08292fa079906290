/* Packing: what goes in comes out in order, a lone message goes as itself, a full pack says so in time, and bytes that
   are no pack are refused without moving on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/wire/pack.h"

static uint8_t body_bytes[LIMIT_PACK_BYTES];

static Header ping(uint64_t number) {
  return (Header){.kind = KIND_PING, .number = number};
}

static void test_many(void **state _unused_) {
  _cleanup_(pack_done) Pack pack = {0};
  Bytes frame;
  Bytes rest;
  Bytes header;
  Bytes body;

  for (uint64_t i = 0; i < 100; i++) {
    Header message = ping(i);

    pack_add(&pack, &message, (Bytes){body_bytes, (size_t)(i * 7)});
  }
  pack_frames(&pack, &frame, &rest);
  assert_int_equal(frame.size, 2);
  assert_memory_equal(frame.data, "\x91\x12", 2);
  for (uint64_t i = 0; i < 100; i++) {
    Header got;

    assert_int_equal(pack_next(&rest, &header, &body), 0);
    assert_int_equal(header_decode(header, &got), 0);
    assert_int_equal(got.number, i);
    assert_int_equal(body.size, i * 7);
  }
  assert_int_equal(pack_next(&rest, &header, &body), PACK_E_END);
}

static void test_lone_message_is_itself(void **state _unused_) {
  _cleanup_(pack_done) Pack pack = {0};
  Header message = ping(77);
  Header got;
  Bytes header;
  Bytes body;

  pack_add(&pack, &message, (Bytes){(const uint8_t *)"body", 4});
  pack_frames(&pack, &header, &body);
  assert_int_equal(header_decode(header, &got), 0);
  assert_int_equal(got.kind, KIND_PING);
  assert_int_equal(body.size, 4);
  assert_memory_equal(body.data, "body", 4);
  pack_clear(&pack);
  assert_int_equal(pack.count, 0);
  message.number = UINT64_MAX; /* a longer header than before */
  pack_add(&pack, &message, BYTES_NONE);
  pack_frames(&pack, &header, &body);
  assert_int_equal(header_decode(header, &got), 0);
  assert_int_equal(got.number, UINT64_MAX);
  assert_int_equal(body.size, 0);
}

/* As long as pack_has_room says yes, the limits hold, with the largest header that there can be. */
static void test_room(void **state _unused_) {
  static char text[LIMIT_TARGET_BYTES];
  static uint8_t map[LIMIT_ANNOTATIONS_BYTES] = {
      0x81, 0xa1, 'k', 0xc5, (LIMIT_ANNOTATIONS_BYTES - 6) >> 8, (LIMIT_ANNOTATIONS_BYTES - 6) & 0xff};
  Header message = {.kind = KIND_REQUEST, .id = {{UINT64_MAX}, UINT64_MAX}, .attempt = 1000000, .hop = 127};

  memset(text, 's', sizeof text);
  memset(&message.trace, 1, sizeof message.trace);
  message.service = (Text){text, LIMIT_TARGET_BYTES};
  message.method = message.content_type = (Text){text, LIMIT_METHOD_BYTES};
  message.annotations = (Bytes){map, sizeof map};
  message.deadline_us = LIMIT_DEADLINE_US;
  message.flags = UINT32_MAX;
  message.credit = LIMIT_CREDIT;
  message.number = message.window_bytes = message.session.value = UINT64_MAX;
  message.status = 127;
  for (size_t size = 0; size <= 8192; size += 1024) {
    _cleanup_(pack_done) Pack pack = {0};

    assert_true(pack_takes(size));
    while (pack_has_room(&pack, size))
      pack_add(&pack, &message, (Bytes){body_bytes, size});
    assert_true(pack.count > 1);
    assert_true(pack.buffer.size <= LIMIT_PACK_BYTES);
  }
}

static void test_at_most_256(void **state _unused_) {
  _cleanup_(pack_done) Pack pack = {0};
  Header message = ping(1);

  while (pack_has_room(&pack, 0))
    pack_add(&pack, &message, BYTES_NONE);
  assert_int_equal(pack.count, LIMIT_PACK_MESSAGES);
  assert_false(pack_takes(LIMIT_PACK_BYTES));
}

/* Adds messages until the pack is due or full, and clears it as its owner does. Returns how many they were. */
static uint32_t fill(Pack *pack) {
  Header message = ping(1);
  uint32_t count;

  while (!pack_is_due(pack) && pack_has_room(pack, 0))
    pack_add(pack, &message, BYTES_NONE);
  count = pack->count;
  pack_clear(pack);
  return count;
}

static void test_due_before_the_turn_ends(void **state _unused_) {
  static const uint32_t wanted[] = {24, 48, 96, 192, 192};
  _cleanup_(pack_done) Pack pack = {0};

  for (int turn = 0; turn < 2; turn++) {
    for (size_t i = 0; i < ELEMENTS(wanted); i++)
      assert_int_equal(fill(&pack), wanted[i]);
    pack_end_turn(&pack);
  }
}

/* Refused, and neither the rest nor the outputs are touched. */
static void refuse(const char *bytes, size_t size) {
  static const Bytes before = {(const uint8_t *)"", 99};
  uint8_t *exact = malloc(size);
  Bytes rest = {exact, size};
  Bytes header = before;
  Bytes body = before;

  memcpy(exact, bytes, size);
  assert_int_equal(pack_next(&rest, &header, &body), PACK_E_MALFORMED);
  assert_ptr_equal(rest.data, exact);
  assert_int_equal(rest.size, size);
  assert_int_equal(header.size, 99);
  assert_int_equal(body.size, 99);
  free(exact);
}

#define REFUSE(text) refuse(text, sizeof(text) - 1)

static void test_malformed(void **state _unused_) {
  REFUSE("x");
  REFUSE("\xc4");
  REFUSE("\xc5\x00");
  REFUSE("\xc4\x02\x91");         /* cut header */
  REFUSE("\xc4\x02\x91\x04");     /* no body */
  REFUSE("\xc4\x01\x91\xc4\x01"); /* cut body */
  REFUSE("\xc4\x01\x91\xa1x");    /* a body that is str */
  REFUSE("\xa1x\xc4\x00");        /* a header that is str */
  REFUSE("\xc5\xff\xff\x91");
  REFUSE("\xc6\x00\x00\x00\x01\x91\xc4\x00"); /* bin 32 does not fit into a PACK */
}

static void test_malformed_header_size(void **state _unused_) {
  static char bytes[3 + LIMIT_HEADER_BYTES + 1 + 2] = {'\xc5', (LIMIT_HEADER_BYTES + 1) >> 8,
                                                       (LIMIT_HEADER_BYTES + 1) & 0xff};

  bytes[sizeof bytes - 2] = '\xc4';
  refuse(bytes, sizeof bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_many),
      cmocka_unit_test(test_lone_message_is_itself),
      cmocka_unit_test(test_room),
      cmocka_unit_test(test_at_most_256),
      cmocka_unit_test(test_due_before_the_turn_ends),
      cmocka_unit_test(test_malformed),
      cmocka_unit_test(test_malformed_header_size),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
