#include "bus/wire/pack.h"

#include <endian.h>

enum {
  BIN8 = 0xc4,
  BIN16 = 0xc5,
  BIN16_HEAD = 3,      /* tag and two bytes of length */
  FIRST_MESSAGES = 24, /* as many as cost what it costs to wake a peer (docs/adr/0048) */
  DOUBLINGS = 3,
  TAKES_BYTES = 8192, /* larger bodies cost less alone than copied */
  LARGEST_HEADER = 128 + LIMIT_TARGET_BYTES + LIMIT_METHOD_BYTES + LIMIT_CONTENT_TYPE_BYTES + LIMIT_ANNOTATIONS_BYTES,
};

/* The header frame of every PACK: an array of one element, the kind. */
static const uint8_t pack_header[] = {0x91, KIND_PACK};

bool pack_takes(size_t body_bytes) {
  return body_bytes <= TAKES_BYTES;
}

bool pack_has_room(const Pack *pack, size_t body_bytes) {
  size_t need = 2 * BIN16_HEAD + LARGEST_HEADER + body_bytes;

  return pack->count < LIMIT_PACK_MESSAGES && pack->buffer.size + need <= LIMIT_PACK_BYTES;
}

bool pack_is_due(const Pack *pack) {
  return pack->count >= (uint64_t)FIRST_MESSAGES << min_u64(pack->sent, DOUBLINGS);
}

/* Writes the head of a bin 16 of size bytes at place. */
static void put_bin16(uint8_t *place, size_t size) {
  uint16_t big = htobe16((uint16_t)size);

  place[0] = BIN16;
  memcpy(place + 1, &big, sizeof big);
}

void pack_add(Pack *pack, const Header *header, Bytes body) {
  Buffer *buffer = &pack->buffer;
  size_t start = buffer->size;
  size_t header_bytes;

  buffer_reserve(buffer, BIN16_HEAD);
  buffer->size += BIN16_HEAD;
  header_encode(header, buffer);
  header_bytes = buffer->size - start - BIN16_HEAD;
  put_bin16(buffer->data + start, header_bytes);
  put_bin16(buffer_reserve(buffer, BIN16_HEAD), body.size);
  buffer->size += BIN16_HEAD;
  buffer_append(buffer, body.data, body.size);
  if (pack->count++ == 0)
    pack->header_bytes = (uint32_t)header_bytes;
}

void pack_add_encoded(Pack *pack, Bytes header, Bytes body) {
  Buffer *buffer = &pack->buffer;

  put_bin16(buffer_reserve(buffer, BIN16_HEAD), header.size);
  buffer->size += BIN16_HEAD;
  buffer_append(buffer, header.data, header.size);
  put_bin16(buffer_reserve(buffer, BIN16_HEAD), body.size);
  buffer->size += BIN16_HEAD;
  buffer_append(buffer, body.data, body.size);
  if (pack->count++ == 0)
    pack->header_bytes = (uint32_t)header.size;
}

void pack_frames(const Pack *pack, Bytes *ret_header, Bytes *ret_body) {
  if (pack->count == 1) {
    size_t body_at = BIN16_HEAD + pack->header_bytes + BIN16_HEAD;

    *ret_header = (Bytes){pack->buffer.data + BIN16_HEAD, pack->header_bytes};
    *ret_body = (Bytes){pack->buffer.data + body_at, pack->buffer.size - body_at};
    return;
  }
  *ret_header = (Bytes){pack_header, sizeof pack_header};
  *ret_body = buffer_bytes(&pack->buffer);
}

void pack_clear(Pack *pack) {
  buffer_clear(&pack->buffer);
  pack->count = 0;
  pack->sent++;
}

void pack_end_turn(Pack *pack) {
  pack->sent = 0;
}

void pack_done(Pack *pack) {
  buffer_done(&pack->buffer);
  *pack = (Pack){0};
}

/* Takes one msgpack bin of 8 or 16 bits of length. Larger ones don't fit into a PACK. */
static int take_bin(Bytes *rest, Bytes *ret) {
  size_t head;
  size_t size;

  if (rest->size >= 2 && rest->data[0] == BIN8) {
    head = 2;
    size = rest->data[1];
  } else if (rest->size >= BIN16_HEAD && rest->data[0] == BIN16) {
    head = BIN16_HEAD;
    size = (size_t)rest->data[1] << 8 | rest->data[2];
  } else {
    return PACK_E_MALFORMED;
  }
  if (size > rest->size - head)
    return PACK_E_MALFORMED;
  *ret = (Bytes){rest->data + head, size};
  *rest = (Bytes){rest->data + head + size, rest->size - head - size};
  return 0;
}

int pack_next(Bytes *rest, Bytes *ret_header, Bytes *ret_body) {
  Bytes at = *rest;
  Bytes header;
  Bytes body;

  if (at.size == 0)
    return PACK_E_END;
  if (take_bin(&at, &header) != 0 || take_bin(&at, &body) != 0 || header.size > LIMIT_HEADER_BYTES)
    return PACK_E_MALFORMED;
  *rest = at;
  *ret_header = header;
  *ret_body = body;
  return 0;
}
