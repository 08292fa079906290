#include "bus/wire/arena.h"

#include <stdlib.h>

#define CHUNK_BYTES 4096u
#define ALIGNMENT 16u

typedef struct ArenaChunk {
  struct ArenaChunk *next;
  size_t used_bytes;
  size_t room_bytes;
  _Alignas(ALIGNMENT) uint8_t data[];
} ArenaChunk;

static ArenaChunk *chunk_push(Arena *arena, size_t need_bytes) {
  size_t room = arena->chunks ? 2 * arena->chunks->room_bytes : CHUNK_BYTES;
  ArenaChunk *chunk;

  while (room < need_bytes)
    room *= 2;
  chunk = malloc(sizeof *chunk + room);
  if (!chunk)
    abort();
  chunk->next = arena->chunks;
  chunk->used_bytes = 0;
  chunk->room_bytes = room;
  arena->chunks = chunk;
  return chunk;
}

void *arena_take(Arena *arena, size_t size_bytes) {
  size_t limit = arena->limit_bytes ? arena->limit_bytes : ARENA_LIMIT_BYTES;
  ArenaChunk *chunk = arena->chunks;
  uint8_t *piece;

  if (size_bytes > limit - arena->taken_bytes)
    return NULL;
  arena->taken_bytes += size_bytes;
  size_bytes = (size_bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
  if (!chunk || chunk->room_bytes - chunk->used_bytes < size_bytes)
    chunk = chunk_push(arena, size_bytes);
  piece = chunk->data + chunk->used_bytes;
  chunk->used_bytes += size_bytes;
  memset(piece, 0, size_bytes);
  return piece;
}

/* Chunks only grow, so the newest is the one worth keeping. */
void arena_clear(Arena *arena) {
  while (arena->chunks && arena->chunks->next) {
    ArenaChunk *old = arena->chunks->next;

    arena->chunks->next = old->next;
    free(old);
  }
  if (arena->chunks)
    arena->chunks->used_bytes = 0;
  arena->taken_bytes = 0;
}

void arena_done(Arena *arena) {
  arena_clear(arena);
  free(arena->chunks);
  arena->chunks = NULL;
}
