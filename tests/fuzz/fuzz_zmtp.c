/* Rooms: zmtp. What a peer sends after its greeting. In pieces of any size it has the messages that it has whole. The same bytes, as
   the commands of CURVE's handshake and as sealed frames, are refused; sealed by who has the key, they come back. */
#include <stdlib.h>

#include "bus/zmtp/curve.h"
#include "bus/zmtp/z85.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void keep(Buffer *seen, Bytes bytes) {
  buffer_append(seen, &bytes.size, sizeof bytes.size);
  buffer_append(seen, bytes.data, bytes.size);
}

/* What a command means must not depend on anything but its bytes. */
static void look_at_command(Bytes command) {
  _cleanup_(buffer_done) Buffer pong = {0};
  Bytes rest;
  ZmtpCommand kind = zmtp_command_read(command, &rest);

  if (kind == ZMTP_READY)
    zmtp_ready_check(rest, ZMTP_ROUTER);
  else if (kind == ZMTP_PING && zmtp_pong(rest, &pong) == 0 && pong.size > ZMTP_HEAD_BYTES + 5 + 16)
    abort();
}

/* Everything that can be read, until more is needed. Returns the result of the last read. */
static int drain(ZmtpReader *reader, Bytes *in, Buffer *seen) {
  ZmtpMessage message;
  size_t want;
  int r;

  while ((r = zmtp_read(reader, in, &message, &want)) == 0 || r == ZMTP_E_COMMAND) {
    buffer_append(seen, &message.frames, 1);
    keep(seen, message.header);
    keep(seen, message.body);
    if (r == ZMTP_E_COMMAND)
      look_at_command(message.header);
  }
  if (r == ZMTP_E_SHORT && want > 0 && want <= in->size)
    abort();
  return r;
}

static int feed(const uint8_t *data, size_t size, size_t piece_bytes, Buffer *seen) {
  _cleanup_(buffer_done) Buffer held = {0};
  ZmtpReader reader = {.skipping = false};
  int r = ZMTP_E_SHORT;

  for (size_t at = 0; at < size && r == ZMTP_E_SHORT; at += piece_bytes) {
    Bytes in;

    buffer_append(&held, data + at, size - at < piece_bytes ? size - at : piece_bytes);
    in = buffer_bytes(&held);
    r = drain(&reader, &in, seen);
    memmove(held.data, in.data, in.size);
    held.size = in.size;
  }
  return r;
}

/* --- CURVE --- */

/* A server and a client that know each other; nothing is random. */
static void make_pair(Curve **ret_server, Curve **ret_client) {
  static const uint8_t secrets[2][CURVE_KEY_BYTES] = {{1, 2, 3}, {4, 5, 6}};
  static const uint8_t fresh[2][CURVE_FRESH_BYTES] = {{7, 8}, {9, 10}};
  CurveKeys server;
  CurveKeys client;

  curve_keys_of(secrets[0], &server);
  curve_keys_of(secrets[1], &client);
  *ret_server = curve_new(&server, NULL, ZMTP_ROUTER, fresh[0]);
  *ret_client = curve_new(&client, server.public_key, ZMTP_DEALER, fresh[1]);
}

/* One command goes over, with one byte changed as the input says. Returns whether it was taken. */
static bool pass_on(Buffer *wire, Curve *to, Buffer *ret, const uint8_t *change) {
  _cleanup_(buffer_done) Buffer taken = {0};
  ZmtpReader reader = {.skipping = false};
  ZmtpMessage message;
  Bytes in;
  size_t want;

  buffer_append(&taken, wire->data, wire->size);
  buffer_clear(wire);
  taken.data[(change[0] * 256u + change[1]) % taken.size] ^= change[2];
  in = buffer_bytes(&taken);
  return zmtp_read(&reader, &in, &message, &want) == ZMTP_E_COMMAND && curve_step(to, message.header, ret) == 0;
}

/* A handshake of which a byte is changed in each command; it need not come to its end. Returns whether it has. */
static bool shake(Curve *server, Curve *client, const uint8_t changes[12]) {
  _cleanup_(buffer_done) Buffer to_server = {0};
  _cleanup_(buffer_done) Buffer to_client = {0};

  curve_hello(client, &to_server);
  if (!pass_on(&to_server, server, &to_client, changes) || !pass_on(&to_client, client, &to_server, changes + 3) ||
      !pass_on(&to_server, server, &to_client, changes + 6) || curve_state(server) != CURVE_ASKING)
    return false;
  curve_admit(server, &to_client);
  return pass_on(&to_client, client, &to_server, changes + 9);
}

/* What the client seals, the server reads; then rubbish, which it does not. */
static void exchange(Curve *server, Curve *client, Bytes rubbish) {
  _cleanup_(buffer_done) Buffer wire = {0};
  size_t half = rubbish.size / 2;
  ZmtpMessage message;
  size_t want;
  Bytes in;
  int r;

  curve_seal(client, half <= ZMTP_FIRST_BYTES, false, (Bytes){rubbish.data, half}, &wire);
  curve_seal(client, false, false, rubbish, &wire);
  in = buffer_bytes(&wire);
  r = curve_read(server, &in, &message, &want);
  if (r != 0 || message.header.size != half || (half && memcmp(message.header.data, rubbish.data, half) != 0))
    abort();
  buffer_clear(&wire);
  buffer_append(&wire, rubbish.data, rubbish.size);
  in = buffer_bytes(&wire);
  if (curve_read(server, &in, &message, &want) == 0)
    abort();
}

/* Frames of somebody who is admitted, and means harm: flags and sizes as he likes. They are read, or refused. */
static void misbehave(Curve *server, Curve *client, Bytes input) {
  _cleanup_(buffer_done) Buffer wire = {0};
  ZmtpMessage message;
  size_t want;
  Bytes in;

  for (size_t at = 0; at + 1 < input.size && at < 64;) {
    size_t size = min_u64(input.data[at + 1] % 40u, input.size - at - 2);

    curve_seal(client, input.data[at] & 1, input.data[at] & 2, (Bytes){input.data + at + 2, size}, &wire);
    at += 2 + size;
  }
  in = buffer_bytes(&wire);
  while (in.size > 0) {
    int r = curve_read(server, &in, &message, &want);

    if (r != 0 && r != ZMTP_E_COMMAND)
      break;
  }
}

/* A frame of which one byte is changed on the way is no frame. But for its first: whether it is the last is sealed, and MORE outside says
   nothing. */
static void tamper(Curve *server, Curve *client, Bytes input) {
  _cleanup_(buffer_done) Buffer wire = {0};
  ZmtpMessage message;
  size_t want;
  Bytes in;
  int r;

  curve_seal(client, false, false, input, &wire);
  wire.data[1 + (input.data[0] * 256u + input.data[1]) % (wire.size - 1)] ^= input.data[2] | 1;
  in = buffer_bytes(&wire);
  r = curve_read(server, &in, &message, &want);
  if (r == 0)
    abort();
}

/* Makes a pair that has shaken hands. */
static void make_friends(Curve **server, Curve **client) {
  static const uint8_t unchanged[12];

  curve_destroy(server);
  curve_destroy(client);
  make_pair(server, client);
  if (!shake(*server, *client, unchanged))
    abort();
}

static void look_at_curve(Bytes input) {
  static const uint8_t unchanged[12];
  _cleanup_(curve_destroy) Curve *server = NULL;
  _cleanup_(curve_destroy) Curve *client = NULL;
  _cleanup_(buffer_done) Buffer answer = {0};
  uint8_t key[CURVE_KEY_BYTES];

  make_pair(&server, &client);
  curve_step(server, input, &answer);
  curve_step(client, input, &answer);
  z85_decode((Text){(const char *)input.data, input.size}, key);
  if (input.size >= sizeof unchanged && input.data[0] % 2) {
    shake(server, client, input.data);
    return;
  }
  make_friends(&server, &client);
  if (input.size <= ZMTP_FRAME_BYTES)
    exchange(server, client, input);
  make_friends(&server, &client);
  misbehave(server, client, input);
  if (input.size < 3 || input.size > ZMTP_FRAME_BYTES)
    return;
  make_friends(&server, &client);
  tamper(server, client, input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  _cleanup_(buffer_done) Buffer whole = {0};
  _cleanup_(buffer_done) Buffer pieces = {0};

  if (size < 2)
    return 0;
  zmtp_greeting_check((Bytes){data + 1, size - 1}, "NULL");
  if (data[0] >= 128)
    look_at_curve((Bytes){data + 1, size - 1});
  if (feed(data + 1, size - 1, size, &whole) != feed(data + 1, size - 1, data[0] % 19 + 1u, &pieces))
    abort();
  if (whole.size != pieces.size || (whole.size > 0 && memcmp(whole.data, pieces.data, whole.size) != 0))
    abort();
  return 0;
}
