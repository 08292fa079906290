/* Rooms: zmtp. What a peer sends after its greeting. In pieces of any size it has the messages that it has whole. */
#include <stdlib.h>

#include "bus/zmtp/zmtp.h"

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  _cleanup_(buffer_done) Buffer whole = {0};
  _cleanup_(buffer_done) Buffer pieces = {0};

  if (size < 2)
    return 0;
  zmtp_greeting_check((Bytes){data + 1, size - 1}, "NULL");
  if (feed(data + 1, size - 1, size, &whole) != feed(data + 1, size - 1, data[0] % 19 + 1u, &pieces))
    abort();
  if (whole.size != pieces.size || (whole.size > 0 && memcmp(whole.data, pieces.data, whole.size) != 0))
    abort();
  return 0;
}
