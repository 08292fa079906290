/* What:      the few types that every room shares: borrowed bytes and text, cleanup attributes, small helpers.
 * Owns:      nothing; all of it is values.
 * May use:   the C library.
 * Threading: any.
 * Spec:      docs/glossary.md */
#ifndef PONS_BASE_TYPES_H
#define PONS_BASE_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that somebody else owns. data may be NULL when size is 0. */
typedef struct Bytes {
  const uint8_t *data;
  size_t size;
} Bytes;

/* Text that somebody else owns: UTF-8, not terminated. data may be NULL when size is 0. */
typedef struct Text {
  const char *data;
  size_t size;
} Text;

#define BYTES_NONE ((Bytes){NULL, 0})
#define TEXT_NONE ((Text){NULL, 0})
/* A Text of a string literal. */
#define TEXT(literal) ((Text){(literal), sizeof(literal) - 1})
/* printf arguments for "%.*s". */
#define TEXT_ARG(text) (int)(text).size, (text).data ? (text).data : ""

#define ELEMENTS(array) (sizeof(array) / sizeof((array)[0]))
#define _cleanup_(destroy) __attribute__((cleanup(destroy)))
#define _printf_(text, first) __attribute__((format(printf, text, first)))
#define _unused_ __attribute__((unused))

/* Hands a pointer over: returns it and nulls the variable, so that its cleanup does nothing. */
#define TAKE(pointer)                                                                                                  \
  ({                                                                                                                   \
    __typeof__(pointer) taken_ = (pointer);                                                                            \
    (pointer) = NULL;                                                                                                  \
    taken_;                                                                                                            \
  })

/* The object that holds member at address. */
#define CONTAINER_OF(address, type, member) ((type *)(void *)((char *)(address)-offsetof(type, member)))

static inline Text text_of(const char *string) {
  return (Text){string, string ? strlen(string) : 0};
}

static inline bool text_equal(Text a, Text b) {
  return a.size == b.size && (b.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool text_is(Text a, const char *string) {
  return text_equal(a, text_of(string));
}

/* As much of text as has at most so many bytes, without cutting a character of UTF-8 in two. */
static inline Text text_at_most(Text text, size_t size_bytes) {
  if (text.size <= size_bytes)
    return text;
  while (size_bytes > 0 && ((uint8_t)text.data[size_bytes] & 0xc0) == 0x80)
    size_bytes--;
  return (Text){text.data, size_bytes};
}

static inline uint64_t min_u64(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

static inline uint64_t max_u64(uint64_t a, uint64_t b) {
  return a > b ? a : b;
}

#endif
