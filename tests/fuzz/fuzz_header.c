/* Rooms: wire. The bytes are one header frame. What decodes is encoded, decoded and encoded again: the same bytes. */
#include <stdlib.h>

#include "bus/wire/header.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The fields that encoding may normalise away are none of those that say where a message goes. */
static void compare(const Header *a, const Header *b) {
  if (a->kind != b->kind || !request_id_equal(a->id, b->id) || a->number != b->number || a->flags != b->flags ||
      a->deadline_us != b->deadline_us || a->session.value != b->session.value || a->status != b->status ||
      !text_equal(a->service, b->service) || !text_equal(a->method, b->method) ||
      a->annotations.size != b->annotations.size)
    abort();
  if (a->kind == KIND_REQUEST && a->priority != b->priority)
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  _cleanup_(buffer_done) Buffer once = {0};
  _cleanup_(buffer_done) Buffer twice = {0};
  Header header;
  Header again;
  int r = header_decode((Bytes){data, size}, &header);

  if (r < 0 || r > HEADER_E_TOO_LARGE)
    abort();
  if (r != 0)
    return 0;
  header_encode(&header, &once);
  if (header_decode(buffer_bytes(&once), &again) != 0)
    abort();
  compare(&header, &again);
  header_encode(&again, &twice);
  if (once.size != twice.size || memcmp(once.data, twice.data, once.size) != 0)
    abort();
  return 0;
}
