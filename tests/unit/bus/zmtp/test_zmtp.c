/* ZMTP's bytes: what a ZeroMQ peer sends is read, what is none of it is refused by its name, whatever is cut off is waited for. */
#include "bus/zmtp/zmtp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define BYTES(literal) ((Bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

static void a_greeting_is_what_the_rfc_says(void **state _unused_) {
  static const uint8_t expected[ZMTP_GREETING_BYTES] = {0xff, [9] = 0x7f, 3, 0, 'N', 'U', 'L', 'L'};
  uint8_t greeting[ZMTP_GREETING_BYTES];

  zmtp_greeting("NULL", false, greeting);
  assert_memory_equal(greeting, expected, sizeof expected);
  zmtp_greeting("CURVE", true, greeting);
  assert_int_equal(greeting[32], 1);
}

static int check(const uint8_t *greeting, size_t size) {
  return zmtp_greeting_check((Bytes){greeting, size}, "NULL");
}

static void a_greeting_is_judged_as_soon_as_it_can_be(void **state _unused_) {
  uint8_t greeting[ZMTP_GREETING_BYTES];

  zmtp_greeting("NULL", false, greeting);
  for (size_t size = 0; size < sizeof greeting; size++)
    assert_int_equal(check(greeting, size), ZMTP_E_SHORT);
  assert_int_equal(check(greeting, sizeof greeting), 0);
  greeting[10] = 2;
  assert_int_equal(check(greeting, 10), ZMTP_E_SHORT);
  assert_int_equal(check(greeting, 11), ZMTP_E_VERSION);
  greeting[9] = 0;
  assert_int_equal(check(greeting, 10), ZMTP_E_MALFORMED);
  greeting[0] = 'G';
  assert_int_equal(check(greeting, 1), ZMTP_E_MALFORMED);
  zmtp_greeting("CURVE", false, greeting);
  assert_int_equal(check(greeting, sizeof greeting), ZMTP_E_MECHANISM);
  zmtp_greeting("NULLS", false, greeting);
  assert_int_equal(check(greeting, sizeof greeting), ZMTP_E_MECHANISM);
}

static void heads_of_frames_come_back(void **state _unused_) {
  static const size_t sizes[] = {0, 1, 255, 256, 65536, ZMTP_FRAME_BYTES};
  uint8_t bytes[ZMTP_HEAD_BYTES];
  ZmtpHead head;

  for (size_t i = 0; i < ELEMENTS(sizes); i++)
    for (int kind = 0; kind < 3; kind++) {
      size_t size = zmtp_head_encode(kind == 1, kind == 2, sizes[i], bytes);

      assert_int_equal(size, sizes[i] > 255 ? 9 : 2);
      for (size_t part = 0; part < size; part++)
        assert_int_equal(zmtp_head_decode((Bytes){bytes, part}, ZMTP_FRAME_BYTES, &head), ZMTP_E_SHORT);
      assert_int_equal(zmtp_head_decode((Bytes){bytes, size}, ZMTP_FRAME_BYTES, &head), 0);
      assert_int_equal(head.more, kind == 1);
      assert_int_equal(head.command, kind == 2);
      assert_int_equal(head.head_bytes, size);
      assert_int_equal(head.body_bytes, sizes[i]);
    }
}

static void bad_heads_are_refused(void **state _unused_) {
  ZmtpHead head;

  assert_int_equal(zmtp_head_decode(BYTES("\x08\0"), ZMTP_FRAME_BYTES, &head), ZMTP_E_MALFORMED);
  assert_int_equal(zmtp_head_decode(BYTES("\x05\0"), ZMTP_FRAME_BYTES, &head),
                   ZMTP_E_MALFORMED); /* a command has no MORE */
  assert_int_equal(zmtp_head_decode(BYTES("\2\0\0\0\0\0\4\0\1"), ZMTP_FRAME_BYTES, &head), ZMTP_E_TOO_LARGE);
  assert_int_equal(zmtp_head_decode(BYTES("\2\xff\xff\xff\xff\xff\xff\xff\xff"), ZMTP_FRAME_BYTES, &head),
                   ZMTP_E_TOO_LARGE);
}

static void messages_are_read_one_by_one(void **state _unused_) {
  Bytes in = BYTES("\0\1a"
                   "\1\2bc\0\3def"
                   "\4\1c"
                   "\1\0\0\0");
  ZmtpReader reader = {.skipping = false};
  ZmtpMessage message;
  size_t want;

  assert_int_equal(zmtp_read(&reader, &in, &message, &want), 0);
  assert_int_equal(message.frames, 1);
  assert_memory_equal(message.header.data, "a", 1);
  assert_int_equal(message.body.size, 0);
  assert_int_equal(zmtp_read(&reader, &in, &message, &want), 0);
  assert_int_equal(message.frames, 2);
  assert_memory_equal(message.header.data, "bc", 2);
  assert_memory_equal(message.body.data, "def", 3);
  assert_int_equal(zmtp_read(&reader, &in, &message, &want), ZMTP_E_COMMAND);
  assert_memory_equal(message.header.data, "c", 1);
  assert_int_equal(zmtp_read(&reader, &in, &message, &want), 0);
  assert_int_equal(message.frames, 2);
  assert_int_equal(in.size, 0);
  assert_int_equal(zmtp_read(&reader, &in, &message, &want), ZMTP_E_SHORT);
  assert_int_equal(want, 0);
}

/* From the moment in which it can be known the size of the whole is told. */
static void what_is_missing_is_told(void **state _unused_) {
  static const Bytes whole = BYTES("\1\2bc\0\3def");
  static const size_t wants[] = {0, 0, 4, 4, 0, 0, 9, 9, 9};

  for (size_t size = 0; size < whole.size; size++) {
    Bytes in = {whole.data, size};
    ZmtpReader reader = {.skipping = false};
    ZmtpMessage message;
    size_t want;

    assert_int_equal(zmtp_read(&reader, &in, &message, &want), ZMTP_E_SHORT);
    assert_int_equal(want, wants[size]);
    assert_int_equal(in.size, size);
  }
}

static void frames_behind_the_second_are_thrown_away(void **state _unused_) {
  static const Bytes whole = BYTES("\1\1a\1\1b\1\3ccc\0\1d"
                                   "\0\1e");
  ZmtpReader reader = {.skipping = false};
  ZmtpMessage message;
  size_t want;
  size_t end = 9;
  Bytes in = {whole.data, 6};

  assert_int_equal(zmtp_read(&reader, &in, &message, &want), 0);
  assert_int_equal(message.frames, 3);
  assert_int_equal(in.size, 0);
  for (; end < whole.size; end++) { /* it comes byte by byte, and nothing of it is kept but a head that is not whole */
    in.size += (size_t)(whole.data + end - (in.data + in.size));
    assert_int_equal(zmtp_read(&reader, &in, &message, &want), ZMTP_E_SHORT);
    assert_true(in.size <= 2);
  }
  in.size++;
  assert_int_equal(zmtp_read(&reader, &in, &message, &want), 0);
  assert_memory_equal(message.header.data, "e", 1);
}

static void a_command_inside_a_message_is_malformed(void **state _unused_) {
  Bytes in = BYTES("\1\1a\4\1b");
  Bytes later = BYTES("\1\1a\1\1b\4\1c");
  ZmtpReader reader = {.skipping = false};
  ZmtpMessage message;
  size_t want;

  assert_int_equal(zmtp_read(&reader, &in, &message, &want), ZMTP_E_MALFORMED);
  assert_int_equal(zmtp_read(&reader, &later, &message, &want), 0);
  assert_int_equal(zmtp_read(&reader, &later, &message, &want), ZMTP_E_MALFORMED);
}

/* It would be held whole before it is known what follows. */
static void a_first_frame_that_is_no_header_is_too_large(void **state _unused_) {
  Bytes in = BYTES("\3\0\0\0\0\0\0\x40\1");
  ZmtpReader reader = {.skipping = false};
  ZmtpMessage message;
  size_t want;

  assert_int_equal(zmtp_read(&reader, &in, &message, &want), ZMTP_E_TOO_LARGE);
}

static int check_ready(Bytes frame, ZmtpType ours) {
  ZmtpReader reader = {.skipping = false};
  ZmtpMessage message;
  Bytes metadata;
  size_t want;

  assert_int_equal(zmtp_read(&reader, &frame, &message, &want), ZMTP_E_COMMAND);
  assert_int_equal(zmtp_command_read(message.header, &metadata), ZMTP_READY);
  return zmtp_ready_check(metadata, ours);
}

static void ready_says_what_we_are(void **state _unused_) {
  _cleanup_(buffer_done) Buffer router = {0};
  _cleanup_(buffer_done) Buffer dealer = {0};

  zmtp_ready(ZMTP_ROUTER, &router);
  zmtp_ready(ZMTP_DEALER, &dealer);
  assert_int_equal(check_ready(buffer_bytes(&dealer), ZMTP_ROUTER), 0);
  assert_int_equal(check_ready(buffer_bytes(&router), ZMTP_DEALER), 0);
}

static void metadata_is_checked(void **state _unused_) {
  static const struct {
    Bytes metadata;
    int expected;
  } rows[] = {
      {BYTES("\x0bsocket-TYPE\0\0\0\3REQ"), 0},
      {BYTES("\x08Identity\0\0\0\5alice\x0bSocket-Type\0\0\0\6DEALER\1x\0\0\0\0"), 0},
      {BYTES("\x0bSocket-Type\0\0\0\3SUB"), ZMTP_E_TYPE},
      {BYTES(""), ZMTP_E_TYPE},
      {BYTES("\x0bSocket-Type\0\0\0\7DEALER"), ZMTP_E_MALFORMED},
      {BYTES("\x0bSocket-Type\0\0"), ZMTP_E_MALFORMED},
      {BYTES("\0\0\0\0\0"), ZMTP_E_MALFORMED},
      {BYTES("\xff"), ZMTP_E_MALFORMED},
  };

  for (size_t i = 0; i < ELEMENTS(rows); i++)
    assert_int_equal(zmtp_ready_check(rows[i].metadata, ZMTP_ROUTER), rows[i].expected);
  assert_int_equal(zmtp_ready_check(BYTES("\x0bSocket-Type\0\0\0\3PUB"), ZMTP_DEALER), ZMTP_E_TYPE);
}

static void commands_are_told_apart(void **state _unused_) {
  Bytes rest;

  assert_int_equal(zmtp_command_read(BYTES("\5ERROR\2no"), &rest), ZMTP_ERROR);
  assert_int_equal(rest.size, 3);
  assert_int_equal(zmtp_command_read(BYTES("\4PING\0\1"), &rest), ZMTP_PING);
  assert_int_equal(zmtp_command_read(BYTES("\6CANCEL"), &rest), ZMTP_OTHER);
  assert_int_equal(zmtp_command_read(BYTES(""), &rest), ZMTP_OTHER);
}

static void a_pong_has_the_context_of_its_ping(void **state _unused_) {
  _cleanup_(buffer_done) Buffer pong = {0};

  assert_int_equal(zmtp_pong(BYTES("\0\1ctx"), &pong), 0);
  assert_int_equal(pong.size, 10);
  assert_memory_equal(pong.data, "\4\x08\4PONGctx", 10);
  assert_int_equal(zmtp_pong(BYTES("\0"), &pong), ZMTP_E_MALFORMED);
  assert_int_equal(zmtp_pong(BYTES("\0\1a context of 17 b"), &pong), ZMTP_E_MALFORMED);
  assert_int_equal(pong.size, 10);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_greeting_is_what_the_rfc_says),
      cmocka_unit_test(a_greeting_is_judged_as_soon_as_it_can_be),
      cmocka_unit_test(heads_of_frames_come_back),
      cmocka_unit_test(bad_heads_are_refused),
      cmocka_unit_test(messages_are_read_one_by_one),
      cmocka_unit_test(what_is_missing_is_told),
      cmocka_unit_test(frames_behind_the_second_are_thrown_away),
      cmocka_unit_test(a_command_inside_a_message_is_malformed),
      cmocka_unit_test(a_first_frame_that_is_no_header_is_too_large),
      cmocka_unit_test(ready_says_what_we_are),
      cmocka_unit_test(metadata_is_checked),
      cmocka_unit_test(commands_are_told_apart),
      cmocka_unit_test(a_pong_has_the_context_of_its_ping),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
