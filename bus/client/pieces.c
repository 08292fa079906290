#include "bus/client/pieces.h"

#include "bus/wire/msgpack.h"

/* The values at the front of bytes; *ret_left: what is behind the last whole one. */
static int each_value(Bytes bytes, bool (*on_piece)(void *userdata, Bytes value), void *userdata, Bytes *ret_left) {
  MsgpackReader reader = msgpack_reader(bytes);
  Bytes value;
  int r = 0;

  while (!msgpack_at_end(&reader) && (r = msgpack_get_span(&reader, &value)) == 0)
    if (!on_piece(userdata, value)) {
      *ret_left = BYTES_NONE;
      return 0;
    }
  *ret_left = (Bytes){reader.at, (size_t)(reader.end - reader.at)};
  return r == 0 || r == MSGPACK_E_SHORT ? 0 : PIECES_E_MALFORMED;
}

int pieces_take(Pieces *pieces, Bytes chunk, bool (*on_piece)(void *userdata, Bytes value), void *userdata) {
  Buffer *rest = &pieces->rest;
  Bytes all = chunk;
  Bytes left;
  int r;

  if (rest->size > 0) {
    buffer_append(rest, chunk.data, chunk.size);
    all = buffer_bytes(rest);
  }
  r = each_value(all, on_piece, userdata, &left);
  if (r != 0 || left.size > PIECE_MAX_BYTES)
    return PIECES_E_MALFORMED;
  if (rest->size == 0) {
    buffer_append(rest, left.data, left.size);
  } else {
    if (left.size > 0)
      memmove(rest->data, left.data, left.size);
    rest->size = left.size;
  }
  return 0;
}

void pieces_done(Pieces *pieces) {
  buffer_done(&pieces->rest);
}
