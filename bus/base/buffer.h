/* What:      Buffer, bytes that grow; Block, bytes that are counted and shared.
 * Owns:      what it allocates.
 * May use:   base/types.
 * Threading: a Buffer belongs to one thread; a Block's count is atomic, since the pool's threads of an agent free too.
 * Spec:      - */
#ifndef PONS_BASE_BUFFER_H
#define PONS_BASE_BUFFER_H

#include <stdatomic.h>

#include "bus/base/types.h"

/* All zero is an empty buffer. */
typedef struct Buffer {
  uint8_t *data;
  size_t size;
  size_t room;
} Buffer;

/* Makes room for more bytes behind size. Returns where they go; aborts when memory is out (every buffer is bounded by
   limits.def, so that is a broken machine and not a large message). */
uint8_t *buffer_reserve(Buffer *buffer, size_t more_bytes);
/* Appends size bytes. */
void buffer_append(Buffer *buffer, const void *data, size_t size_bytes);
/* Appends formatted text without its NUL. */
void buffer_printf(Buffer *buffer, const char *format, ...) _printf_(2, 3);
/* Frees the contents; the buffer is empty and can be used again. Usable as _cleanup_. */
void buffer_done(Buffer *buffer);

static inline void buffer_clear(Buffer *buffer) {
  buffer->size = 0;
}

static inline Bytes buffer_bytes(const Buffer *buffer) {
  return (Bytes){buffer->data, buffer->size};
}

/* What is in it as text; good until it grows. */
static inline Text buffer_text(const Buffer *buffer) {
  return (Text){(const char *)buffer->data, buffer->size};
}

/* Appends text, which may not lie in the buffer itself. */
static inline void buffer_put(Buffer *buffer, Text text) {
  buffer_append(buffer, text.data, text.size);
}

/* Bytes shared by reference. Made with one reference; the last unref frees. */
typedef struct Block Block;
struct Block {
  _Atomic uint32_t references;
  size_t size;
  const uint8_t *data;
  void *owner;                  /* whose bytes these are, when they don't follow inline */
  void (*release)(void *owner); /* gives owner back; NULL when inline */
};

/* A copy of bytes; the caller holds the one reference. */
Block *block_copy(Bytes bytes);
/* A block around bytes that owner holds; release(owner) is called, on whatever thread, with the last unref. */
Block *block_adopt(Bytes bytes, void *owner, void (*release)(void *owner));
/* Another reference; returns block. */
Block *block_ref(Block *block);
/* Drops the caller's reference and nulls the pointer; takes NULL. Usable as _cleanup_. */
void block_unref(Block **block);

static inline Bytes block_bytes(const Block *block) {
  return block ? (Bytes){block->data, block->size} : BYTES_NONE;
}

#endif
