/* Rooms: wire. The bytes are the body of a PACK. Every message that can be read is packed again and reads the same. */
#include <stdlib.h>

#include "bus/wire/pack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Packs one message and takes it out again. */
static void check(const Header *header, Bytes body) {
  _cleanup_(pack_done) Pack pack = {0};
  Bytes frame;
  Bytes frame_body;
  Header again;

  pack_add(&pack, header, body);
  pack_frames(&pack, &frame, &frame_body);
  if (header_decode(frame, &again) != 0 || again.kind != header->kind || frame_body.size != body.size ||
      (body.size > 0 && memcmp(frame_body.data, body.data, body.size) != 0))
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  Bytes rest = {data, size};
  Bytes frame;
  Bytes body;
  Header header;
  int r;

  while ((r = pack_next(&rest, &frame, &body)) == 0) {
    if (body.size > 0 && (body.data < data || body.data + body.size > data + size))
      abort();
    if (header_decode(frame, &header) == 0)
      check(&header, body);
  }
  if (r != PACK_E_END && r != PACK_E_MALFORMED)
    abort();
  if (r == PACK_E_END && rest.size != 0)
    abort();
  return 0;
}
