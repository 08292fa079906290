/* What:      an intrusive doubly linked list.
 * Owns:      nothing.
 * May use:   base/types.
 * Threading: one thread.
 * Spec:      - */
#ifndef PONS_BASE_LIST_H
#define PONS_BASE_LIST_H

#include "bus/base/types.h"

/* A link inside an element, and also the head. All zero is "in no list"; a head is made by list_init. */
typedef struct List {
  struct List *next;
  struct List *previous;
} List;

static inline void list_init(List *head) {
  head->next = head;
  head->previous = head;
}

static inline bool list_is_empty(const List *head) {
  return head->next == head;
}

static inline bool list_has(const List *link) {
  return link->next != NULL;
}

static inline void list_push(List *head, List *link) {
  link->previous = head->previous;
  link->next = head;
  head->previous->next = link;
  head->previous = link;
}

static inline void list_push_front(List *head, List *link) {
  list_push(head->next, link);
}

static inline void list_remove(List *link) {
  if (!link->next)
    return;
  link->next->previous = link->previous;
  link->previous->next = link->next;
  *link = (List){NULL, NULL};
}

/* The first element as its type, or NULL. */
#define LIST_FIRST(head, type, member) (list_is_empty(head) ? NULL : CONTAINER_OF((head)->next, type, member))

/* Walks a list; the current element may be removed inside the loop. */
#define LIST_EACH(head, type, member, element)                                                                         \
  for (List *at_ = (head)->next, *next_ = at_->next; at_ != (head); at_ = next_, next_ = at_->next)                    \
    for (type *element = CONTAINER_OF(at_, type, member); element; element = NULL)

#endif
