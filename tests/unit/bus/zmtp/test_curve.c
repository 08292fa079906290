/* CURVE between two sides of ours: the handshake and all that can be wrong with it, sealed frames whole, in pieces, changed, repeated.
   tests/peers/test_curve.py has libzmq on either side. */
#include "bus/zmtp/curve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* cmocka wants the above first */
#include <cmocka.h>

#define BYTES(literal) ((Bytes){(const uint8_t *)(literal), sizeof(literal) - 1})

typedef struct Pair {
  CurveKeys server_keys, client_keys;
  Curve *server, *client;
  Buffer to_server, to_client;
} Pair;

/* Nothing is random: each side's bytes follow from seed. */
static void keys_of(uint8_t seed, CurveKeys *ret) {
  uint8_t secret[CURVE_KEY_BYTES];

  memset(secret, seed, sizeof secret);
  curve_keys_of(secret, ret);
}

static int make_pair(void **state) {
  Pair *pair = calloc(1, sizeof *pair);
  uint8_t fresh[CURVE_FRESH_BYTES];

  keys_of(1, &pair->server_keys);
  keys_of(2, &pair->client_keys);
  memset(fresh, 3, sizeof fresh);
  pair->server = curve_new(&pair->server_keys, NULL, ZMTP_ROUTER, fresh);
  memset(fresh, 4, sizeof fresh);
  pair->client = curve_new(&pair->client_keys, pair->server_keys.public_key, ZMTP_DEALER, fresh);
  *state = pair;
  return 0;
}

static int free_pair(void **state) {
  Pair *pair = *state;

  curve_destroy(&pair->server);
  curve_destroy(&pair->client);
  buffer_done(&pair->to_server);
  buffer_done(&pair->to_client);
  free(pair);
  return 0;
}

/* Gives a side the one command that waits for it. */
static int step(Curve *side, Buffer *in, Buffer *out) {
  ZmtpReader reader = {.skipping = false};
  Bytes bytes = buffer_bytes(in);
  ZmtpMessage message;
  size_t want;
  int r;

  assert_int_equal(zmtp_read(&reader, &bytes, &message, &want), ZMTP_E_COMMAND);
  assert_int_equal(bytes.size, 0);
  r = curve_step(side, message.header, out);
  buffer_clear(in);
  return r;
}

static void shake_until_asking(Pair *pair) {
  curve_hello(pair->client, &pair->to_server);
  assert_int_equal(pair->to_server.size, 202);
  assert_int_equal(step(pair->server, &pair->to_server, &pair->to_client), 0);
  assert_int_equal(pair->to_client.size, 170);
  assert_int_equal(step(pair->client, &pair->to_client, &pair->to_server), 0);
  assert_int_equal(step(pair->server, &pair->to_server, &pair->to_client), 0);
  assert_int_equal(curve_state(pair->server), CURVE_ASKING);
}

static void shake(Pair *pair) {
  shake_until_asking(pair);
  curve_admit(pair->server, &pair->to_client);
  assert_int_equal(step(pair->client, &pair->to_client, &pair->to_server), 0);
  assert_int_equal(pair->to_server.size, 0);
  assert_int_equal(curve_state(pair->server), CURVE_OPEN);
  assert_int_equal(curve_state(pair->client), CURVE_OPEN);
}

static void each_side_knows_the_other(void **state) {
  Pair *pair = *state;

  shake(pair);
  assert_true(curve_key_equal(curve_peer(pair->server), pair->client_keys.public_key));
  assert_true(curve_key_equal(curve_peer(pair->client), pair->server_keys.public_key));
  assert_false(curve_key_equal(curve_peer(pair->client), pair->client_keys.public_key));
}

static void who_is_refused_hears_it(void **state) {
  Pair *pair = *state;

  shake_until_asking(pair);
  curve_refuse(pair->server, &pair->to_client);
  assert_int_equal(step(pair->client, &pair->to_client, &pair->to_server), ZMTP_E_REFUSED);
  assert_int_equal(curve_step(pair->server, BYTES("\x08INITIATE"), &pair->to_client), ZMTP_E_MALFORMED);
}

/* Who does not know the server's key gets no word out of it. */
static void the_wrong_server_is_noticed_at_once(void **state) {
  Pair *pair = *state;
  uint8_t fresh[CURVE_FRESH_BYTES] = {9};

  curve_destroy(&pair->client);
  pair->client = curve_new(&pair->client_keys, pair->client_keys.public_key, ZMTP_DEALER, fresh);
  curve_hello(pair->client, &pair->to_server);
  assert_int_equal(step(pair->server, &pair->to_server, &pair->to_client), ZMTP_E_SEALED);
  assert_int_equal(pair->to_client.size, 0);
}

static void a_client_of_the_wrong_kind_is_refused(void **state) {
  Pair *pair = *state;
  uint8_t fresh[CURVE_FRESH_BYTES] = {9};

  curve_destroy(&pair->server);
  pair->server = curve_new(&pair->server_keys, NULL, ZMTP_DEALER, fresh);
  curve_destroy(&pair->client);
  pair->client = curve_new(&pair->client_keys, pair->server_keys.public_key, ZMTP_ROUTER, fresh);
  shake_until_asking(pair); /* a ROUTER may talk to a DEALER */
  curve_admit(pair->server, &pair->to_client);
  assert_int_equal(step(pair->client, &pair->to_client, &pair->to_server), 0);
}

/* Flips each byte of one command of the handshake in turn. Returns how many of these the other side took. */
static unsigned taken_with_a_flip(unsigned command) {
  unsigned taken = 0;
  size_t size = 1;

  for (size_t at = 0; at < size; at++) {
    void *state;
    Pair *pair;
    Buffer *wire;
    Curve *reader;
    Bytes in;

    make_pair(&state);
    pair = state;
    curve_hello(pair->client, &pair->to_server);
    if (command > 0)
      step(pair->server, &pair->to_server, &pair->to_client);
    if (command > 1)
      step(pair->client, &pair->to_client, &pair->to_server);
    if (command > 2) {
      step(pair->server, &pair->to_server, &pair->to_client);
      curve_admit(pair->server, &pair->to_client);
    }
    wire = command % 2 ? &pair->to_client : &pair->to_server;
    reader = command % 2 ? pair->client : pair->server;
    in = buffer_bytes(wire);
    in = (Bytes){in.data + (in.data[0] & 2 ? 9 : 2), in.size - (in.data[0] & 2 ? 9 : 2)};
    size = in.size;
    wire->data[(size_t)(in.data - wire->data) + at] ^= 0x10;
    if (curve_step(reader, in, command % 2 ? &pair->to_server : &pair->to_client) == 0)
      taken++;
    free_pair(&state);
  }
  return taken;
}

static void a_changed_handshake_is_refused(void **state _unused_) {
  assert_int_equal(taken_with_a_flip(0), 73); /* the minor version and what is reserved; nothing depends on them */
  assert_int_equal(taken_with_a_flip(1), 0);
  assert_int_equal(taken_with_a_flip(2), 0);
  assert_int_equal(taken_with_a_flip(3), 0);
}

static void commands_out_of_order_are_malformed(void **state) {
  Pair *pair = *state;
  Buffer none = {0};

  assert_int_equal(curve_step(pair->server, BYTES("\x08INITIATE"), &none), ZMTP_E_MALFORMED);
  assert_int_equal(curve_step(pair->server, BYTES("\5HELLO"), &none), ZMTP_E_MALFORMED);
  assert_int_equal(curve_step(pair->client, BYTES("\5READY"), &none), ZMTP_E_MALFORMED);
  assert_int_equal(curve_step(pair->client, BYTES("\7WELCOME"), &none), ZMTP_E_MALFORMED);
  assert_int_equal(curve_step(pair->client, BYTES(""), &none), ZMTP_E_MALFORMED);
  shake(pair);
  assert_int_equal(curve_step(pair->client, BYTES("\5READY"), &none), ZMTP_E_MALFORMED);
}

static void check_message(Curve *curve, Bytes *in, int frames, const char *header, size_t body_bytes) {
  ZmtpMessage message;
  size_t want;

  assert_int_equal(curve_read(curve, in, &message, &want), 0);
  assert_int_equal(message.frames, frames);
  assert_int_equal(message.header.size, strlen(header));
  assert_memory_equal(message.header.data, header, strlen(header));
  assert_int_equal(message.body.size, body_bytes);
}

static void messages_pass_both_ways(void **state) {
  Pair *pair = *state;
  ZmtpMessage message;
  size_t want;
  Bytes in;

  shake(pair);
  curve_seal(pair->client, false, false, BYTES("alone"), &pair->to_server);
  curve_seal(pair->client, true, false, BYTES("header"), &pair->to_server);
  curve_seal(pair->client, false, false, BYTES("body"), &pair->to_server);
  curve_seal(pair->client, false, true, BYTES("\4PING\0\1"), &pair->to_server);
  in = buffer_bytes(&pair->to_server);
  assert_null(memmem(in.data, in.size, "body", 4));
  check_message(pair->server, &in, 1, "alone", 0);
  check_message(pair->server, &in, 2, "header", 4);
  assert_int_equal(curve_read(pair->server, &in, &message, &want), ZMTP_E_COMMAND);
  assert_memory_equal(message.header.data, "\4PING\0\1", 7);
  assert_int_equal(curve_read(pair->server, &in, &message, &want), ZMTP_E_SHORT);
  curve_seal(pair->server, false, false, BYTES_NONE, &pair->to_client);
  in = buffer_bytes(&pair->to_client);
  assert_int_equal(in.size, 2 + CURVE_EXTRA_BYTES);
  check_message(pair->client, &in, 1, "", 0);
}

/* As the loop does it: what is left of the input goes before what comes next. */
static void messages_in_pieces_are_the_same(void **state) {
  Pair *pair = *state;
  _cleanup_(buffer_done) Buffer large = {0};

  shake(pair);
  memset(buffer_reserve(&large, ZMTP_FRAME_BYTES), 'b', ZMTP_FRAME_BYTES);
  large.size = ZMTP_FRAME_BYTES;
  for (size_t piece = 1; piece < 100000; piece = piece * 3 + 1) {
    size_t body_bytes = piece < 50 ? 300 : ZMTP_FRAME_BYTES;
    _cleanup_(buffer_done) Buffer held = {0};
    ZmtpMessage message;
    size_t want = 0;
    int r = ZMTP_E_SHORT;

    buffer_clear(&pair->to_server);
    curve_seal(pair->client, true, false, BYTES("header"), &pair->to_server);
    curve_seal(pair->client, false, false, (Bytes){large.data, body_bytes}, &pair->to_server);
    for (size_t at = 0; r == ZMTP_E_SHORT; at += piece) {
      size_t left = pair->to_server.size - at;
      Bytes in;

      assert_true(at < pair->to_server.size);
      buffer_append(&held, pair->to_server.data + at, left < piece ? left : piece);
      in = buffer_bytes(&held);
      r = curve_read(pair->server, &in, &message, &want);
      assert_int_equal(in.size, r == 0 ? 0 : held.size);
      assert_true(r == 0 || want == 0 || want > held.size);
    }
    assert_int_equal(r, 0);
    assert_memory_equal(message.header.data, "header", 6);
    assert_int_equal(message.body.size, body_bytes);
    assert_memory_equal(message.body.data, large.data, body_bytes);
  }
}

static void further_frames_are_thrown_away(void **state) {
  Pair *pair = *state;
  Bytes in;

  shake(pair);
  for (int i = 0; i < 4; i++)
    curve_seal(pair->client, i < 3, false, BYTES("part"), &pair->to_server);
  curve_seal(pair->client, false, false, BYTES("next"), &pair->to_server);
  in = buffer_bytes(&pair->to_server);
  check_message(pair->server, &in, 3, "part", 4);
  check_message(pair->server, &in, 1, "next", 0);
}

static int read_one(Curve *curve, const Buffer *from) {
  Bytes in = buffer_bytes(from);
  ZmtpMessage message;
  size_t want;

  return curve_read(curve, &in, &message, &want);
}

static void changed_and_repeated_frames_are_refused(void **state) {
  Pair *pair = *state;
  _cleanup_(buffer_done) Buffer copy = {0};

  shake(pair);
  curve_seal(pair->client, false, false, BYTES("x"), &pair->to_server);
  for (size_t at = 2 + 16; at < pair->to_server.size; at++) {
    buffer_clear(&copy);
    buffer_append(&copy, pair->to_server.data, pair->to_server.size);
    copy.data[at] ^= 1;
    assert_int_equal(read_one(pair->server, &copy), ZMTP_E_SEALED);
    buffer_clear(&pair->to_server); /* its nonce is used up */
    curve_seal(pair->client, false, false, BYTES("x"), &pair->to_server);
  }
  buffer_clear(&copy);
  buffer_append(&copy, pair->to_server.data, pair->to_server.size);
  assert_int_equal(read_one(pair->server, &copy), 0);
  assert_int_equal(read_one(pair->server, &pair->to_server), ZMTP_E_SEALED);
  assert_int_equal(read_one(pair->client, &pair->to_server), ZMTP_E_SEALED); /* nor is it the other direction's */
}

static void frames_that_are_not_sealed_are_malformed(void **state) {
  Pair *pair = *state;
  Bytes in = BYTES("\0\5clear");
  Bytes large = BYTES("\2\0\0\0\0\0\4\0\x22");
  ZmtpMessage message;
  size_t want;

  shake(pair);
  assert_int_equal(curve_read(pair->server, &in, &message, &want), ZMTP_E_MALFORMED);
  assert_int_equal(curve_read(pair->server, &large, &message, &want), ZMTP_E_TOO_LARGE);
}

static void odd_sequences_are_refused(void **state) {
  Pair *pair = *state;
  _cleanup_(buffer_done) Buffer first = {0};

  shake(pair);
  memset(buffer_reserve(&first, ZMTP_FIRST_BYTES + 1), 0, ZMTP_FIRST_BYTES + 1);
  curve_seal(pair->client, true, false, (Bytes){first.data, ZMTP_FIRST_BYTES + 1}, &pair->to_server);
  assert_int_equal(read_one(pair->server, &pair->to_server), ZMTP_E_TOO_LARGE);
  buffer_clear(&pair->to_server);
  curve_seal(pair->client, true, true, BYTES("c"), &pair->to_server);
  assert_int_equal(read_one(pair->server, &pair->to_server), ZMTP_E_MALFORMED);
  buffer_clear(&pair->to_server);
  curve_seal(pair->client, true, false, BYTES("h"), &pair->to_server);
  curve_seal(pair->client, false, true, BYTES("c"), &pair->to_server);
  assert_int_equal(read_one(pair->server, &pair->to_server), ZMTP_E_MALFORMED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_pair, free_pair)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(each_side_knows_the_other),
      TEST(who_is_refused_hears_it),
      TEST(the_wrong_server_is_noticed_at_once),
      TEST(a_client_of_the_wrong_kind_is_refused),
      cmocka_unit_test(a_changed_handshake_is_refused),
      TEST(commands_out_of_order_are_malformed),
      TEST(messages_pass_both_ways),
      TEST(messages_in_pieces_are_the_same),
      TEST(further_frames_are_thrown_away),
      TEST(changed_and_repeated_frames_are_refused),
      TEST(frames_that_are_not_sealed_are_malformed),
      TEST(odd_sequences_are_refused),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
