/* Messages good and damaged, however their bytes are cut. Those that others have made: tests/peers/bedrock. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>

#include "adapters/bedrock/crc32.h"
#include "adapters/bedrock/event_stream.h"

/* The first three are of AWS's own suite (awslabs/aws-c-event-stream); the last has a header of each type. */
static const char empty_message[] = "000000100000000005c248eb7d98c8ff";
static const char payload_alone[] = "0000001d00000000fd528c5a7b27666f6f273a27626172277dc3653936";
static const char int_header[] = "0000002d0000001041c424b80a6576656e742d747970650400"
                                 "00a00c7b27666f6f273a27626172277d36f480a0";
static const char all_headers[] =
    "000000cc000000af0fae64ca0a6576656e742d74797065040000a00c0c636f6e74656e742d747970650700106170706c69636174696f6e2f6a"
    "736f6e0a626f6f6c2066616c73650109626f6f6c207472756500046279746502cf08627974652062756606001449276d2061206c6974746c65"
    "2074656170"
    "6f74210974696d657374616d70080000000000845fed05696e74313603002a05696e743634050000000002"
    "87571f047575696409010203040506070809"
    "0a0b0c0d0e0f107b27666f6f273a27626172277d0819053d";

static Buffer bytes_of(const char *hex) {
  Buffer ret = {0};
  unsigned value;

  for (; *hex; hex += 2) {
    assert_int_equal(sscanf(hex, "%2x", &value), 1);
    buffer_append(&ret, &(uint8_t){(uint8_t)value}, 1);
  }
  return ret;
}

/* The whole of a message as text, into userdata. */
static void on_message(void *userdata, const EventMessage *message) {
  Bytes rest = message->headers;
  EventHeader header;

  while (event_header_next(&rest, &header)) {
    buffer_printf(userdata, "%.*s/%d=", TEXT_ARG(header.name), header.type);
    if (header.type == EVENT_HEADER_STRING)
      buffer_printf(userdata, "%.*s;", (int)header.value.size, (const char *)header.value.data);
    else
      buffer_printf(userdata, "%lld,%zu;", (long long)header.number, header.value.size);
  }
  assert_int_equal(rest.size, 0);
  buffer_printf(userdata, "|%.*s\n", (int)message->payload.size, (const char *)message->payload.data);
}

static const char all_as_text[] = "|\n|{'foo':'bar'}\nevent-type/4=40972,4;|{'foo':'bar'}\n"
                                  "event-type/4=40972,4;content-type/7=application/json;bool false/1=0,0;bool "
                                  "true/0=0,0;byte/2=-49,1;byte buf/6=0,20;"
                                  "timestamp/8=8675309,8;int16/3=42,2;int64/5=42424095,8;uuid/9=0,16;|{'foo':'bar'}\n";

static Buffer all_messages(void) {
  _cleanup_(buffer_done) Buffer hex = {0};

  buffer_printf(&hex, "%s%s%s%s%c", empty_message, payload_alone, int_header, all_headers, 0);
  return bytes_of((const char *)hex.data);
}

static void each_cut_gives_the_same(void **state) {
  _cleanup_(buffer_done) Buffer bytes = all_messages();

  (void)state;
  for (size_t first = 0; first <= bytes.size; first++)
    for (size_t second = first; second <= bytes.size; second += 13) {
      _cleanup_(buffer_done) Buffer seen = {0};
      _cleanup_(event_stream_done) EventStream stream = {{0}};

      assert_int_equal(event_stream_feed(&stream, (Bytes){bytes.data, first}, on_message, &seen), 0);
      assert_int_equal(event_stream_feed(&stream, (Bytes){bytes.data + first, second - first}, on_message, &seen), 0);
      assert_int_equal(event_stream_feed(&stream, (Bytes){bytes.data + second, bytes.size - second}, on_message, &seen),
                       0);
      assert_true(event_stream_is_between(&stream));
      if (!text_is((Text){(const char *)seen.data, seen.size}, all_as_text))
        fail_msg("cut at %zu and %zu: %.*s", first, second, (int)seen.size, (const char *)seen.data);
    }
}

static void a_string_is_found_by_its_name(void **state) {
  _cleanup_(buffer_done) Buffer bytes = bytes_of(all_headers);
  Bytes headers = {bytes.data + 12, 0xaf};

  (void)state;
  assert_true(text_is(event_header_string(headers, "content-type"), "application/json"));
  assert_int_equal(event_header_string(headers, "event-type").size, 0); /* a number */
  assert_int_equal(event_header_string(headers, "content").size, 0);
}

static int feed(Bytes bytes, Buffer *seen) {
  _cleanup_(event_stream_done) EventStream stream = {{0}};

  return event_stream_feed(&stream, bytes, on_message, seen);
}

/* Every byte of a message is under a checksum: none can change unseen. */
static void each_damaged_byte_is_seen(void **state) {
  _cleanup_(buffer_done) Buffer bytes = bytes_of(all_headers);

  (void)state;
  for (size_t i = 0; i < bytes.size; i++) {
    _cleanup_(buffer_done) Buffer seen = {0};

    bytes.data[i] ^= 0x10;
    assert_int_equal(feed(buffer_bytes(&bytes), &seen), EVENT_STREAM_E_CHECKSUM);
    assert_int_equal(seen.size, 0);
    bytes.data[i] ^= 0x10;
  }
}

static void put_u32(uint8_t *at, uint32_t number) {
  for (unsigned i = 0; i < 4; i++)
    at[i] = (uint8_t)(number >> (24 - 8 * i));
}

/* A message of the lengths that are said, with checksums that are right; at least as long as its headers are. */
static Buffer message_of(uint32_t size, uint32_t headers_size, Bytes headers) {
  Buffer ret = {0};
  size_t real = max_u64(min_u64(size, 4096), 16 + headers.size);
  uint8_t *at = buffer_reserve(&ret, real);

  memset(at, 0, real);
  ret.size = real;
  put_u32(at, size);
  put_u32(at + 4, headers_size);
  put_u32(at + 8, crc32_of((Bytes){at, 8}));
  if (headers.size > 0)
    memcpy(at + 12, headers.data, headers.size);
  put_u32(at + real - 4, crc32_of((Bytes){at, real - 4}));
  return ret;
}

static void lengths_that_cannot_be(void **state) {
  static const uint32_t lengths[][2] = {
      {0, 0},
      {15, 0},
      {16, 1},
      {20, 5},
      {UINT32_MAX, 0},
      {32, UINT32_MAX},
      {EVENT_STREAM_MESSAGE_MAX_BYTES + 1, 0},
      {EVENT_STREAM_MESSAGE_MAX_BYTES, EVENT_STREAM_HEADERS_MAX_BYTES + 1},
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(lengths); i++) {
    _cleanup_(buffer_done) Buffer seen = {0};
    _cleanup_(buffer_done) Buffer bytes = message_of(lengths[i][0], lengths[i][1], BYTES_NONE);

    assert_int_equal(feed((Bytes){bytes.data, 12}, &seen), EVENT_STREAM_E_SIZE);
    assert_int_equal(seen.size, 0);
  }
}

static void headers_that_are_none(void **state) {
  static const Bytes headers[] = {
      {(const uint8_t *)"\0\0", 2},              /* no name */
      {(const uint8_t *)"\5abc", 4},             /* a name that is cut */
      {(const uint8_t *)"\1a", 2},               /* no type */
      {(const uint8_t *)"\1a\12", 3},            /* a type that is none */
      {(const uint8_t *)"\1a\7\0", 4},           /* half a length */
      {(const uint8_t *)"\1a\7\0\2b", 6},        /* a string that is cut */
      {(const uint8_t *)"\1a\5\0\0\0\0\0\0", 9}, /* a number that is cut */
      {(const uint8_t *)"\1a\0\1b", 5},          /* a good one before it */
  };

  (void)state;
  for (size_t i = 0; i < ELEMENTS(headers); i++) {
    uint32_t size = (uint32_t)headers[i].size;
    _cleanup_(buffer_done) Buffer seen = {0};
    _cleanup_(buffer_done) Buffer bytes = message_of(16 + size, size, headers[i]);

    assert_int_equal(feed(buffer_bytes(&bytes), &seen), EVENT_STREAM_E_HEADERS);
    assert_int_equal(seen.size, 0);
  }
}

static void what_is_not_whole_is_kept_and_bounded(void **state) {
  _cleanup_(event_stream_done) EventStream stream = {{0}};
  _cleanup_(buffer_done) Buffer seen = {0};
  _cleanup_(buffer_done) Buffer bytes = message_of(EVENT_STREAM_MESSAGE_MAX_BYTES, 0, BYTES_NONE);

  (void)state;
  for (size_t fed = 0; fed + bytes.size < EVENT_STREAM_MESSAGE_MAX_BYTES; fed += bytes.size)
    assert_int_equal(event_stream_feed(&stream, buffer_bytes(&bytes), on_message, &seen), 0);
  assert_false(event_stream_is_between(&stream));
  assert_int_equal(event_stream_feed(&stream, buffer_bytes(&bytes), on_message, &seen), EVENT_STREAM_E_CHECKSUM);
  assert_true(stream.message.room <= 2 * EVENT_STREAM_MESSAGE_MAX_BYTES);
  assert_int_equal(seen.size, 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_cut_gives_the_same),   cmocka_unit_test(a_string_is_found_by_its_name),
      cmocka_unit_test(each_damaged_byte_is_seen), cmocka_unit_test(lengths_that_cannot_be),
      cmocka_unit_test(headers_that_are_none),     cmocka_unit_test(what_is_not_whole_is_kept_and_bounded),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
