/* What:      a binary min-heap of times, intrusive: who waits for what is one HeapEntry inside the waiter.
 * Owns:      its array of pointers; never the entries.
 * May use:   base/types.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_BASE_HEAP_H
#define PONS_BASE_HEAP_H

#include "bus/base/types.h"

/* Lives inside the object that waits. All zero is "not in a heap". */
typedef struct HeapEntry {
  uint64_t at_us;
  uint32_t index; /* place in the array plus 1; 0 = not in a heap */
} HeapEntry;

/* All zero is an empty heap. */
typedef struct Heap {
  HeapEntry **entries;
  uint32_t size;
  uint32_t room;
} Heap;

/* Puts entry in, or moves it, so that it is due at at_us. The common case, a later time than all others, is O(1). */
void heap_set(Heap *heap, HeapEntry *entry, uint64_t at_us);
/* Takes entry out; nothing happens when it is not in. */
void heap_remove(Heap *heap, HeapEntry *entry);
/* Frees the array; the entries stay as they are. */
void heap_done(Heap *heap);

/* The earliest entry, or NULL. */
static inline HeapEntry *heap_first(const Heap *heap) {
  return heap->size ? heap->entries[0] : NULL;
}

static inline bool heap_has(const HeapEntry *entry) {
  return entry->index != 0;
}

#endif
