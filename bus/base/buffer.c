#include "bus/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static void *must(void *memory) {
  if (!memory)
    abort();
  return memory;
}

uint8_t *buffer_reserve(Buffer *buffer, size_t more_bytes) {
  size_t need = buffer->size + more_bytes;

  if (need > buffer->room) {
    size_t room = buffer->room ? buffer->room : 256;

    while (room < need)
      room *= 2;
    buffer->data = must(realloc(buffer->data, room));
    buffer->room = room;
  }
  return buffer->data + buffer->size;
}

void buffer_append(Buffer *buffer, const void *data, size_t size_bytes) {
  if (size_bytes == 0)
    return;
  memcpy(buffer_reserve(buffer, size_bytes), data, size_bytes);
  buffer->size += size_bytes;
}

/* Most texts fit at once: a format is gone through a second time only for one that does not. */
void buffer_printf(Buffer *buffer, const char *format, ...) {
  va_list arguments;
  va_list again;
  size_t room;
  int size;

  buffer_reserve(buffer, 1);
  room = buffer->room - buffer->size;
  va_start(arguments, format);
  va_copy(again, arguments);
  size = vsnprintf((char *)buffer->data + buffer->size, room, format, arguments);
  if (size > 0 && (size_t)size >= room)
    vsnprintf((char *)buffer_reserve(buffer, (size_t)size + 1), (size_t)size + 1, format, again);
  if (size > 0)
    buffer->size += (size_t)size;
  va_end(again);
  va_end(arguments);
}

void buffer_done(Buffer *buffer) {
  free(buffer->data);
  *buffer = (Buffer){0};
}

Block *block_copy(Bytes bytes) {
  Block *block = must(malloc(sizeof *block + bytes.size));
  uint8_t *inline_data = (uint8_t *)(block + 1);

  if (bytes.size)
    memcpy(inline_data, bytes.data, bytes.size);
  *block = (Block){.size = bytes.size, .data = inline_data};
  atomic_init(&block->references, 1);
  return block;
}

Block *block_adopt(Bytes bytes, void *owner, void (*release)(void *owner)) {
  Block *block = must(malloc(sizeof *block));

  *block = (Block){.size = bytes.size, .data = bytes.data, .owner = owner, .release = release};
  atomic_init(&block->references, 1);
  return block;
}

Block *block_ref(Block *block) {
  atomic_fetch_add_explicit(&block->references, 1, memory_order_relaxed);
  return block;
}

void block_unref(Block **block) {
  Block *gone = TAKE(*block);

  if (!gone || atomic_fetch_sub_explicit(&gone->references, 1, memory_order_acq_rel) > 1)
    return;
  if (gone->release)
    gone->release(gone->owner);
  free(gone);
}
