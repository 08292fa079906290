/* The hash table: what was added is found through all growth, what was removed is not; walking allows removal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/base/table.h"

enum { ITEMS = 5000 };

typedef struct Item {
  uint64_t key;
  TableLink link;
} Item;

static Item items[ITEMS];

static uint64_t hash_of(uint64_t key) {
  return key * UINT64_C(0x9e3779b97f4a7c15) >> 16;
}

static Item *find(const Table *table, uint64_t key) {
  for (TableLink *link = table_bucket(table, hash_of(key)); link; link = link->next) {
    Item *item = CONTAINER_OF(link, Item, link);

    if (item->key == key)
      return item;
  }
  return NULL;
}

static void fill(Table *table) {
  for (uint64_t i = 0; i < ITEMS; i++) {
    items[i] = (Item){.key = i};
    table_add(table, &items[i].link, hash_of(i));
  }
}

static void test_found_through_growth(void **state _unused_) {
  Table table = {0};

  assert_null(table_bucket(&table, 1));
  for (uint64_t i = 0; i < ITEMS; i++) {
    items[i] = (Item){.key = i};
    assert_null(find(&table, i));
    table_add(&table, &items[i].link, hash_of(i));
    assert_ptr_equal(find(&table, i), &items[i]);
    assert_ptr_equal(find(&table, i / 2), &items[i / 2]);
  }
  assert_int_equal(table.size, ITEMS);
  assert_true(table.mask + 1 >= ITEMS);
  for (uint64_t i = 0; i < ITEMS; i++)
    assert_ptr_equal(find(&table, i), &items[i]);
  table_done(&table);
  assert_null(table.buckets);
}

static void test_remove(void **state _unused_) {
  Table table = {0};

  fill(&table);
  for (uint64_t i = 0; i < ITEMS; i += 2)
    table_remove(&table, &items[i].link);
  assert_int_equal(table.size, ITEMS / 2);
  for (uint64_t i = 0; i < ITEMS; i++)
    assert_ptr_equal(find(&table, i), i % 2 ? &items[i] : NULL);
  table_done(&table);
}

static void test_equal_hashes(void **state _unused_) {
  Table table = {0};
  Item same[3] = {{.key = 1}, {.key = 2}, {.key = 3}};
  unsigned seen = 0;

  for (size_t i = 0; i < ELEMENTS(same); i++)
    table_add(&table, &same[i].link, 99);
  table_remove(&table, &same[1].link);
  for (TableLink *link = table_bucket(&table, 99); link; link = link->next)
    seen += (unsigned)CONTAINER_OF(link, Item, link)->key;
  assert_int_equal(seen, 1 + 3);
  table_done(&table);
}

static void test_walk_sees_each_once(void **state _unused_) {
  Table table = {0};
  static unsigned char seen[ITEMS];
  unsigned count = 0;

  TABLE_EACH (&table, Item, link, item)
    assert_null(item);
  fill(&table);
  memset(seen, 0, sizeof seen);
  TABLE_EACH (&table, Item, link, item) {
    assert_int_equal(seen[item->key]++, 0);
    count++;
    if (item->key % 3 == 0)
      table_remove(&table, &item->link);
  }
  assert_int_equal(count, ITEMS);
  TABLE_EACH (&table, Item, link, item)
    assert_true(item->key % 3 != 0);
  table_done(&table);
}

static void test_text_hash(void **state _unused_) {
  uint64_t plain;

  table_seed(0);
  plain = text_hash(TEXT("echo"));
  assert_int_equal(plain, text_hash((Text){"echos", 4}));
  assert_true(plain != text_hash(TEXT("Echo")));
  assert_true(text_hash(TEXT_NONE) == text_hash(TEXT("")));
  table_seed(0x1234);
  assert_true(plain != text_hash(TEXT("echo")));
  table_seed(0);
  assert_true(plain == text_hash(TEXT("echo")));
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_found_through_growth),
      cmocka_unit_test(test_remove),
      cmocka_unit_test(test_equal_hashes),
      cmocka_unit_test(test_walk_sees_each_once),
      cmocka_unit_test(test_text_hash),
  };

  return cmocka_run_group_tests_name("bus/base/table", tests, NULL, NULL);
}
