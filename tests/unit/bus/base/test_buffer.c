/* Buffers grow and keep what is in them; blocks are released exactly once, by whoever drops the last reference. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bus/base/buffer.h"

static void test_append_keeps_all(void **state _unused_) {
  _cleanup_(buffer_done) Buffer buffer = {0};

  for (unsigned i = 0; i < 5000; i++) {
    uint8_t byte = (uint8_t)(i * 7);

    buffer_append(&buffer, &byte, 1);
  }
  assert_int_equal(buffer.size, 5000);
  for (unsigned i = 0; i < 5000; i++)
    assert_int_equal(buffer.data[i], (uint8_t)(i * 7));
}

static void test_append_nothing(void **state _unused_) {
  _cleanup_(buffer_done) Buffer buffer = {0};

  buffer_append(&buffer, NULL, 0);
  assert_null(buffer.data);
  assert_int_equal(buffer_bytes(&buffer).size, 0);
}

static void test_reserve_does_not_move_size(void **state _unused_) {
  _cleanup_(buffer_done) Buffer buffer = {0};
  uint8_t *place;

  buffer_append(&buffer, "ab", 2);
  place = buffer_reserve(&buffer, 100000);
  assert_ptr_equal(place, buffer.data + 2);
  assert_int_equal(buffer.size, 2);
  assert_true(buffer.room >= 100002);
  memset(place, 'x', 100000);
}

static void test_printf(void **state _unused_) {
  _cleanup_(buffer_done) Buffer buffer = {0};
  char wide[600];

  memset(wide, 'w', sizeof wide - 1);
  wide[sizeof wide - 1] = '\0';
  buffer_printf(&buffer, "%s", "");
  assert_int_equal(buffer.size, 0);
  buffer_printf(&buffer, "%d-%s", 17, "x");
  assert_int_equal(buffer.size, 4);
  assert_memory_equal(buffer.data, "17-x", 4);
  buffer_printf(&buffer, "%s", wide);
  assert_int_equal(buffer.size, 4 + sizeof wide - 1);
  assert_memory_equal(buffer.data + 4, wide, sizeof wide - 1);
}

static void test_clear_and_done(void **state _unused_) {
  Buffer buffer = {0};

  buffer_append(&buffer, "abc", 3);
  buffer_clear(&buffer);
  assert_int_equal(buffer.size, 0);
  assert_non_null(buffer.data);
  buffer_done(&buffer);
  assert_null(buffer.data);
  buffer_done(&buffer);
}

static void test_copy_is_a_copy(void **state _unused_) {
  char text[] = "hello";
  Block *block = block_copy((Bytes){(const uint8_t *)text, 5});

  text[0] = 'J';
  assert_int_equal(block_bytes(block).size, 5);
  assert_memory_equal(block_bytes(block).data, "hello", 5);
  block_unref(&block);
  assert_null(block);
  block_unref(&block);
  assert_int_equal(block_bytes(NULL).size, 0);
}

static void test_copy_of_nothing(void **state _unused_) {
  _cleanup_(block_unref) Block *block = block_copy(BYTES_NONE);

  assert_int_equal(block_bytes(block).size, 0);
}

static void on_release(void *owner) {
  ++*(unsigned *)owner;
}

static void test_adopted_is_released_once(void **state _unused_) {
  static const uint8_t bytes[] = {1, 2, 3};
  unsigned released = 0;
  Block *first = block_adopt((Bytes){bytes, sizeof bytes}, &released, on_release);
  Block *second = block_ref(first);

  assert_ptr_equal(first, second);
  assert_ptr_equal(block_bytes(second).data, bytes);
  block_unref(&first);
  assert_null(first);
  assert_int_equal(released, 0);
  block_unref(&second);
  assert_int_equal(released, 1);
}

enum { THREADS = 4, ROUNDS = 20000 };

static void *on_thread(void *argument) {
  Block *block = argument;

  for (unsigned i = 0; i < ROUNDS; i++) {
    Block *again = block_ref(block);

    block_unref(&again);
  }
  block_unref(&block);
  return NULL;
}

static void test_counted_by_many_threads(void **state _unused_) {
  unsigned released = 0;
  Block *block = block_adopt(BYTES_NONE, &released, on_release);
  pthread_t threads[THREADS];

  for (unsigned i = 0; i < THREADS; i++)
    assert_int_equal(pthread_create(&threads[i], NULL, on_thread, block_ref(block)), 0);
  block_unref(&block);
  for (unsigned i = 0; i < THREADS; i++)
    pthread_join(threads[i], NULL);
  assert_int_equal(released, 1);
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_append_keeps_all),
      cmocka_unit_test(test_append_nothing),
      cmocka_unit_test(test_reserve_does_not_move_size),
      cmocka_unit_test(test_printf),
      cmocka_unit_test(test_clear_and_done),
      cmocka_unit_test(test_copy_is_a_copy),
      cmocka_unit_test(test_copy_of_nothing),
      cmocka_unit_test(test_adopted_is_released_once),
      cmocka_unit_test(test_counted_by_many_threads),
  };

  return cmocka_run_group_tests_name("bus/base/buffer", tests, NULL, NULL);
}
