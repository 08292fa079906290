/* The heap of deadlines against a naive model: 200,000 random sets, moves and removals; the first is always the least.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/base/heap.h"

enum { ENTRIES = 300 };

/* xorshift64* (Vigna 2014), so that a failure replays. */
static uint64_t next_random(uint64_t *seed) {
  *seed ^= *seed >> 12;
  *seed ^= *seed << 25;
  *seed ^= *seed >> 27;
  return *seed * UINT64_C(0x2545f4914f6cdd1d);
}

static const HeapEntry *model_least(const HeapEntry *entries, const bool *in, uint32_t *ret_count) {
  const HeapEntry *least = NULL;

  *ret_count = 0;
  for (uint32_t i = 0; i < ENTRIES; i++) {
    if (!in[i])
      continue;
    ++*ret_count;
    if (!least || entries[i].at_us < least->at_us)
      least = &entries[i];
  }
  return least;
}

static void check_against_model(const Heap *heap, const HeapEntry *entries, const bool *in) {
  uint32_t count;
  const HeapEntry *least = model_least(entries, in, &count);

  assert_int_equal(heap->size, count);
  if (least)
    assert_int_equal(heap_first(heap)->at_us, least->at_us);
  else
    assert_null(heap_first(heap));
}

static void check_places(const Heap *heap, const HeapEntry *entries, const bool *in) {
  for (uint32_t i = 0; i < heap->size; i++) {
    assert_int_equal(heap->entries[i]->index, i + 1);
    assert_true(i == 0 || heap->entries[(i - 1) / 2]->at_us <= heap->entries[i]->at_us);
  }
  for (uint32_t i = 0; i < ENTRIES; i++)
    assert_int_equal(heap_has(&entries[i]), in[i]);
}

static void test_random_operations(void **state _unused_) {
  Heap heap = {0};
  HeapEntry entries[ENTRIES] = {0};
  bool in[ENTRIES] = {0};
  uint64_t seed = 42;

  for (unsigned round = 0; round < 200000; round++) {
    uint64_t random = next_random(&seed);
    uint32_t i = (uint32_t)(random % ENTRIES);

    if (random >> 60 < 10) {
      heap_set(&heap, &entries[i], random >> 32 & 0x3ff);
      in[i] = true;
    } else {
      heap_remove(&heap, &entries[i]);
      in[i] = false;
    }
    check_against_model(&heap, entries, in);
    if (round % 100 == 0)
      check_places(&heap, entries, in);
  }
  heap_done(&heap);
}

static void test_drains_in_order(void **state _unused_) {
  Heap heap = {0};
  HeapEntry entries[ENTRIES] = {0};
  uint64_t seed = 7;
  uint64_t last_us = 0;

  for (uint32_t i = 0; i < ENTRIES; i++)
    heap_set(&heap, &entries[i], next_random(&seed));
  while (heap_first(&heap)) {
    HeapEntry *entry = heap_first(&heap);

    assert_true(entry->at_us >= last_us);
    last_us = entry->at_us;
    heap_remove(&heap, entry);
    assert_false(heap_has(entry));
  }
  heap_done(&heap);
}

static void test_remove_what_is_not_in(void **state _unused_) {
  Heap heap = {0};
  HeapEntry in = {0};
  HeapEntry out = {0};

  heap_set(&heap, &in, 5);
  heap_remove(&heap, &out);
  assert_int_equal(heap.size, 1);
  heap_remove(&heap, &in);
  heap_remove(&heap, &in);
  assert_int_equal(heap.size, 0);
  assert_null(heap_first(&heap));
  heap_done(&heap);
  assert_null(heap.entries);
}

static void test_never_is_last(void **state _unused_) {
  Heap heap = {0};
  HeapEntry never = {0};
  HeapEntry soon = {0};

  heap_set(&heap, &never, UINT64_MAX);
  heap_set(&heap, &soon, 0);
  assert_ptr_equal(heap_first(&heap), &soon);
  heap_set(&heap, &soon, UINT64_MAX);
  heap_set(&heap, &never, 1);
  assert_ptr_equal(heap_first(&heap), &never);
  heap_done(&heap);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_random_operations),
      cmocka_unit_test(test_drains_in_order),
      cmocka_unit_test(test_remove_what_is_not_in),
      cmocka_unit_test(test_never_is_last),
  };

  return cmocka_run_group_tests_name("bus/base/heap", tests, NULL, NULL);
}
