/* What:      a store in a folder of its own, a shelf over it, and bodies that say whose they are.
 * Owns:      folder, loop, store and shelf.
 * May use:   bus/broker/shelf.h.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_TESTS_SHELF_BOX_H
#define PONS_TESTS_SHELF_BOX_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "bus/broker/shelf.h"

#define BOX_DEADLINE_US (60 * US_PER_S) /* for what is certain to come */
#define BOX_MARK "<body %06u>"

enum { BOX_MIB = 1 << 20 };

typedef struct Box {
  char folder[64];
  char path[96];
  Loop *loop;
  Store *store;
  Shelf *shelf;
  uint64_t serial; /* of what was asked for last */
  uint64_t written;
  bool full;
  bool failed;
  char text[STORE_TEXT_BYTES];
  char damage[256]; /* "[key]" of each */
} Box;

static inline void on_box_written(void *userdata, uint64_t serial) {
  Box *box = userdata;

  box->written = serial;
  if (box->shelf)
    shelf_written(box->shelf, serial);
}

static inline void on_box_failed(void *userdata, const char *text) {
  Box *box = userdata;

  box->failed = true;
  snprintf(box->text, sizeof box->text, "%s", text);
}

static inline void on_box_full(void *userdata, bool is_full, const char *text) {
  Box *box = userdata;

  box->full = is_full;
  snprintf(box->text, sizeof box->text, "%s", text);
}

static inline void on_box_damaged(void *userdata, Text key, Bytes value _unused_, const char *text _unused_) {
  Box *box = userdata;
  size_t at = strlen(box->damage);

  snprintf(box->damage + at, sizeof box->damage - at, "[%.*s]", TEXT_ARG(key));
}

static inline bool box_keeps(void *userdata _unused_, Text key) {
  return !shelf_is_key(key, NULL, NULL);
}

static inline void box_open_store(Box *box) {
  const StoreHandler handler = {on_box_written, on_box_failed, on_box_full, on_box_damaged, box_keeps, box};

  box->serial = box->written = 0;
  box->full = box->failed = false;
  box->damage[0] = '\0';
  assert_int_equal(store_open(&box->store, box->loop, box->path, &handler, box->text), 0);
  shelf_new(&box->shelf, box->store);
}

static inline void box_close_store(Box *box) {
  store_close(&box->store);
  shelf_destroy(&box->shelf);
  assert_null(box->shelf);
}

/* Nothing is in memory then. */
static inline void box_begin_anew(Box *box) {
  shelf_destroy(&box->shelf);
  shelf_new(&box->shelf, box->store);
}

static inline int box_set_up(void **state) {
  Box *box = calloc(1, sizeof *box);

  snprintf(box->folder, sizeof box->folder, "/tmp/pons-shelf-XXXXXX");
  assert_non_null(mkdtemp(box->folder));
  snprintf(box->path, sizeof box->path, "%s/a.db", box->folder);
  assert_int_equal(loop_new(&box->loop), 0);
  box_open_store(box);
  *state = box;
  return 0;
}

static inline int box_tear_down(void **state) {
  Box *box = *state;
  char journal[128];

  box_close_store(box);
  loop_destroy(&box->loop);
  snprintf(journal, sizeof journal, "%s-journal", box->path);
  unlink(box->path);
  unlink(journal);
  assert_int_equal(rmdir(box->folder), 0);
  free(box);
  return 0;
}

/* --- what is put and told --- */

static inline RequestId box_id_of(uint64_t number) {
  return (RequestId){{0x1234567890abcdef}, number};
}

/* All bytes of a body say whose it is. */
static inline Block *box_make_body(uint64_t number, size_t size_bytes) {
  _cleanup_(buffer_done) Buffer bytes = {0};

  while (bytes.size < size_bytes)
    buffer_printf(&bytes, BOX_MARK, (unsigned)number);
  bytes.size = size_bytes;
  return block_copy(buffer_bytes(&bytes));
}

static inline int box_try_to_put(Box *box, uint64_t number, size_t size_bytes) {
  _cleanup_(block_unref) Block *body = box_make_body(number, size_bytes);

  return shelf_put(box->shelf, box_id_of(number), SHELF_BODY, body, &box->serial);
}

static inline void box_put(Box *box, uint64_t number, size_t size_bytes) {
  assert_int_equal(box_try_to_put(box, number, size_bytes), 0);
}

static inline bool box_is_written(void *userdata) {
  const Box *box = userdata;

  return box->written >= box->serial;
}

static inline void box_settle(Box *box) {
  assert_int_equal(loop_run_until(box->loop, box_is_written, box, clock_monotonic_us() + BOX_DEADLINE_US), 0);
}

static inline bool box_is_in_memory(Box *box, uint64_t number) {
  return shelf_find(box->shelf, box_id_of(number), SHELF_BODY) != NULL;
}

typedef struct Told {
  int times;
  Block *block;
  char why[STORE_TEXT_BYTES];
} Told;

static inline void on_box_told(void *userdata, Block *block, const char *why) {
  Told *told = userdata;

  told->times++;
  told->block = block ? block_ref(block) : NULL;
  snprintf(told->why, sizeof told->why, "%s", why);
}

static inline bool box_is_told(void *userdata) {
  const Told *told = userdata;

  return told->times > 0;
}

static inline void box_ask(Box *box, uint64_t number, Told *told) {
  shelf_get(box->shelf, box_id_of(number), SHELF_BODY, on_box_told, told);
}

static inline void box_wait_told(Box *box, Told *told) {
  assert_int_equal(loop_run_until(box->loop, box_is_told, told, clock_monotonic_us() + BOX_DEADLINE_US), 0);
  assert_int_equal(told->times, 1);
}

static inline void box_expect_body(Box *box, uint64_t number, size_t size_bytes) {
  _cleanup_(block_unref) Block *body = box_make_body(number, size_bytes);
  Told told = {0};

  box_ask(box, number, &told);
  box_wait_told(box, &told);
  if (!told.block)
    fail_msg("%s", told.why);
  assert_int_equal(told.block->size, size_bytes);
  assert_memory_equal(told.block->data, body->data, size_bytes);
  block_unref(&told.block);
}

static inline void box_expect_none(Box *box, uint64_t number, const char *why) {
  Told told = {0};

  box_ask(box, number, &told);
  box_wait_told(box, &told);
  assert_null(told.block);
  if (!strstr(told.why, why))
    fail_msg("%s", told.why);
}

#endif
