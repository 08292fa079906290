/* Writing: strings, members one after the other, and objects of which a few members change and all other bytes stay. */
#include "bus/json/json-internal.h"

/* --- strings --- */

/* Appends one byte that can't stand as it is, or a character of UTF-8; returns what follows. */
static const uint8_t *put_special(Buffer *buffer, const uint8_t *at, const uint8_t *end) {
  static const char names[] = "\"\\\b\f\n\r\t";
  static const char letters[] = "\"\\bfnrt";
  static const char hex[] = "0123456789abcdef";
  const char *found = *at ? strchr(names, *at) : NULL;
  size_t size;

  if (*at < 0x80) {
    char escape[] = {'\\', 'u', '0', '0', hex[*at >> 4], hex[*at & 15]};

    escape[1] = found ? letters[found - names] : 'u';
    buffer_append(buffer, escape, found ? 2 : sizeof escape);
    return at + 1;
  }
  size = json_character_bytes(at, end);
  if (size > 0)
    buffer_append(buffer, at, size);
  else
    buffer_put(buffer, TEXT("\xef\xbf\xbd"));
  return at + (size > 0 ? size : 1);
}

void json_put_string(Buffer *buffer, Text text) {
  const uint8_t *at = (const uint8_t *)text.data;
  const uint8_t *end = text.size ? at + text.size : at;

  buffer_append(buffer, "\"", 1);
  while (at < end) {
    size_t plain = json_plain_bytes(at, end);

    buffer_append(buffer, at, plain);
    at += plain;
    if (at < end)
      at = put_special(buffer, at, end);
  }
  buffer_append(buffer, "\"", 1);
}

/* --- members --- */

void json_put_comma(Buffer *buffer) {
  uint8_t last = buffer->size > 0 ? buffer->data[buffer->size - 1] : '{';

  if (last != '{' && last != '[')
    buffer_append(buffer, ",", 1);
}

void json_put_key(Buffer *buffer, const char *name) {
  json_put_comma(buffer);
  buffer_append(buffer, "\"", 1);
  buffer_append(buffer, name, strlen(name));
  buffer_append(buffer, "\":", 2);
}

void json_put_member(Buffer *buffer, const char *name, Json value) {
  if (json_is_none(value))
    return;
  json_put_key(buffer, name);
  buffer_put(buffer, value.text);
}

void json_put_uint(Buffer *buffer, uint64_t number) {
  char digits[20];
  size_t at = sizeof digits;

  do
    digits[--at] = (char)('0' + number % 10);
  while ((number /= 10) > 0);
  buffer_append(buffer, digits + at, sizeof digits - at);
}

/* --- edits --- */

enum { EDITS_BYTES = 128 }; /* by which most objects grow */

/* An object on its way into a buffer. */
typedef struct Editing {
  Buffer *out;
  const char *at;   /* up to here it has been seen to */
  const char *kept; /* behind the last member that stays, or behind the bracket */
  bool any;         /* one has stayed */
  bool cut;         /* the last one has not */
} Editing;

static void flush(Editing *editing, const char *until) {
  buffer_append(editing->out, editing->at, (size_t)(until - editing->at));
  editing->at = until;
}

static const char *end_of(Json value) {
  return value.text.data + value.text.size;
}

static void edit_member(Editing *editing, Json key, Json old, const Text *value) {
  if (value && value->size == 0) {
    flush(editing, editing->kept);
    editing->at = editing->kept = end_of(old);
    editing->cut = true;
    return;
  }
  if (editing->cut) {
    buffer_append(editing->out, ",", editing->any ? 1 : 0);
    editing->at = key.text.data;
    editing->cut = false;
  }
  if (value) {
    flush(editing, old.text.data);
    buffer_put(editing->out, *value);
    editing->at = end_of(old);
  }
  editing->any = true;
  editing->kept = end_of(old);
}

static void add_member(Editing *editing, const JsonEdit *edit) {
  flush(editing, editing->kept);
  buffer_append(editing->out, ",", editing->any ? 1 : 0);
  buffer_append(editing->out, "\"", 1);
  buffer_append(editing->out, edit->name, strlen(edit->name));
  buffer_append(editing->out, "\":", 2);
  buffer_put(editing->out, edit->value);
  editing->any = true;
}

static size_t find_edit(Json key, const JsonEdit *edits, size_t count) {
  size_t i = 0;

  while (i < count && !json_string_is(key, edits[i].name))
    i++;
  return i;
}

void json_put_edited(Buffer *buffer, Json object, const JsonEdit *edits, size_t count) {
  Editing editing = {.out = buffer, .at = object.text.data, .kept = object.text.data + 1};
  JsonWalk walk = json_walk(object);
  uint32_t placed = 0;
  Json key;
  Json old;

  buffer_reserve(buffer, object.text.size + EDITS_BYTES);
  while (json_next_member(&walk, &key, &old)) {
    size_t i = find_edit(key, edits, count);

    edit_member(&editing, key, old, i < count ? &edits[i].value : NULL);
    placed |= i < count ? UINT32_C(1) << i : 0;
  }
  for (size_t i = 0; i < count; i++)
    if (!(placed >> i & 1) && edits[i].value.size > 0)
      add_member(&editing, &edits[i]);
  flush(&editing, end_of(object));
}

void json_put_with(Buffer *buffer, Json object, const char *name, Text value) {
  json_put_edited(buffer, object, &(JsonEdit){name, value}, 1);
}
