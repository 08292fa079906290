#include "bus/base/heap.h"

#include <stdlib.h>

static void place(Heap *heap, HeapEntry *entry, uint32_t at) {
  heap->entries[at] = entry;
  entry->index = at + 1;
}

static void sift_up(Heap *heap, uint32_t at) {
  HeapEntry *entry = heap->entries[at];

  while (at > 0) {
    uint32_t parent = (at - 1) / 2;

    if (heap->entries[parent]->at_us <= entry->at_us)
      break;
    place(heap, heap->entries[parent], at);
    at = parent;
  }
  place(heap, entry, at);
}

static void sift_down(Heap *heap, uint32_t at) {
  HeapEntry *entry = heap->entries[at];

  for (;;) {
    uint32_t child = 2 * at + 1;

    if (child >= heap->size)
      break;
    if (child + 1 < heap->size && heap->entries[child + 1]->at_us < heap->entries[child]->at_us)
      child++;
    if (entry->at_us <= heap->entries[child]->at_us)
      break;
    place(heap, heap->entries[child], at);
    at = child;
  }
  place(heap, entry, at);
}

void heap_set(Heap *heap, HeapEntry *entry, uint64_t at_us) {
  if (entry->index == 0) {
    if (heap->size == heap->room) {
      heap->room = heap->room ? heap->room * 2 : 64;
      heap->entries = realloc(heap->entries, heap->room * sizeof(HeapEntry *));
      if (!heap->entries)
        abort();
    }
    entry->at_us = at_us;
    place(heap, entry, heap->size);
    heap->size++;
    sift_up(heap, heap->size - 1);
    return;
  }

  bool earlier = at_us < entry->at_us;

  entry->at_us = at_us;
  if (earlier)
    sift_up(heap, entry->index - 1);
  else
    sift_down(heap, entry->index - 1);
}

void heap_remove(Heap *heap, HeapEntry *entry) {
  uint32_t at;
  HeapEntry *last;

  if (entry->index == 0)
    return;
  at = entry->index - 1;
  entry->index = 0;
  last = heap->entries[--heap->size];
  if (last == entry)
    return;
  place(heap, last, at);
  sift_up(heap, at);
  sift_down(heap, last->index - 1);
}

void heap_done(Heap *heap) {
  free(heap->entries);
  *heap = (Heap){0};
}
