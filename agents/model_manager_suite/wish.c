#include "agents/model_manager_suite/wish.h"

#include <stdarg.h>
#include <stdio.h>

enum { NAME_MAX_BYTES = 128, NAMES_MAX_BYTES = (CANDIDATES_FALLBACKS + 1) * NAME_MAX_BYTES };

static int refuse(WishFault *fault, const char *path, const char *format, ...) _printf_(3, 4);
static int refuse(WishFault *fault, const char *path, const char *format, ...) {
  va_list arguments;

  va_start(arguments, format);
  vsnprintf(fault->message, sizeof fault->message, format, arguments);
  va_end(arguments);
  fault->path = path;
  return WISH_E_INVALID;
}

/* Few names have escapes, and then it is the slash that some languages write as \/. */
static int read_name(Json value, const char *path, Buffer *room, Text *ret, WishFault *fault) {
  size_t before = room->size;

  if (json_type(value) != JSON_STRING || json_string_bytes(value) > NAME_MAX_BYTES)
    return refuse(fault, path, "%s must be the name of a model, a string of at most %d bytes", path, NAME_MAX_BYTES);
  if (json_get_plain(value, ret) == 0)
    return 0;
  buffer_reserve(room, NAMES_MAX_BYTES - before); /* for all at once, since what was read borrows from it */
  json_get_string(value, room);
  *ret = (Text){(const char *)room->data + before, room->size - before};
  return 0;
}

static int read_fallbacks(Json value, Buffer *room, Wish *ret, WishFault *fault) {
  JsonWalk walk = json_walk(value);
  Json element;
  int r = 0;

  if (json_type(value) != JSON_ARRAY)
    return refuse(fault, "fallbacks", "fallbacks must be a list of names of models");
  while (r == 0 && json_next_element(&walk, &element)) {
    if (ret->fallbacks_count == CANDIDATES_FALLBACKS)
      return refuse(fault, "fallbacks", "fallbacks has more than %d names", CANDIDATES_FALLBACKS);
    r = read_name(element, "fallbacks", room, &ret->fallbacks[ret->fallbacks_count++], fault);
  }
  return r;
}

/* Null is as good as absent. */
static bool is_given(Json value) {
  return !json_is_none(value) && json_type(value) != JSON_NULL;
}

/* In one walk, past what may be a long prompt; of several of a name the last. */
static void find_both(Json object, Json *ret_model, Json *ret_fallbacks) {
  JsonWalk walk = json_walk(object);
  Json key;
  Json value;

  *ret_model = *ret_fallbacks = (Json){TEXT_NONE};
  while (json_next_member(&walk, &key, &value))
    if (json_string_is(key, "model"))
      *ret_model = value;
    else if (json_string_is(key, "fallbacks"))
      *ret_fallbacks = value;
}

int wish_read(Text request, Buffer *room, Wish *ret, WishFault *fault) {
  JsonFault where;
  Json object;
  Json model;
  Json fallbacks;
  int r = 0;

  if (json_check(request, &object, &where) != 0)
    return refuse(fault, "request", "the request is no JSON, line %u, column %u: %s", where.line, where.column,
                  where.message);
  if (json_type(object) != JSON_OBJECT)
    return refuse(fault, "request", "the request is no JSON object; write {\"messages\": [...]}");
  ret->model = TEXT_NONE;
  ret->fallbacks_count = 0;
  find_both(object, &model, &fallbacks);
  if (is_given(model))
    r = read_name(model, "model", room, &ret->model, fault);
  if (r == 0 && is_given(fallbacks))
    r = read_fallbacks(fallbacks, room, ret, fault);
  return r;
}
