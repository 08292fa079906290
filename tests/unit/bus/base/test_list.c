/* The intrusive list: order, removal of any element, removal of the current one while walking. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/base/list.h"

typedef struct Item {
  int number;
  List link;
} Item;

/* The numbers of the list in order, as decimal digits of one number. */
static int digits_of(const List *head) {
  int digits = 0;

  LIST_EACH (head, Item, link, item)
    digits = digits * 10 + item->number;
  return digits;
}

static void test_push_keeps_order(void **state _unused_) {
  List head;
  Item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};

  list_init(&head);
  assert_true(list_is_empty(&head));
  assert_null(LIST_FIRST(&head, Item, link));
  list_push(&head, &items[0].link);
  list_push(&head, &items[1].link);
  list_push_front(&head, &items[2].link);
  assert_false(list_is_empty(&head));
  assert_ptr_equal(LIST_FIRST(&head, Item, link), &items[2]);
  assert_int_equal(digits_of(&head), 312);
}

static void test_remove_any(void **state _unused_) {
  List head;
  Item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};

  list_init(&head);
  for (size_t i = 0; i < ELEMENTS(items); i++)
    list_push(&head, &items[i].link);
  assert_true(list_has(&items[1].link));
  list_remove(&items[1].link);
  assert_false(list_has(&items[1].link));
  assert_int_equal(digits_of(&head), 13);
  list_remove(&items[1].link);
  assert_int_equal(digits_of(&head), 13);
  list_remove(&items[0].link);
  list_remove(&items[2].link);
  assert_true(list_is_empty(&head));
  list_push(&head, &items[1].link);
  assert_int_equal(digits_of(&head), 2);
}

static void test_remove_while_walking(void **state _unused_) {
  List head;
  Item items[6] = {0};

  list_init(&head);
  for (size_t i = 0; i < ELEMENTS(items); i++) {
    items[i].number = (int)i + 1;
    list_push(&head, &items[i].link);
  }
  LIST_EACH (&head, Item, link, item)
    if (item->number % 2 == 0)
      list_remove(&item->link);
  assert_int_equal(digits_of(&head), 135);
  LIST_EACH (&head, Item, link, item)
    list_remove(&item->link);
  assert_true(list_is_empty(&head));
}

int main(void) {
  static const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_push_keeps_order),
      cmocka_unit_test(test_remove_any),
      cmocka_unit_test(test_remove_while_walking),
  };

  return cmocka_run_group_tests_name("bus/base/list", tests, NULL, NULL);
}
