/* What:      JSON text checked once and then walked in place: values are spans of the text, so that what is passed on keeps
 *            every byte that nobody had to change, unknown fields and number formats included.
 * Owns:      nothing: a Json borrows from its text.
 * May use:   base.
 * Threading: any; pure.
 * Spec:      RFC 8259; UTF-8 as RFC 3629. docs/adr/0013-json-in-place.md says why not a tree. */
#ifndef PONS_JSON_JSON_H
#define PONS_JSON_JSON_H

#include "bus/base/buffer.h"
#include "bus/base/types.h"

enum { JSON_DEPTH_MAX = 128 };

enum {
  JSON_E_SYNTAX = 1, /* not JSON, cut short, or something behind the value */
  JSON_E_UTF8,       /* bytes that are no UTF-8, in a string or outside one */
  JSON_E_DEPTH,      /* nested deeper than JSON_DEPTH_MAX */
  JSON_E_TYPE,       /* a value of another type, or a number that does not fit */
};

/* Where a text stops being JSON, and why. */
typedef struct JsonFault {
  int reason; /* JSON_E_* */
  size_t offset_bytes;
  uint32_t line;    /* from 1 */
  uint32_t column;  /* from 1, in bytes */
  char message[96]; /* "wanted ',' or '}', got 'x'"; ASCII */
} JsonFault;

typedef enum JsonType { JSON_NONE, JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonType;

/* One value: its span of the text, quotes or brackets included, without the spaces around it. All zero = none. */
typedef struct Json {
  Text text;
} Json;

/* Checks text whole and gives its value. Returns 0, or JSON_E_SYNTAX, _UTF8, _DEPTH with *fault (may be NULL) filled and
   *ret left alone. Linear; allocates nothing. Everything below wants a value that came from here. */
int json_check(Text text, Json *ret, JsonFault *fault);

/* The same, and of an object the values under count names in the same pass, as json_find_each has them; of anything else none.
   On failure ret_found means nothing. */
int json_check_each(Text text, const char *const *names, size_t count, Json *ret, Json *ret_found, JsonFault *fault);

/* JSON_NONE for a Json that is none. */
JsonType json_type(Json value);

/* A walk over the members of an object or the elements of an array. */
typedef struct JsonWalk {
  const char *at;
  const char *end;
} JsonWalk;

/* Begins a walk; over anything but an object or array it has no steps. */
JsonWalk json_walk(Json container);
/* The next member: key is a JSON_STRING. Returns false at the end. */
bool json_next_member(JsonWalk *walk, Json *ret_key, Json *ret_value);
/* The next element of an array. Returns false at the end. */
bool json_next_element(JsonWalk *walk, Json *ret);

/* The value under name (plain ASCII) in an object; of several the last, as most parsers take it. A Json that is none when
   object is no object or has no such member. */
Json json_find(Json object, const char *name);
static inline bool json_is_none(Json value) {
  return value.text.size == 0;
}
/* Which of count names (plain ASCII) a key is; count when it is none of them. */
size_t json_which(Json key, const char *const *names, size_t count);
/* The values under count names in one walk, each as json_find has it. */
void json_find_each(Json object, const char *const *names, size_t count, Json *ret);

/* Whether value is a string and, unescaped, is text. */
bool json_string_is(Json value, const char *text);
/* Appends a string's contents, unescaped, to buffer; an escaped lone surrogate becomes U+FFFD. Returns 0 or JSON_E_TYPE. */
int json_get_string(Json value, Buffer *ret);
/* A string's contents where no escape is in them: borrowed, no copy. Returns 0; JSON_E_TYPE for anything else. */
int json_get_plain(Json value, Text *ret);
/* What json_get_string would append, in bytes; 0 for anything but a string. */
size_t json_string_bytes(Json value);
/* JSON_E_TYPE for a value of another type; json_get_uint also for a number with sign, point or exponent, or above 2^64-1. */
int json_get_bool(Json value, bool *ret);
int json_get_uint(Json value, uint64_t *ret);
int json_get_real(Json value, double *ret);

/* --- writing --- */

/* Appends text as a JSON string, quotes included; bytes that are no UTF-8 become U+FFFD. */
void json_put_string(Buffer *buffer, Text text);
/* Appends the comma before the next member or element: none where the buffer is empty or ends with what opens an object or a
   list. */
void json_put_comma(Buffer *buffer);
/* Appends that comma and `"name":`; name is plain ASCII. */
void json_put_key(Buffer *buffer, const char *name);
/* The same and a value as it is; nothing at all for a value that is none. */
void json_put_member(Buffer *buffer, const char *name, Json value);
/* Appends a number in decimal. */
void json_put_uint(Buffer *buffer, uint64_t number);

/* What becomes of one member of an object. */
typedef struct JsonEdit {
  const char *name; /* plain ASCII */
  Text value;       /* raw JSON; empty: the member is taken out */
} JsonEdit;

enum { JSON_EDITS_MAX = 32 };

/* Appends object with its members edited: replaced where they stand (every one of several), else added at the end. All other
   bytes stay, blanks too. object must be an object; at most JSON_EDITS_MAX edits, each of another name. */
void json_put_edited(Buffer *buffer, Json object, const JsonEdit *edits, size_t count);
/* The same with one edit. */
void json_put_with(Buffer *buffer, Json object, const char *name, Text value);

#endif
