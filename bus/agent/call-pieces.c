/* CHUNKs of a stream, or of a reply in parts, on their way out. Beside a second broker those above the reader's last WINDOW are
   kept: the broker that has them may die before it has passed them on, and the other one then wants them again. */
#include <stdlib.h>

#include "bus/agent/agent-internal.h"

typedef struct Piece {
  List in_call;
  Block *block;
  Bytes bytes;
  uint32_t flags;
} Piece;

static bool keeps(const Call *call) {
  return client_brokers(call->runtime->client) > 1;
}

/* The first says which execution all are of. */
static Header header_of(const Call *call, uint64_t number, uint32_t flags) {
  return (Header){.kind = KIND_CHUNK,
                  .id = call->id,
                  .attempt = call->attempt,
                  .number = number,
                  .flags = flags,
                  .execution = number == 0 ? call->execution : 0};
}

static void keep(Call *call, uint32_t flags, Bytes bytes, Block *block) {
  Piece *piece = malloc(sizeof *piece);

  if (!piece)
    abort();
  *piece = (Piece){.block = block ? block_ref(block) : block_copy(bytes), .bytes = bytes, .flags = flags};
  if (!block)
    piece->bytes = block_bytes(piece->block);
  list_push(&call->pieces, &piece->in_call);
}

void pieces_send(Call *call, uint32_t flags, Bytes bytes, Block *block) {
  Header header = header_of(call, call->chunks++, flags);

  if (keeps(call)) {
    keep(call, flags, bytes, block);
  } else {
    call->pieces_first++;
    call->pieces_before_bytes += bytes.size;
  }
  brokers_send(call, &header, bytes, block);
}

void pieces_drop(Call *call, uint64_t wanted) {
  LIST_EACH (&call->pieces, Piece, in_call, piece) {
    if (call->pieces_first >= wanted)
      return;
    call->pieces_first++;
    call->pieces_before_bytes += piece->bytes.size;
    list_remove(&piece->in_call);
    block_unref(&piece->block);
    free(piece);
  }
}

void pieces_send_again(Call *call) {
  uint64_t number = call->pieces_first;

  LIST_EACH (&call->pieces, Piece, in_call, piece) {
    Header header = header_of(call, number++, piece->flags);

    brokers_send(call, &header, piece->bytes, piece->block);
  }
}

void pieces_write(const Call *call, Buffer *buffer) {
  _cleanup_(buffer_done) Buffer bytes = {0};
  uint64_t number = call->pieces_first;

  LIST_EACH (&call->pieces, Piece, in_call, piece) {
    Header header = header_of(call, number++, piece->flags);

    if (buffer->size > LIMIT_MEMORY_BYTES)
      return; /* more than is remembered */
    buffer_clear(&bytes);
    header_encode(&header, &bytes);
    msgpack_put_bytes(buffer, buffer_bytes(&bytes));
    msgpack_put_bytes(buffer, piece->bytes);
  }
}
