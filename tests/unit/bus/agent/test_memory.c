#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/agent/memory.h"
#include "bus/base/clock.h"

static RequestId id_of(uint64_t client, uint64_t sequence) {
  return (RequestId){{client}, sequence};
}

static void put(Memory *memory, RequestId id, uint8_t hop, uint32_t attempt, const char *body, uint64_t now_us) {
  MemoryReply reply = {.header = {(const uint8_t *)"H", 1}, .body = {(const uint8_t *)body, strlen(body)}};

  memory_put(memory, id, hop, attempt, &reply, now_us);
}

static int find(const Memory *memory, RequestId id, uint8_t hop, uint32_t attempt) {
  MemoryReply reply = {.header = {NULL, 77}};
  int r = memory_find(memory, id, hop, attempt, &reply);

  if (r != 0)
    assert_int_equal(reply.header.size, 77);
  return r;
}

static void what_was_answered_is_found(void **state) {
  Memory memory = {0};
  MemoryReply reply;

  (void)state;
  assert_int_equal(find(&memory, id_of(1, 1), 0, 0), MEMORY_E_UNKNOWN);
  put(&memory, id_of(1, 1), 0, 2, "answer", 0);
  assert_int_equal(memory_find(&memory, id_of(1, 1), 0, 2, &reply), 0);
  assert_int_equal(reply.header.size, 1);
  assert_memory_equal(reply.body.data, "answer", 6);
  assert_int_equal(reply.pieces.size, 0);
  assert_int_equal(find(&memory, id_of(1, 1), 0, 3), 0);
  assert_int_equal(find(&memory, id_of(1, 1), 0, 1), MEMORY_E_STALE);
  assert_int_equal(find(&memory, id_of(1, 1), 1, 2), MEMORY_E_UNKNOWN); /* another visit */
  assert_int_equal(find(&memory, id_of(2, 1), 0, 2), MEMORY_E_UNKNOWN);
  memory_put(&memory, id_of(1, 2), 0, 0, &(MemoryReply){.header = BYTES_NONE}, 0);
  assert_int_equal(find(&memory, id_of(1, 2), 0, 1), MEMORY_E_GONE);
  memory_done(&memory);
}

static void ids_are_forgotten_after_the_horizon(void **state) {
  Memory memory = {0};

  (void)state;
  put(&memory, id_of(1, 1), 0, 0, "a", US_PER_S);
  put(&memory, id_of(1, 2), 0, 0, "b", US_PER_S + TIME_HORIZON_US / 2);
  put(&memory, id_of(1, 3), 0, 0, "c", US_PER_S * 2 + TIME_HORIZON_US);
  assert_int_equal(find(&memory, id_of(1, 1), 0, 0), MEMORY_E_UNKNOWN);
  assert_int_equal(find(&memory, id_of(1, 2), 0, 0), 0);
  assert_int_equal(find(&memory, id_of(1, 3), 0, 0), 0);
  memory_done(&memory);
}

static void the_number_of_ids_is_bounded(void **state) {
  Memory memory = {0};
  uint64_t n = LIMIT_MEMORY_IDS + 1000;

  (void)state;
  for (uint64_t i = 1; i <= n; i++)
    put(&memory, id_of(1 + i % 7, i), 0, 0, "x", i);
  assert_int_equal(memory.size, LIMIT_MEMORY_IDS);
  for (uint64_t i = 1; i <= 1000; i++)
    assert_int_equal(find(&memory, id_of(1 + i % 7, i), 0, 0), MEMORY_E_UNKNOWN);
  for (uint64_t i = 1001; i <= n; i++)
    assert_true(find(&memory, id_of(1 + i % 7, i), 0, 0) != MEMORY_E_UNKNOWN);
  assert_true(memory.answer_bytes <= LIMIT_MEMORY_BYTES);
  memory_done(&memory);
}

static void a_greedy_client_pushes_out_its_own_answers(void **state) {
  Memory memory = {0};
  char *large = calloc(1, 10001);

  (void)state;
  assert_non_null(large);
  memset(large, 'x', 10000);
  put(&memory, id_of(1, 1), 0, 0, "modest", 0);
  for (uint64_t i = 1; i <= 500; i++)
    put(&memory, id_of(2, i), 0, 0, large, 0);
  assert_int_equal(find(&memory, id_of(1, 1), 0, 0), 0);
  assert_int_equal(find(&memory, id_of(2, 1), 0, 0), MEMORY_E_GONE);
  assert_int_equal(find(&memory, id_of(2, 500), 0, 0), 0);
  assert_true(memory.answer_bytes <= LIMIT_MEMORY_BYTES);
  memory_done(&memory);
  free(large);
}

static void an_answer_too_large_to_keep_is_gone(void **state) {
  Memory memory = {0};
  size_t size = LIMIT_MEMORY_BYTES / 8;
  uint8_t *large = calloc(1, size);

  (void)state;
  assert_non_null(large);
  memory_put(&memory, id_of(1, 1), 0, 0, &(MemoryReply){.header = {large, 1}, .body = {large, size}}, 0);
  assert_int_equal(find(&memory, id_of(1, 1), 0, 0), MEMORY_E_GONE);
  memory_done(&memory);
  free(large);
}

static void an_attempt_that_was_heard_of_refuses_lower_ones(void **state) {
  Memory memory = {0};

  (void)state;
  memory_note(&memory, id_of(1, 1), 2, 0);
  assert_int_equal(find(&memory, id_of(1, 1), 0, 1), MEMORY_E_STALE);
  assert_int_equal(find(&memory, id_of(1, 1), 3, 1), MEMORY_E_STALE); /* at whichever hop */
  assert_int_equal(find(&memory, id_of(1, 1), 0, 2), MEMORY_E_UNKNOWN);
  memory_note(&memory, id_of(1, 1), 1, 0);
  assert_int_equal(memory.size, 1);
  put(&memory, id_of(1, 1), 0, 2, "answer", 0);
  memory_note(&memory, id_of(1, 1), 3, 0);
  assert_int_equal(find(&memory, id_of(1, 1), 0, 2), MEMORY_E_STALE);
  assert_int_equal(find(&memory, id_of(1, 1), 0, 3), 0);
  memory_done(&memory);
}

static void it_vouches_for_as_long_as_nothing_was_forgotten(void **state) {
  Memory memory = {0};
  uint64_t start_us = 100 * US_PER_S;
  uint64_t now_us = start_us + 10 * US_PER_S;

  (void)state;
  memory_start(&memory, start_us);
  assert_true(memory_covers(&memory, 10 * US_PER_S, now_us));
  assert_false(memory_covers(&memory, 10 * US_PER_S + 1, now_us));
  put(&memory, id_of(1, 1), 0, 0, "a", start_us + US_PER_S);
  now_us = start_us + 2 * US_PER_S + TIME_HORIZON_US;
  put(&memory, id_of(1, 2), 0, 0, "b", now_us); /* the first is forgotten */
  assert_true(memory_covers(&memory, TIME_HORIZON_US, now_us));
  assert_false(memory_covers(&memory, TIME_HORIZON_US + US_PER_S, now_us));
  assert_false(memory_covers(&memory, UINT64_MAX, now_us));
  memory_done(&memory);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_answered_is_found),
      cmocka_unit_test(ids_are_forgotten_after_the_horizon),
      cmocka_unit_test(the_number_of_ids_is_bounded),
      cmocka_unit_test(a_greedy_client_pushes_out_its_own_answers),
      cmocka_unit_test(an_answer_too_large_to_keep_is_gone),
      cmocka_unit_test(an_attempt_that_was_heard_of_refuses_lower_ones),
      cmocka_unit_test(it_vouches_for_as_long_as_nothing_was_forgotten),
  };

  return cmocka_run_group_tests(tests, NULL, NULL);
}
